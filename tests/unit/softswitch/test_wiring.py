"""Settings as the parts get them."""

from __future__ import annotations

import pytest

from softswitch import wiring
from tests.virtual.network import settings


def test_values_of_the_settings_arrive_where_they_belong() -> None:
    given = settings(
        sip={
            "timers": {"t1": 0.3, "t2": 2, "t4": 3},
            "limits": {"transactions": 500, "calls": 7, "connections": 9, "message_bytes": 8192},
            "pass_headers": ["X-One"],
            "session_timer": {"mode": "offer", "expires": 600, "min_se": 120},
            "max_forwards": 33,
        },
        media={"silence_hangup": "none", "hold_silence": 90, "bind": "192.0.2.9"},
    )
    stack = wiring.stack_settings(given)
    assert (stack.timers.t1, stack.timers.t2, stack.timers.t4) == (0.3, 2.0, 3.0)
    assert (stack.max_server_transactions, stack.limits.message) == (500, 8192)
    agent = wiring.ua_settings(given)
    assert (agent.session_expires, agent.min_se, agent.max_sessions) == (600, 120, 28)
    runtime = wiring.runtime_settings(given)
    assert (runtime.max_calls, runtime.max_forwards, runtime.pass_headers) == (7, 33, ("X-One",))
    assert (runtime.silence_hangup, runtime.hold_silence) == (None, 90.0)
    assert wiring.engine_settings(given).hosts == ("192.0.2.9",)


def test_session_timers_that_are_only_accepted_are_not_asked_for() -> None:
    assert wiring.ua_settings(settings(sip={"session_timer": {"mode": "accept"}})).session_expires == 0


def test_an_extension_without_a_password_has_no_account() -> None:
    given = settings(extensions={"105": {"password": None}})
    assert "105" not in {account.extension for account in wiring.accounts(given)}
    assert "105" in wiring.entries(given).extensions


def test_the_caller_of_an_extension() -> None:
    given = settings(extensions={"101": {"caller_id": {"number": "4930123", "name": "Sales"}}})
    entries = wiring.entries(given).extensions
    assert (entries["101"].caller.number, entries["101"].caller.name) == ("4930123", "Sales")
    assert (entries["102"].caller.number, entries["102"].caller.name) == ("102", "Phone 102")


def test_how_a_trunk_calls_in() -> None:
    given = settings(
        trunks={"east": {"inbound": {"username": "east", "password": "secret"}, "context": "internal"}},
    )
    by_name = {config.name: config for config in wiring.trunk_configs(given)}
    assert [by_name[name].inbound for name in ("north", "south", "east")] == ["none", "address", "credentials"]
    assert by_name["east"].inbound_password == "secret"
    assert "secret" not in repr(by_name["east"])


def test_registration_at_a_trunk() -> None:
    account = {
        "account": {"username": "we", "password": "secret"},
        "register": {"registrar": "[2001:db8::1]:5080", "transport": "tcp"},
    }
    [config] = wiring.registrations(settings(trunks={"north": account}))
    assert config.registrar == "sip:[2001:db8::1]:5080;transport=tcp"
    assert config.aor == "sip:we@[2001:db8::1]"
    assert "secret" not in repr(config)


def test_transcoding_digits_and_recording_of_each_end() -> None:
    given = settings(
        extensions={"101": {"transcode": True, "dtmf": "info", "record": "always"}, "102": {"codecs": ["opus"]}},
        trunks={"north": {"dtmf": "inband", "record": "on-demand"}},
        media={"transcode": False, "recordings": {"format": "opus", "rate": 16000, "stereo": False}},
    )
    entries = wiring.entries(given)
    first, second = entries.extensions["101"], entries.extensions["102"]
    north = entries.trunks["north"]
    assert (first.policy.transcode, first.policy.digits, first.policy.dtmf, first.record) == (
        True,
        "info",
        False,
        "always",
    )
    assert (second.policy.transcode, second.policy.digits, second.policy.dtmf, second.record) == (
        False,
        "auto",
        True,
        "",
    )
    assert (north.policy.digits, north.policy.dtmf, north.record) == ("inband", False, "on-demand")
    form = wiring.runtime_settings(given).recordings
    assert (form.format, form.rate, form.stereo) == ("opus", 16000, False)


def test_local_media_workers_share_the_ports_and_remote_ones_have_their_own() -> None:
    remote = {"address": "192.0.2.7:5090", "secret": "0123456789abcdef", "hosts": ["192.0.2.7"]}
    media = {"workers": 3, "rtp_ports": "10002-10021", "shared_ports": 4, "remote_workers": [remote], "orphan_time": 7}
    local, far = wiring.media_workers(settings(media=media))
    assert [each.rtp_ports for each in local.terms] == [(10002, 10007), (10008, 10013), (10014, 10021)]
    assert {each.shared_ports for each in local.terms} == {2}
    assert local.orphan_time == 7.0
    [worker] = far
    assert (worker.address, worker.terms.rtp_ports) == (("192.0.2.7", 5090), (10002, 10021))
    assert (worker.terms.announce, worker.terms.secret) == (("192.0.2.7",), b"0123456789abcdef")


def test_extended_reports_are_told_of_wherever_the_engine_runs() -> None:
    given = settings(media={"rtcp_xr": True, "workers": 1})
    assert wiring.engine_settings(given).rtcp_xr
    assert "--rtcp-xr" in wiring.media_workers(given)[0].command
    given = settings(media={"workers": 1})
    assert not wiring.engine_settings(given).rtcp_xr
    assert "--rtcp-xr" not in wiring.media_workers(given)[0].command


@pytest.mark.parametrize(("cores", "pairs", "workers"), [(1, 64, 1), (2, 64, 1), (4, 64, 3), (64, 64, 4), (8, 2, 2)])
def test_workers_by_the_number_of_cores(cores: int, pairs: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(cores)))
    media = {"workers": "auto", "rtp_ports": f"10000-{9999 + 2 * pairs}", "shared_ports": min(16, pairs)}
    local, far = wiring.media_workers(settings(media=media))
    assert len(local.terms) == workers
    assert far == ()


def test_no_workers_unless_asked_for() -> None:
    assert wiring.media_workers(settings())[0].terms == ()


def test_adopted_calls_may_be_silent_as_long_as_others() -> None:
    assert wiring.adoption(settings(media={"silence_hangup": 33})).silence == 33.0
    assert wiring.adoption(settings(media={"silence_hangup": "none"})).silence == 60.0
