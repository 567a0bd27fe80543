"""The pure cores import no event loop, no socket and no clock: time and input are their arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# asyncio and its loop, sockets, clocks, threads and processes.
FORBIDDEN = {
    "asyncio",
    "concurrent",
    "datetime",
    "multiprocessing",
    "sched",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uvloop",
}

# docs/architecture.md: "sip (bar sip/aio), rtp (bar batch and compiled), media (bar driver, in_process,
# metronome, ...), the call model, dialplan and settings".
PURE = [
    "sip/*.py",
    "rtp/*.py",
    "media/**/*.py",
    "ivr/**/*.py",
    "acd/**/*.py",
    "softswitch/vocabulary.py",
    "softswitch/contact.py",
    "softswitch/call.py",
    "softswitch/call_*.py",
    "softswitch/audio_line.py",
    "softswitch/info_digits.py",
    "softswitch/originate.py",
    "softswitch/refers.py",
    "softswitch/room_calls.py",
    "softswitch/rooms.py",
    "softswitch/features.py",
    "softswitch/presence.py",
    "softswitch/presence_document.py",
    "softswitch/dialog_info.py",
    "softswitch/line_states.py",
    "softswitch/message_summary.py",
    "softswitch/subscriptions.py",
    "softswitch/hunt.py",
    "softswitch/hunt_steps.py",
    "softswitch/bridge.py",
    "softswitch/causes.py",
    "softswitch/sdes_policy.py",
    "softswitch/leg_media.py",
    "softswitch/sip_leg.py",
    "softswitch/sip_reasons.py",
    "softswitch/dialplan/**/*.py",
    "softswitch/settings/**/*.py",
    "softswitch/conference/**/*.py",
]
# The shells.
IMPURE = {
    "rtp/batch.py",
    "rtp/compiled.py",
    "media/driver.py",
    "media/in_process.py",
    "media/metronome.py",
    "media/prompt_files.py",
    "media/record_directory.py",
    "media/record_files.py",
    "media/record_orphans.py",
    "media/shell.py",
    "media/speech.py",
    "media/unix.py",
    "media/worker.py",
    "media/workers.py",
}

# What reckons with days of a calendar, of times that it is given.
CALENDARS = {"acd/hours.py"}
READS_THE_CLOCK = re.compile(r"\.(now|today|utcnow)\(")


def pure_files() -> list[str]:
    found = {str(path.relative_to(ROOT)) for pattern in PURE for path in ROOT.glob(pattern)}
    return sorted(found - IMPURE)


def imports(source: str) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, wherever in the file it stands; those for type checking only are none."""
    tree = ast.parse(source)
    unchecked = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test).endswith("TYPE_CHECKING")
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in unchecked:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def offences(source: str) -> list[str]:
    return [
        f"line {line}: {module}"
        for line, module in imports(source)
        if module.split(".")[0] in FORBIDDEN or module.startswith("sip.aio")
    ]


def test_there_is_something_to_look_at() -> None:
    files = pure_files()
    assert "sip/stack.py" in files
    assert "sip/aio/driver.py" not in files
    assert len(files) > 10


@pytest.mark.parametrize("path", pure_files())
def test_pure_modules_import_no_loop_socket_or_clock(path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    found = offences(source)
    if path in CALENDARS:
        assert not READS_THE_CLOCK.search(source)
        found = [each for each in found if not each.endswith(": datetime")]
    assert found == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import time", 1),
        ("from time import monotonic", 1),
        ("import asyncio.subprocess as x", 1),
        ("def f():\n    import socket", 1),
        ("from sip.aio.driver import Driver", 1),
        ("from datetime import datetime", 1),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncio", 0),
        ("import sip.timers\nfrom sip import stack\nimport re", 0),
    ],
)
def test_the_check_sees_what_it_should(source: str, count: int) -> None:
    assert len(offences(source)) == count
