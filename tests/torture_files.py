"""Where the messages of RFC 4475 and their sender are: beside the project, since they are the RFC's and not ours.

Tests that need them say so by `needs_torture`; in a checkout that stands alone those are skipped, with this reason.
"""

from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parents[2] / "shared" / "torture"
MESSAGES = DIRECTORY / "rfc4475"
SENDER = DIRECTORY / "run.py"

needs_torture = pytest.mark.skipif(not SENDER.is_file(), reason=f"the messages of RFC 4475 are not at {DIRECTORY}")
