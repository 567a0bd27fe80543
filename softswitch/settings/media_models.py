"""What an operator can write about RTP and the processes that carry it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainValidator, SecretStr, field_validator, model_validator

from media.record_files import RecordingSettings
from media.sound_settings import SoundSettings
from softswitch.settings.fields import (
    Codec,
    CodecList,
    Duration,
    HostPort,
    HostPortText,
    HostText,
    IpText,
    OptionalDuration,
    PortRange,
    PortRangeText,
    Section,
)
from softswitch.settings.validation import at_value

MAX_WORKERS = 64


def _read_workers(value: object) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    text = str(value)
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_WORKERS):
        raise ValueError(f"expected a number of processes from 0 to {MAX_WORKERS} or auto instead of {text[:40]!r}")
    return int(text)


Workers = Annotated[
    int | Literal["auto"],
    PlainValidator(_read_workers, json_schema_input_type=Annotated[int, Field(ge=0, le=MAX_WORKERS)] | Literal["auto"]),
]


class RemoteWorker(Section):
    """A media process of another machine: `softswitch media-worker` there."""

    address: HostPortText
    """Where it listens: `192.0.2.7:5090`. The line is authenticated, not encrypted: keep it in a network of yours."""
    secret: SecretStr = Field(min_length=16, max_length=256)
    """The same as in the worker's secret file. The list may stand in secrets.yaml, which only its owner reads."""
    hosts: Annotated[tuple[IpText, ...], Field(min_length=1, max_length=2)]
    """Its addresses for SDP: one of IPv4, one of IPv6, or either."""
    rtp_ports: PortRangeText | None = None
    """Its ports for RTP; absent, `media.rtp_ports`."""

    @field_validator("address")
    @classmethod
    def _with_port(cls, value: HostPort) -> HostPort:
        if value.port is None:
            raise ValueError("expected a port, such as 192.0.2.7:5090")
        return value


def _default_codecs() -> tuple[Codec, ...]:
    return "PCMA", "PCMU", "G722", "opus"


class MediaSettings(Section):
    """RTP."""

    rtp_ports: PortRangeText = PortRange(10000, 10127)
    """Ports for RTP (even) and RTCP (odd), in pairs. Open these in the firewall."""
    shared_ports: int = Field(16, ge=1, le=512)
    """Pairs opened at start; calls share them, and more of `rtp_ports` are opened only where needed."""
    bind: HostText | None = None
    """Address the RTP sockets are bound to; absent, those of `sip.listen`."""
    advertise: HostText | None = None
    """Address written into SDP where the switch stands behind NAT; absent, `sip.advertise`."""
    codecs: CodecList = Field(default_factory=_default_codecs)
    """Codecs in order of preference, for extensions and trunks that name none."""
    silence_hangup: OptionalDuration = Field(60.0, ge=5, le=86400)
    """A call with no packet from one end for this long, while not on hold, is hung up; `none`: never."""
    hold_silence: OptionalDuration = Field(None, ge=5, le=86400)
    """The same for a call on hold; `none` never does."""
    transcode: bool = True
    """Whether calls between ends without a common codec are decoded and encoded anew; else they get 488."""
    sounds: SoundSettings = Field(default_factory=SoundSettings)
    """What callers hear: prompts, tones, hold music, text-to-speech."""
    recordings: RecordingSettings = Field(default_factory=RecordingSettings)
    """Where recordings go, and how."""
    rtcp_xr: bool = False
    """Whether our RTCP tells the other end how it sounds here (RFC 3611, VoIP metrics). What others tell is always
    read."""
    workers: Workers = 0
    """Media processes beside the signalling process; `auto`: one less than there are cores, from 1 to 4; 0: audio is
    carried by the signalling process itself, where no `remote_workers` are given."""
    remote_workers: Annotated[tuple[RemoteWorker, ...], Field(max_length=64)] = ()
    """Media processes of other machines, used beside the local ones."""
    orphan_time: Duration = Field(60.0, ge=1, le=86400)
    """How long a media process lets calls talk on when the signalling process is gone; then it closes them all."""

    @model_validator(mode="after")
    def _fits(self) -> MediaSettings:
        low, high = self.rtp_ports
        pairs = (high - low + 1) // 2
        workers = 0 if self.workers == "auto" else self.workers
        short = {"shared_ports": self.shared_ports, "workers": workers}
        short = {name: wanted for name, wanted in short.items() if wanted > pairs}
        if short:
            needed = max(short.values())
            first = min(low, 65536 - 2 * needed)
            written = next((key for key in ("rtp_ports", *short) if key in self.model_fields_set), "media")
            wants = " and ".join(f"{name} is {wanted}" for name, wanted in short.items())
            raise at_value(
                f"rtp_ports {low}-{high} holds {pairs} pair{'' if pairs == 1 else 's'}, but {wants}: expected {needed} "
                f"pairs, such as rtp_ports {first}-{first + 2 * needed - 1}, or a smaller {' and '.join(short)}",
                written,
            )
        return self

    @property
    def carried_here(self) -> bool:
        """Whether this machine carries audio, plays and records, and not only `remote_workers` do."""
        return self.workers != 0 or not self.remote_workers
