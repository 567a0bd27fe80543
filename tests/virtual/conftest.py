"""What whole files of tests are run with."""

from __future__ import annotations

import pytest

from tests.virtual import network


@pytest.fixture(params=[0, 2])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The media in one place, or with two workers: every second call is on the other one, and what is joined has to be
    brought together, for which telephones are offered a new address."""
    monkeypatch.setattr(network, "WORKERS", request.param)
