"""Find-me with real telephones: one of them is the mobile that has to press a key; and who diverted, on the wire."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from harness.audio import Tone, level_at, read_wave
from harness.baresip import Phone
from harness.cases import CALLED, CALLERS
from harness.evidence import Ears, Traces
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

F64 = npt.NDArray[np.float64]

ANNA, MOBILE, DORA = Tone(1000.0, -18.0), Tone(700.0, -15.0), Tone(1300.0, -18.0)
PART = 800  # samples: 100 ms
RINGBACK = (440.0, 480.0)  # of the USA, two seconds of six
TONES = {"101": ANNA, "103": MOBILE, "104": DORA}
LIST = 'defaults: {extension: {record: always, find_me: [{number: "103", confirm: true, ring_time: 40s}]}}\n'


def parts(samples: F64) -> F64:
    return samples[: len(samples) // PART * PART].reshape(-1, PART)


def has(samples: F64, tone: Tone) -> npt.NDArray[np.bool_]:
    """In which tenths of a second the tone is heard."""
    return np.array([abs(level_at(part, tone.frequency) - tone.level) < 1.5 for part in parts(samples)])


def rings(samples: F64) -> npt.NDArray[np.bool_]:
    return np.array([all(level_at(part, each) > -35.0 for each in RINGBACK) for part in parts(samples)])


def loud(samples: F64) -> npt.NDArray[np.bool_]:
    return np.sqrt(np.mean(parts(samples) ** 2, axis=1)) > 0.003


@pytest.mark.parametrize("workers", [0, 1])
def test_the_mobile_presses_a_key_and_only_then_the_caller_is_answered(tmp_path: Path, workers: int) -> None:
    """102 has no telephone; 103 answers by itself, hears the question alone, and presses 7, then 1."""
    with (
        Switch(tmp_path, extra=f"{FOR_SIPP}{LIST}media: {{workers: {workers}}}\n") as switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, ANNA) as anna,
        Phone(tmp_path, "103", switch.password("103"), switch.address, MOBILE) as mobile,
    ):
        anna.call("102")
        anna.wait_event("CALL_RINGING")
        mobile.wait_event("CALL_ESTABLISHED")
        begun = switch.status().calls[0].age
        wait_for(lambda: switch.status().calls[0].age >= begun + 4.0, "four seconds of the question")
        mobile.press("sndcode", "7")
        wait_for(lambda: switch.status().calls[0].age >= begun + 5.0, "what follows a wrong key")
        assert "CALL_ESTABLISHED" not in anna.events()
        mobile.press("sndcode", "1")
        anna.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 3.0, "three seconds of talk")
        anna.hang_up()
        mobile.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
        heard = {phone: read_wave(phone.heard()) for phone in (anna, mobile)}
    assert record["destination"] == "103"
    question = has(heard[mobile], ANNA)
    talk = int(question.argmax())
    assert question.any()
    assert talk > 35, "the caller was heard before the key"
    assert loud(heard[mobile])[:talk].sum() > 15, "no question was heard"
    assert question[talk:-3].mean() > 0.9
    assert has(heard[anna], MOBILE).sum() > 20
    assert 2.5 < float(record["billsec"]) < 5.0
    assert Traces.of(switch, record, TONES) == Traces("ring talk", "101 103", "101", "103"), "from the key on"


def test_a_mailbox_that_answers_is_let_go_and_the_caller_hears_nothing_of_it(tmp_path: Path) -> None:
    listed = '{numbers: [{number: "103", confirm: true, ring_time: 40s}], confirm_within: 4s}'
    extra = f'defaults: {{extension: {{record: always, find_me: {listed}, forward: {{no_answer: "104"}}}}}}\n'
    with (
        Switch(tmp_path, extra=FOR_SIPP + extra) as switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, ANNA) as anna,
        Phone(tmp_path, "103", switch.password("103"), switch.address, MOBILE) as mailbox,
        Phone(tmp_path, "104", switch.password("104"), switch.address, DORA) as dora,
    ):
        anna.call("102")
        mailbox.wait_event("CALL_ESTABLISHED")
        mailbox.wait_event("CALL_CLOSED")
        dora.wait_event("CALL_ESTABLISHED")
        anna.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 2.0, "two seconds of talk")
        anna.hang_up()
        dora.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
        heard = read_wave(anna.heard())
    assert has(heard, DORA).sum() > 12
    assert not has(heard, MOBILE).any()
    assert (record["destination"], record["diverted"]) == ("104", "102 no-answer")
    # 104 has the list, too: the mailbox rings beside it.
    assert Traces.of(switch, record, TONES) == Traces("ring talk", "101 103 104 103", "101", "104")


def test_ringing_is_heard_until_the_key_then_both_ways(tmp_path: Path) -> None:
    """Who waits in a transfer hears our ringing, which can be measured; telephones that call make it themselves."""
    with (
        Switch(tmp_path, extra=FOR_SIPP + LIST) as switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, ANNA) as anna,
        Phone(tmp_path, "103", switch.password("103"), switch.address, MOBILE) as mobile,
        Phone(tmp_path, "104", switch.password("104"), switch.address, DORA) as dora,
    ):
        anna.call("104")
        anna.wait_event("CALL_ESTABLISHED")
        dora.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 1.0, "a second of talk")
        begun = switch.status().calls[0].age
        switch.run_here("call", "transfer", "104", "102", "--config", str(switch.config))
        mobile.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: switch.status().calls[0].age >= begun + 8.0, "ringing, twice")
        dora_is_there = "CALL_CLOSED" not in dora.events()
        mobile.press("sndcode", "1")
        dora.wait_event("CALL_CLOSED")
        begun = switch.status().calls[0].age
        wait_for(lambda: switch.status().calls[0].age >= begun + 3.0, "three seconds of talk")
        anna.hang_up()
        mobile.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
        heard = {phone: read_wave(phone.heard()) for phone in (anna, mobile)}
    assert dora_is_there
    # The mobile rings beside 104, which has the list, too, and then for 102.
    assert Traces.of(switch, record, TONES) == Traces("ring talk ring talk", "101 104 103 103", "101", "104 103")
    mobiles = has(heard[anna], MOBILE)
    talk = int(mobiles.argmax())
    ringing = rings(heard[anna])
    assert ringing[:talk].sum() > 25, "two rings of two seconds were to be heard"
    assert not ringing[talk + 1 :].any()
    assert mobiles[talk:-3].mean() > 0.9
    assert mobiles.sum() < 45, "the mobile was heard before the key"
    assert has(heard[mobile], ANNA).sum() > 20


TRUNKS = """
sip:
  qualify: {{interval: none}}
trunks:
  callers:
    inbound: {{addresses: [{callers}]}}
    context: internal
    caller_id: {{trusted: true}}
    record: always
  onward:
    gateways: [{{host: {called}, port: {port}}}]
    options_interval: none
    diversion: both
defaults: {{extension: {{forward: {{unavailable: "900"}}}}}}
"""


def test_who_has_diverted_stands_in_both_headers(tmp_path: Path) -> None:
    """A trunk brings a call that was diverted before; 102, which has no telephone, sends it on through another."""
    port = free_ports(1, CALLED)
    extra = TRUNKS.format(callers=CALLERS, called=CALLED, port=port)
    onward = ('{to: "900", dial: {trunk: onward}}',)
    tones = {"callers": ANNA, "onward": DORA}
    with Switch(tmp_path, extra=extra, routes_of_own=onward) as switch, Ears(tmp_path, switch, tones) as ears:
        called = Sipp(tmp_path, "uas_diverted", (CALLED, port), tone=DORA)
        caller = Sipp(
            tmp_path,
            "uac_diverted",
            (CALLERS, free_ports(1, CALLERS)),
            switch.address,
            service="102",
            options=("-d", "800"),
            tone=ANNA,
        )
        caller.finish()
        called.finish()
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
        assert (ears.heard(caller), ears.heard(called)) == ("onward", "callers")
    assert record["diverted"] == "102 unavailable, 04055 no-answer"
    assert Traces.of(switch, record, tones) == Traces("ring talk", "callers onward", "callers", "onward")
