"""Compiled loops: checked indexes, and a cache that nothing old comes out of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtp.batch_loop import note
from rtp.compiled import compiled

STEP = 3
TABLE = np.arange(4)


@compiled("i8(i8)")
def stepped(number: int) -> int:
    return number + STEP


@compiled("i8(i8[::1], i8)")
def picked(column: np.ndarray, at: int) -> int:
    return column[at] + TABLE[at] + stepped(0)


MODULE = """
from rtp.compiled import compiled

LIMIT = {limit}

@compiled("i8()")
def inner():
    return LIMIT

@compiled("i8()")
def limit():
    return inner() + {more}

hits = sum(sum(each.stats.cache_hits.values()) for each in (inner, limit))
print(limit(), hits)
"""


def run(path: Path, **what: int) -> list[str]:
    path.write_text(MODULE.format(**what))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True, cwd=Path.cwd())
    return done.stdout.split()


def test_constants_arrays_and_other_kernels_are_seen() -> None:
    assert picked(np.array([10, 20]), 1) == 20 + 1 + 3


@pytest.mark.parametrize("at", [2, 1 << 40, -3, -(1 << 40)])
def test_what_lies_beside_a_column_is_never_touched(at: int) -> None:
    with pytest.raises(IndexError):
        picked(np.array([10, 20]), at)


def test_a_kernel_of_the_relay_refuses_more_than_there_is_room_for() -> None:
    slots, one, received = np.zeros(2, np.int64), np.zeros(1, np.int64), np.zeros(8, np.uint32)
    with pytest.raises(IndexError):
        note(1, one, one + 3, received, np.zeros(1, bool), slots, slots.view(np.uint64), np.zeros(2, bool))


def test_other_types_than_the_stated_ones_are_refused() -> None:
    with pytest.raises(TypeError):
        picked(np.array([1.0, 2.0]), 0)


def test_what_was_compiled_is_loaded_until_anything_it_depends_on_changes(tmp_path: Path) -> None:
    path = tmp_path / "kernels_of_a_test.py"
    assert run(path, limit=1, more=1) == ["2", "0"]
    assert run(path, limit=1, more=1) == ["2", "2"]
    # A constant that the inner one names; nothing of the outer one's own text is another.
    assert run(path, limit=5, more=1) == ["6", "0"]
    assert run(path, limit=5, more=2)[0] == "7"


def test_where_nothing_can_be_kept_it_is_compiled_each_time(tmp_path: Path) -> None:
    """As for a service without a home, installed by another user."""
    script = (
        "import pathlib, rtp.compiled as c\n"
        "c._directory = lambda function: pathlib.Path('/dev/null/nowhere')\n"
        "import rtp.octets, numpy\n"
        "print(rtp.octets.word(numpy.array([[0x03020100]], numpy.uint32), 0, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.split() == [str(0x00010203)]
