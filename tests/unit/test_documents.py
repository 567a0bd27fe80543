"""What documents name has to be there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
VIRTUAL = ROOT / "tests" / "virtual"


def test_every_test_of_the_matrix_is_there() -> None:
    manual = (ROOT / "docs" / "call-control.md").read_text("utf-8")
    cells = re.findall(r"`((?:test_\w+\.py)?(?:::)?(?:test_\w+)?)`", manual)
    named = {cell for cell in cells if cell}
    assert len(named) > 10
    for cell in named:
        file, _, name = cell.rpartition("::")
        if cell.endswith(".py"):
            file, name = cell, ""
        text = (VIRTUAL / (file or "test_matrix.py")).read_text("utf-8")
        assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE), cell
