"""What crosses the line between signalling and media is plain values, and settings are checked."""

from __future__ import annotations

import msgspec
import pytest
from pydantic import ValidationError

from media.commands import (
    MediaAddress,
    MediaEvent,
    MediaSettings,
    StreamClosed,
    StreamFailed,
    StreamLatched,
    StreamSettings,
    StreamSilent,
    StreamStats,
)


@pytest.mark.parametrize(
    "event",
    [
        StreamClosed(1, StreamStats(ssrcs=(1,), remote=("192.0.2.1", 4000), round_trip_ms=12.5)),
        StreamSilent(2, 60.0),
        StreamLatched(3, "192.0.2.1", 4000),
        StreamFailed(4, "why"),
    ],
)
def test_events_can_go_to_another_process(event: MediaEvent) -> None:
    frame = msgspec.msgpack.encode(event)
    assert msgspec.msgpack.decode(frame, type=StreamClosed | StreamSilent | StreamLatched | StreamFailed) == event


def test_settings_of_a_stream_can_go_to_another_process() -> None:
    settings = StreamSettings(remote=MediaAddress("192.0.2.1", 1, 2), formats=((0, "PCMU", 8000),), silence_after=60.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(settings), type=StreamSettings) == settings


def test_defaults_fit() -> None:
    settings = MediaSettings()
    assert settings.rtp_ports[0] < settings.rtp_ports[1]
    assert settings.shared_ports == 16


@pytest.mark.parametrize("ports", [(0, 100), (2000, 2000), (3000, 2000), (60000, 70000), (2001, 2002)])
def test_port_ranges_without_a_pair_are_refused(ports: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="rtp_ports"):
        MediaSettings(rtp_ports=ports)


def test_at_least_one_host() -> None:
    with pytest.raises(ValidationError, match="hosts"):
        MediaSettings(hosts=())
