"""Modules shared by tests (`virtual_link`) are found beside this file."""

import sys
from pathlib import Path

from tests.searches import register

sys.path.insert(0, str(Path(__file__).parent))

register()
