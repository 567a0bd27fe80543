"""Modules shared by tests (`virtual_link`) are found beside this file. Property tests have no deadline: how long an
example takes is the machine's business, and benchmarks measure that."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("switch", deadline=None)
settings.load_profile("switch")
