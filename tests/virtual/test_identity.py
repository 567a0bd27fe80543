"""Who is believed, what is told, and what stays on its own leg."""

from __future__ import annotations

import pytest

from sip.ua_events import SessionFailed
from tests.virtual.network import World, settings

OWN = {
    "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "User-Agent", "Allow", "Allow-Events",
    "Supported", "Content-Type", "Content-Length", "Session-Expires",
}  # fmt: skip
SECRETS = (
    ("Authorization", 'Digest username="other", realm="elsewhere", nonce="n", uri="sip:x", response="r"'),
    ("P-Asserted-Identity", "<sip:999@192.0.2.1>"),
    ("Remote-Party-ID", "<sip:999@192.0.2.1>;party=calling"),
    ("P-Preferred-Identity", "<sip:999@192.0.2.1>"),
    ("X-Internal", "not for others"),
    ("Subject", "also not"),
    ("Referred-By", "<sip:999@192.0.2.1>"),
    ("Diversion", "<sip:999@192.0.2.1>"),
    ("History-Info", "<sip:999@192.0.2.1>;index=1"),
    ("User-Agent", "Ann's phone 1.0"),
    ("Call-Info", "<http://192.0.2.9/a.jpg>;purpose=icon"),
    ("Alert-Info", "<http://192.0.2.9/ring.wav>"),
)


def test_only_listed_headers_pass_from_leg_to_leg() -> None:
    world = World(settings(sip={"pass_headers": ["X-Internal"]}))
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    session = caller.dial("102", headers=SECRETS)
    world.run(0.5)
    invite = ben.invited()
    assert {name for name, _ in invite.headers} <= OWN | {"X-Internal"}
    assert invite.get("X-Internal") == "not for others"
    assert invite.get("User-Agent") == "softswitch"
    assert caller.ua.sessions[session.id].call_id != invite.call_id
    caller.do(session.cancel)
    world.assert_over()


def test_nothing_passes_where_nothing_is_listed_and_nothing_comes_back() -> None:
    world = World()
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    session = caller.dial("102", headers=SECRETS)
    world.run(0.5)
    assert {name for name, _ in ben.invited().headers} <= OWN
    ben.do(ben.called().progress, 180, None, headers=(("X-Secret", "1"), ("Alert-Info", "<http://x>")))
    ben.do(ben.called().accept, ben.sdp(), headers=(("X-Secret", "1"),))
    world.run(0.5)
    for seen in world.link.wire:
        if seen.receiver == caller.host:
            assert not seen.message.has("X-Secret")
            assert not seen.message.has("Alert-Info")
    caller.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize(
    "headers",
    [
        (("From", '"The Boss" <sip:100@192.0.2.1>'),),
        (("P-Asserted-Identity", '"The Boss" <sip:100@192.0.2.1>'),),
        (("From", "<sip:100@192.0.2.1>"), ("Remote-Party-ID", "<sip:100@192.0.2.1>")),
    ],
)
@pytest.mark.parametrize("number", ["102", "0123"])
def test_an_extension_is_shown_by_its_own_identity(headers: tuple[tuple[str, str], ...], number: str) -> None:
    """THREATS: another's From or P-Asserted-Identity is overridden by the authenticated identity."""
    world = World()
    ann, ben, gateway = world.phone("101"), world.phone("102"), world.gateway("192.0.2.51")
    session = ann.dial(number, headers=headers)
    world.run(0.5)
    invite = (gateway if number == "0123" else ben).invited()
    assert invite.from_.uri.user == "101"
    assert invite.from_.display == "Phone 101"
    assert "100" not in "".join(value for name, value in invite.headers if name.startswith(("P-", "Remote", "From")))
    ann.do(session.cancel)
    [record] = world.assert_over()
    assert (record.caller_number, record.caller_name) == ("101", "Phone 101")


@pytest.mark.parametrize("privacy", ["id", "user", "header;id;critical", "USER"])
@pytest.mark.parametrize("number", ["102", "0123"])
def test_rfc3323_a_caller_who_asks_for_privacy_stays_unnamed(privacy: str, number: str) -> None:
    world = World()
    ann, ben, gateway = world.phone("101"), world.phone("102"), world.gateway("192.0.2.51")
    session = ann.dial(number, headers=(("Privacy", privacy),))
    world.run(0.5)
    invite = (gateway if number == "0123" else ben).invited()
    assert invite.from_.uri.host == "anonymous.invalid"
    assert "101" not in invite.encode().decode().replace("a=rtpmap:101", "").split("\r\n\r\n")[0]
    ann.do(session.cancel)
    [record] = world.assert_over()
    assert record.caller_number == "101"  # the operator may know


@pytest.mark.parametrize("privacy", ["none", "history", "session"])
def test_rfc3323_other_privacy_values_withhold_no_name(privacy: str) -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", headers=(("Privacy", privacy),))
    world.run(0.5)
    assert ben.invited().from_.uri.user == "101"
    ann.do(session.cancel)
    world.assert_over()


@pytest.mark.parametrize("caller", ["<sip:anonymous@anonymous.invalid>", "<sip:x@Anonymous.Invalid>"])
def test_an_anonymous_from_withholds_the_name(caller: str) -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", caller=caller)
    world.run(0.5)
    assert ben.invited().from_.uri.host == "anonymous.invalid"
    ann.do(session.cancel)
    world.assert_over()


def test_strangers_are_challenged_and_reach_nobody() -> None:
    world = World()
    stranger, ben = world.gateway("192.0.2.250"), world.phone("102")
    stranger.dial("102")
    world.run(0.5)
    assert stranger.last(SessionFailed).status == 401
    assert not ben.got("INVITE")
    world.run(40.0)
    assert world.records == []
    assert world.node.leftovers() == {}


@pytest.mark.parametrize(
    "number",
    ["101;x=y", "0%3B%26%24%7B%7D", "0..%2F..%2F", "0?X=1", "0%00", "0%0D%0AX-Evil:%201", "0<>\"'", "0%40evil"],
)
def test_what_is_dialled_is_literal(number: str) -> None:
    """THREATS: `;`, `&`, `${}`, `../`, `?X=`, `%00` mean nothing but themselves."""
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    quoted = number.replace("<", "%3C").replace(">", "%3E").replace('"', "%22")
    ann.dial(quoted)
    world.run(0.5)
    for seen in world.link.seen("INVITE"):
        if seen.receiver == gateway.host:
            request = seen.message
            assert request.request_uri.host == gateway.host  # type: ignore[union-attr]
            assert not request.has("X-Evil")
            assert request.to.uri.host == gateway.host
    for session in list(ann.ua.sessions.values()):
        ann.do(session.hangup)
    world.run(5.0)
    assert len(world.records) <= 1
    world.assert_over(len(world.records))


def test_names_with_control_characters_are_inert() -> None:
    world = World(settings(trunks={"south": {"caller_id": {"trusted": True}}}))
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    session = caller.dial("102", caller='"=cmd|\x1b[31m<script>\x07" <sip:4711@192.0.2.60>')
    world.run(0.5)
    display = ben.invited().from_.display
    assert not any(ord(character) < 32 for character in display)
    caller.do(session.cancel)
    [record] = world.assert_over()
    assert not any(ord(character) < 32 for character in record.caller_name)


def test_credentials_for_a_trunk_go_to_its_realm_alone() -> None:
    """THREATS: a peer that challenges our BYE for another realm learns nothing."""
    account = {"account": {"username": "we", "password": "trunk secret", "realm": "theirs"}}
    world = World(settings(trunks={"north": account}))
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    ann.dial("0123")
    world.run(0.5)
    gateway.refuse(407, (("Proxy-Authenticate", 'Digest realm="evil", nonce="n", qop="auth", algorithm=MD5'),))
    world.run(1.0)
    assert ann.last(SessionFailed).status == 403
    assert not any(seen.message.has("Proxy-Authorization") for seen in world.link.wire if seen.receiver == gateway.host)
    world.assert_over()


def test_endless_challenges_end() -> None:
    account = {"account": {"username": "we", "password": "trunk secret", "realm": "theirs"}}
    world = World(settings(trunks={"north": account}))
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")

    def challenge(event: object, now: float) -> None:
        if type(event).__name__ == "SessionArrived":
            value = f'Digest realm="theirs", nonce="{now}", qop="auth", algorithm=MD5'
            event.session.reject(401, None, (("WWW-Authenticate", value),), now)  # type: ignore[attr-defined]

    gateway.on_event = challenge  # type: ignore[assignment]
    ann.dial("0123")
    world.run(5.0)
    assert ann.last(SessionFailed).status == 403
    assert 2 <= len(gateway.got("INVITE")) <= 3
    world.assert_over()
