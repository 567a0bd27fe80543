"""SRTP with a real phone, baresip with keys by SDES: tones measured in both ears and on the wire."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from harness.audio import Tone, check_heard, decode_alaw, level_at
from harness.baresip import Phone
from harness.capture import Capture
from harness.switch import FOR_SIPP, RTP_PORTS, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)
TALK = 3.0


def configuration(**policies: str) -> str:
    lines = [
        f'  "{number.lstrip("_")}": {{srtp: {policy}, srtp_over_insecure_signalling: true}}\n'
        for number, policy in policies.items()
    ]
    return FOR_SIPP + "extensions:\n" + "".join(lines)


def tones_on_the_wire(capture: Capture, ports: range) -> set[Tone]:
    """The tones that can be heard in what the switch sends, by whoever takes it for plain PCMA."""
    found = set()
    for packets in capture.audio_from(ports).values():
        samples = np.concatenate([decode_alaw(payload[:160]) for _, payload in packets])
        found |= {tone for tone in (LOW, HIGH) if level_at(samples, tone.frequency) > tone.level - 20}
    return found


@pytest.mark.parametrize(
    ("policies", "encryptions", "profiles", "heard_by_all"),
    [
        # A secure phone and a plain one: each hears the other, and what goes to the secure one tells nothing.
        (("required", "never"), ("srtp-mand", ""), {("RTP/SAVP", True), ("RTP/AVP", False)}, {LOW}),
        (("never", "required"), ("", "srtp-mand"), {("RTP/SAVP", True), ("RTP/AVP", False)}, {HIGH}),
        (("required", "required"), ("srtp-mand", "srtp-mand"), {("RTP/SAVP", True)}, set()),
        # A phone that offers RTP/AVP with keys in it is answered alike; a plain one, offered RTP/SAVP first, is called
        # again without.
        (
            ("optional", "optional"),
            ("srtp", ""),
            {("RTP/AVP", True), ("RTP/SAVP", True), ("RTP/AVP", False)},
            {LOW},
        ),
    ],
)
def test_secure_and_plain_phones_hear_each_other(
    tmp_path: Path,
    policies: tuple[str, str],
    encryptions: tuple[str, str],
    profiles: set[tuple[str, bool]],
    heard_by_all: set[Tone],
) -> None:
    """101 sends LOW, 102 HIGH. What is sent to a plain phone is heard by all."""
    switch = Switch(tmp_path, extra=configuration(_101=policies[0], _102=policies[1]))
    ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    packets = f"port {switch.port} or udp portrange {ports.start}-{ports.stop - 1}"
    with (
        Capture(tmp_path / "call.pcapng", packets) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW, encryption=encryptions[0]) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH, encryption=encryptions[1]) as ben,
    ):
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(1)
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= TALK, "three seconds of talk")
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        print(f"101 heard {check_heard(anna.heard(), HIGH, TALK - 0.5)}")
        print(f"102 heard {check_heard(ben.heard(), LOW, TALK - 0.5)}")
        assert "inline:" not in switch.log_file.read_text()
    assert capture.profiles(switch.port) == profiles
    assert tones_on_the_wire(capture, ports) == heard_by_all


def test_hold_and_resume_keep_the_keys(tmp_path: Path) -> None:
    """baresip's re-INVITEs. Its recording ends with the first one, so what it sends is measured on the wire, where it
    leaves for the plain phone; what it gets it deciphers, or it would say so in its log."""
    switch = Switch(tmp_path, extra=configuration(_101="required", _102="never"))
    ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    with (
        Capture(tmp_path / "hold.pcapng", f"udp portrange {ports.start}-{ports.stop - 1}") as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW, encryption="srtp-mand") as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH) as ben,
    ):
        anna.call("102")
        ben.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(1)
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 1.0, "a second of talk")
        anna.press("hold")
        wait_for(lambda: switch.status().calls[0].state == "on hold", "on hold")
        held = switch.status().calls[0].talking or 0
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= held + 1.5, "held a while")
        anna.press("resume")
        wait_for(lambda: switch.status().calls[0].state != "on hold", "no longer on hold")
        talked = switch.status().calls[0].talking or 0
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= talked + 2.0, "talk again")
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        assert "decrypt" not in anna.log()
    streams = capture.audio_from(ports)
    [plain] = [packets for (_, to), packets in streams.items() if to in ben.rtp_ports]
    [sealed] = [packets for (_, to), packets in streams.items() if to in anna.rtp_ports]
    gap, resumed = max((after - before, after) for (before, _), (after, _) in pairwise(plain))
    assert gap > 1.0, "audio during the hold"
    after_it = np.concatenate([decode_alaw(payload) for time, payload in plain if time >= resumed])
    assert abs(level_at(after_it, LOW.frequency) - LOW.level) < 1.0
    assert {len(payload) for _, payload in sealed} == {170}
    assert sum(time >= resumed for time, _ in sealed) > 1.5 * 50


def test_a_phone_with_srtp_is_refused_where_keys_would_go_in_the_clear(tmp_path: Path) -> None:
    """By default: 488, and the Warning says why."""
    switch = Switch(tmp_path, extra=FOR_SIPP + 'extensions:\n  "101": {srtp: optional}\n')
    with (
        Capture(tmp_path / "call.pcapng", f"port {switch.port}") as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW, encryption="srtp-mand") as anna,
    ):
        anna.call("102")
        closed = anna.wait_event("CALL_CLOSED")
        assert "488" in str(closed)
        # dumpcap writes from time to time.
        wait_for(lambda: b"SIP/2.0 488" in capture.file.read_bytes(), "the refusal in the capture")
    words = ("-d", f"udp.port=={switch.port},sip", "-Y", "sip.Status-Code == 488", "-T", "fields", "-e", "sip.Warning")
    [warning] = capture._tshark(*words)
    assert "SRTP keys need TLS" in warning


@pytest.mark.parametrize("workers", [0, 1])
def test_secure_phones_of_other_codecs_are_transcoded(tmp_path: Path, workers: int) -> None:
    """Two calls at once: opus sealed and PCMU in the clear, G722 and PCMA both sealed; levels and purity as ever."""
    phones = {"101": ("opus", "srtp-mand"), "102": ("PCMU", ""), "103": ("G722", "srtp-mand"), "104": ("PCMA", "srtp")}
    policies = {"srtp-mand": "required", "srtp": "optional", "": "never"}
    lines = [
        f'  "{user}": {{codecs: [{codec}], srtp: {policies[encryption]}, srtp_over_insecure_signalling: true}}\n'
        for user, (codec, encryption) in phones.items()
    ]
    extra = FOR_SIPP + f"media: {{workers: {workers}}}\nextensions:\n" + "".join(lines)
    switch = Switch(tmp_path, extra=extra)
    packets = f"port {switch.port} or udp portrange {switch.first_rtp_port}-{switch.first_rtp_port + RTP_PORTS - 1}"
    with Capture(tmp_path / "call.pcapng", packets) as capture, switch, ExitStack() as stack:
        on = {
            user: stack.enter_context(
                Phone(
                    tmp_path,
                    user,
                    switch.password(user),
                    switch.address,
                    HIGH if user in ("102", "104") else LOW,
                    encryption=encryption,
                    codecs=(codec,),
                )
            )
            for user, (codec, encryption) in phones.items()
        }
        for caller, called in (("101", "102"), ("104", "103")):
            on[caller].call(called)
        for phone in on.values():
            phone.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(2)
        wait_for(lambda: min(call.talking or 0 for call in switch.status().calls) >= TALK, "three seconds of talk")
        for caller, called in (("101", "102"), ("104", "103")):
            on[caller].hang_up()
            on[called].wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        for user, phone in on.items():
            expected = LOW if user in ("102", "104") else HIGH
            print(f"{user} {phones[user]} heard {check_heard(phone.heard(), expected, TALK - 0.5)}")
        assert "inline:" not in switch.log_file.read_text()
    assert capture.profiles(switch.port) == {("RTP/SAVP", True), ("RTP/AVP", True), ("RTP/AVP", False)}
