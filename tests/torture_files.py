"""Where the torture messages of RFC 4475 are: beside the project, since they are the RFC's and not ours.

Tests that need them say so by `needs_torture`, those that send them by `needs_sender`; in a checkout that stands alone
they are skipped.
"""

from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parents[2] / "shared" / "torture"
MESSAGES = DIRECTORY / "rfc4475"
SENDER = DIRECTORY / "run.py"

needs_torture = pytest.mark.skipif(
    not MESSAGES.is_dir(),
    reason="the torture messages of RFC 4475 (its appendix A, decoded to *.dat) are not ours to ship: put them into "
    "../shared/torture/rfc4475 beside this checkout",
)
needs_sender = pytest.mark.skipif(
    not SENDER.is_file(),
    reason="a program that sends the torture messages of RFC 4475 and judges the answers is not part of this project: "
    "put it at ../shared/torture/run.py beside this checkout",
)
