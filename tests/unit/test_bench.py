"""`make bench` as a program: Ctrl-C ends it quietly, and what it has started with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import subprocess, sys
child = subprocess.Popen(["sleep", "60"])
try:
    print("begun", child.pid, flush=True)
    child.wait()
finally:
    child.kill()
    child.wait()
    print("cleaned", flush=True)
"""


BENCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell turns it off for what runs in the background
from tests.bench.__main__ import run_all
sys.exit(run_all([[name] for name in sys.argv[1:]]))
"""


def bench(directory: Path, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BENCH, *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{directory}{os.pathsep}{ROOT}"},
    )


def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "measuring.py").write_text(PROGRAM)
    process = bench(tmp_path, "measuring", "measuring")
    assert process.stdout is not None
    _, child = process.stdout.readline().split()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (130, "cleaned\n", "")
    assert not Path(f"/proc/{child}").exists()


def test_the_worst_exit_code_is_told(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("import sys; print('argv', len(sys.argv))")
    (tmp_path / "missed.py").write_text("import sys; sys.exit(1)")
    process = bench(tmp_path, "missed", "good")
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (1, "argv 1\n", "")
