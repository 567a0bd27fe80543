"""Interop tests: a real switch against SIPp, baresip and Wireshark's dissectors.

What takes long by waiting (the SIPp scenarios, the torture messages) is started before the first test and runs beside
the others; the tests that judge it come last.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.cases import CASES, CaseRuns
from harness.postgres import Cluster
from harness.sipp import Sipp
from harness.tools import require_tools
from harness.torture import TortureRuns

BACKGROUND = ("torture", "case_runs")


ALONGSIDE = frozenset(
    f"test_{name}.py"
    for name in (
        "call_control",
        "calls",
        "codec_quality",
        "conference",
        "dns",
        "dtmf",
        "feature_codes",
        "find_me",
        "forking",
        "harness",
        "hold_scenarios",
        "hunting_scenarios",
        "moved_services",
        "paging",
        "permission_scenarios",
        "playout_quality",
        "postgresql",
        "postgresql_journal",
        "recorded_calls",
        "recordings",
        "referrals",
        "rooms",
        "softphones",
        "speech",
        "srtp",
        "transcoding_quality",
        "transfer",
        "transfer_scenarios",
        "video",
        "voices",
        "watching",
    )
)
"""Tests that mostly wait, and may run beside each other (`-m alongside -n 2 --dist loadfile`)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of what runs in the background last (sorting keeps the order otherwise)."""
    for item in items:
        if item.path.name in ALONGSIDE:
            item.add_marker(pytest.mark.alongside)
    items.sort(key=lambda item: any(name in getattr(item, "fixturenames", ()) for name in BACKGROUND))


@pytest.fixture(scope="session", autouse=True)
def tools(request: pytest.FixtureRequest) -> None:
    """Fails where a tool is missing; starts what the chosen tests will want later."""
    require_tools()
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    for name in BACKGROUND:
        if name in wanted:
            request.getfixturevalue(name)


@pytest.fixture(autouse=True)
def no_sipp_left(tmp_path: Path) -> Iterator[None]:
    yield
    Sipp.kill_those_of(tmp_path)


@pytest.fixture(scope="session")
def case_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseRuns]:
    """Runs the cases whose tests were chosen; all of them for a test that judges the whole."""
    users = [item for item in request.session.items if "case_runs" in getattr(item, "fixturenames", ())]
    chosen = {item.callspec.params["index"] for item in users if hasattr(item, "callspec")}
    if any(not hasattr(item, "callspec") for item in users):
        chosen = set(range(len(CASES)))
    runs = CaseRuns(tmp_path_factory.mktemp("cases"), chosen)
    runs.start()
    yield runs
    runs.join()
    runs.capture.stop()
    runs.switch.stop()


@pytest.fixture(scope="session")
def torture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TortureRuns]:
    runs = TortureRuns(tmp_path_factory.mktemp("torture"))
    runs.start()
    yield runs
    runs.stop()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def database(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database's name."""
    name = f"test{len(cluster.sql('SELECT oid FROM pg_database').splitlines())}"
    cluster.sql(f"CREATE DATABASE {name}")
    yield name
    cluster.start()  # a test that failed may have left it stopped
    cluster.sql(f"DROP DATABASE {name} WITH (FORCE)")
