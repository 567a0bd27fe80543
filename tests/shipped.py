"""The default configuration as it is shipped.

An operator edits `config/`, and the tests of his checkout must pass all the same: they read this copy. `.ci` sees to it
that it is one; whoever changes `config/` for everybody copies the file here.
"""

from pathlib import Path

CONFIG = Path(__file__).with_name("shipped_config")
