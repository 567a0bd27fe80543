"""Compiled loops: checked indexes, and a cache that nothing old comes out of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtp.compiled import compiled, external
from rtp.playout_arrival import arrive_all
from rtp.playout_columns import PlayoutColumns

STEP = 3
TABLE = np.arange(4)
STATE: list[int] = []


@compiled("i8(i8)")
def stepped(number: int) -> int:
    return number + STEP


@compiled("i8(i8[::1], i8)")
def picked(column: np.ndarray, at: int) -> int:
    return column[at] + TABLE[at] + stepped(0)


_getpid = external("getpid", "i4()")


@compiled("i8()")
def asked() -> int:
    return int(_getpid())


MODULE = """
import numpy as np
from rtp.compiled import compiled

LIMIT = {limit}

@compiled("i8()")
def inner():
    return np.int64({named})

@compiled("i8()")
def limit():
    return inner() + {more}

hits = sum(sum(each.stats.cache_hits.values()) for each in (inner, limit))
print(limit(), hits)
"""


def run(path: Path, limit: str, more: int, named: str = "LIMIT") -> list[str]:
    path.write_text(MODULE.format(limit=limit, more=more, named=named))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True, cwd=Path.cwd())
    return done.stdout.split()


def test_constants_arrays_and_other_kernels_are_seen() -> None:
    assert picked(np.array([10, 20]), 1) == 20 + 1 + 3


@pytest.mark.parametrize("at", [2, 1 << 40, -3, -(1 << 40)])
def test_what_lies_beside_a_column_is_never_touched(at: int) -> None:
    with pytest.raises(IndexError):
        picked(np.array([10, 20]), at)


def test_a_kernel_of_the_jitter_buffer_refuses_rows_that_are_not_there() -> None:
    columns, one, marks = PlayoutColumns(8000, 2), np.zeros(1, np.int64), np.zeros(1, np.bool_)
    bank = columns.whole, columns.lows, columns.delay, columns.due, columns.frames, 0, 1600, 0.0, one.copy()
    arrive_all(one, one, one, marks, one + 160, *bank)
    assert columns.received[0] == 1
    with pytest.raises(IndexError):
        arrive_all(one + 2, one, one, marks, one + 160, *bank)


def test_functions_of_the_c_library_are_called() -> None:
    assert asked() == os.getpid()


def test_other_types_than_the_stated_ones_are_refused() -> None:
    with pytest.raises(TypeError):
        picked(np.array([1.0, 2.0]), 0)


@pytest.mark.parametrize(
    ("form", "named"),
    [("{}", "LIMIT"), ("{}.0", "LIMIT"), ("np.uint64({})", "LIMIT"), ("np.float32({})", "LIMIT"),
     ("({}, 9)", "LIMIT[0]"), ("np.array([{}])", "LIMIT[0]")],
)  # fmt: skip
def test_what_was_compiled_is_loaded_until_a_constant_of_an_inner_kernel_changes(
    form: str, named: str, tmp_path: Path
) -> None:
    path = tmp_path / "kernels_of_a_test.py"
    assert run(path, form.format(1), 1, named) == ["2", "0"]
    assert run(path, form.format(1), 1, named) == ["2", "2"]
    # Nothing of the outer kernel's own text is another.
    assert run(path, form.format(5), 1, named) == ["6", "0"]


def test_the_text_of_a_kernel_counts(tmp_path: Path) -> None:
    path = tmp_path / "kernels_of_a_test.py"
    assert run(path, "1", 1)[0] == "2"
    assert run(path, "1", 2)[0] == "3"


def test_what_could_change_unnoticed_is_refused() -> None:
    global STATE
    STATE = [1]
    with pytest.raises(TypeError, match="names STATE"):

        @compiled("i8()")
        def kernel() -> int:
            return len(STATE)


def test_where_nothing_can_be_kept_it_is_compiled_each_time() -> None:
    """As for a service without a home, installed by another user."""
    script = (
        "import os, pathlib, rtp.compiled\n"
        "os.access = lambda *_: False\n"
        "def nobody(*_): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = nobody\n"
        "os.environ.pop('XDG_CACHE_HOME', None)\n"
        "import rtp.octets, numpy\n"
        "print(rtp.octets.word(numpy.array([[0x03020100]], numpy.uint32), 0, 0))\n"
        "print(sum(rtp.octets.word.stats.cache_hits.values()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.split() == [str(0x00010203), "0"]
