"""`softswitch serve` that does not get to serving: one clear line, nothing left open."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def serve(directory: Path, more: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since it sets up the logs of one."""
    (directory / "a.yaml").write_text(
        "extensions: {'101': {password: secret}}\n"
        f"dialplan: {{internal: {{routes: [{{answer_and_play: welcome}}]}}}}\n{more}\n"
    )
    command = [sys.executable, "-m", "softswitch", "serve", "--log-json", "--config", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_recordings_that_can_not_be_written_refuse_the_start(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    result = serve(tmp_path, f"media: {{recordings: {{directory: {tmp_path}/taken}}}}")
    assert result.returncode == 1
    *warnings, refused = result.stderr.splitlines()
    assert refused == f"softswitch can't start: media.recordings.directory: {tmp_path}/taken is no directory"
    # What `check` warns of, a start tells too.
    problems = [json.loads(line)["problem"] for line in warnings]
    assert len(problems) == 2
    assert sum("no sound file 'welcome'" in problem for problem in problems) == 1


def test_errors_are_told_as_check_tells_them(tmp_path: Path) -> None:
    result = serve(tmp_path, "media: {workers: two}")
    assert result.returncode == 2
    assert result.stderr == (
        f"{tmp_path}/a.yaml:3:18: media.workers: expected a number of processes from 0 to 64 or auto instead of 'two'\n"
    )
