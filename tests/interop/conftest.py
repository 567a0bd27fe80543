"""Interop tests: a real switch against SIPp, baresip and Wireshark's dissectors.

`background` starts what takes long (the SIPp scenarios, the torture messages) before the first test, so that it runs
beside the others; the tests that judge it come last.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.cases import CaseRuns
from harness.tools import require_tools


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    require_tools()


@pytest.fixture(scope="session")
def case_runs(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseRuns]:
    runs = CaseRuns(tmp_path_factory.mktemp("cases"))
    runs.start()
    yield runs
    runs.join()
    runs.switch.stop()
