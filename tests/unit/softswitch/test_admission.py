"""Who is calling: trunks by address or credentials, extensions by digest, nobody else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sip.digest import Credentials, DigestClient
from sip.effects import Flow
from sip.ids import Ids
from sip.message import Request
from sip.parser import parse
from sip.timers import TimerHeap
from softswitch.admission import Accounts, Admission, AdmissionSettings, Challenge, ExtensionAccount, Known, Refuse
from softswitch.security_log import SecurityLog
from softswitch.trunks import TrunkConfig

PHONE = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 0)
STRANGER = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.66", 5060), 0)
CARRIER = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.5", 5060), 0)

ALICE = ExtensionAccount(extension="101", password="wonderland")
BOB = ExtensionAccount(extension="102", username="bob-desk", password="builder", sources=("192.0.2.0/24",))
CLARA = ExtensionAccount(extension="103", password="tcp-only", transports=("tcp",))
BY_ADDRESS = TrunkConfig(name="carrier", inbound="address", sources=("203.0.113.0/24",))
BY_PORT = TrunkConfig(name="other", inbound="address", sources=("203.0.113.5:5080",))
BY_LOGIN = TrunkConfig(name="peer", inbound="credentials", inbound_username="peer", inbound_password="pw-peer")
BY_BOTH = TrunkConfig(
    name="strict",
    inbound="credentials",
    inbound_username="strict",
    inbound_password="pw-strict",
    sources=("203.0.113.200",),
)
ONE_WAY = TrunkConfig(name="one-way", inbound="none", sources=("198.51.100.66",))


def make(**settings: float) -> Admission:
    admission = Admission(AdmissionSettings(**settings), Ids(3))  # type: ignore[arg-type]
    admission.configure([ALICE, BOB, CLARA], [BY_ADDRESS, BY_PORT, BY_LOGIN, BY_BOTH, ONE_WAY])
    return admission


def request(
    method: str = "INVITE", user: str = "101", authorization: str | None = None, from_user: str = "101"
) -> Request:
    uri = "sip:192.0.2.1" if method == "REGISTER" else "sip:500@192.0.2.1"
    lines = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1",
        "Max-Forwards: 70",
        f"From: <sip:{from_user}@192.0.2.1>;tag=f1",
        f"To: <sip:{user}@192.0.2.1>",
        "Call-ID: c1",
        f"CSeq: 1 {method}",
        *([f"Authorization: {authorization}"] if authorization is not None else []),
        "Content-Length: 0",
        "",
        "",
    ]
    parsed = parse("\r\n".join(lines).encode())
    assert isinstance(parsed, Request)
    return parsed


def nonce_of(asked: object) -> str:
    assert isinstance(asked, Challenge)
    return asked.headers[0][1].partition('nonce="')[2].partition('"')[0]


def sign_in(
    admission: Admission,
    username: str,
    password: str,
    flow: Flow = PHONE,
    method: str = "INVITE",
    user: str = "101",
    now: float = 1.0,
    algorithm: str = "SHA-256",
    from_user: str = "101",
    signed_method: str = "",
    signed_uri: str = "",
) -> object:
    """What the second request gets, with credentials for the challenge the first one got."""
    first = admission.identify(request(method, user), flow, now)
    if not isinstance(first, Challenge):
        return first
    offered = [(name, value) for name, value in first.headers if f"algorithm={algorithm}" in value]
    uri = signed_uri or ("sip:192.0.2.1" if method == "REGISTER" else "sip:500@192.0.2.1")
    answer = DigestClient(Ids(5)).answer(offered, signed_method or method, uri, Credentials(username, password))
    assert answer is not None
    return admission.identify(request(method, user, answer[1], from_user), flow, now)


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_an_extension_by_digest(algorithm: str) -> None:
    assert sign_in(make(), "101", "wonderland", algorithm=algorithm) == Known(ALICE)


def test_rfc8760_sha256_is_offered_first_and_md5_by_setting() -> None:
    challenge = make().identify(request(), PHONE, 0.0)
    assert isinstance(challenge, Challenge)
    assert ["algorithm=SHA-256" in value for _, value in challenge.headers] == [True, False]
    assert {name for name, _ in challenge.headers} == {"WWW-Authenticate"}
    assert challenge.status == 401
    strict = Admission(AdmissionSettings(algorithms=("SHA-256",)), Ids(3))
    strict.configure([ALICE], [])
    challenge = strict.identify(request(), PHONE, 0.0)
    assert isinstance(challenge, Challenge)
    assert len(challenge.headers) == 1


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "OPTIONS", "REGISTER", "BYE"])
def test_default_deny(method: str) -> None:
    assert isinstance(make().identify(request(method), STRANGER, 0.0), Challenge)


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_rfc3261_22_1_ack_and_cancel_are_not_challenged(method: str) -> None:
    assert make().identify(request(method), STRANGER, 0.0) == Refuse(403, "Forbidden")


def test_a_trunk_by_address_longest_prefix_and_port() -> None:
    admission = make()
    assert admission.identify(request(), CARRIER, 0.0) == Known(BY_ADDRESS)
    assert admission.identify(request(), CARRIER._replace(remote=("203.0.113.5", 5080)), 0.0) == Known(BY_PORT)
    assert isinstance(admission.identify(request(), STRANGER, 0.0), Challenge)


def test_a_trunk_by_address_never_needs_nor_uses_credentials() -> None:
    """By address or by credentials, never both loosely: what a trunk's address sends is the trunk's."""
    bad = 'Digest username="101", realm="softswitch", nonce="x", uri="sip:x", response="0"'
    assert make().identify(request(authorization=bad), CARRIER, 0.0) == Known(BY_ADDRESS)


def test_a_trunk_by_credentials_is_not_known_by_address() -> None:
    admission = make()
    assert isinstance(admission.identify(request(), CARRIER._replace(remote=("203.0.114.200", 5060)), 0.0), Challenge)
    assert sign_in(admission, "peer", "pw-peer", STRANGER) == Known(BY_LOGIN)
    assert isinstance(sign_in(admission, "peer", "wrong", STRANGER), Challenge)


def test_credentials_and_address_where_both_are_asked_for() -> None:
    admission = Admission(AdmissionSettings(), Ids(3))
    admission.configure([], [BY_BOTH])
    there = CARRIER._replace(remote=("203.0.113.200", 5060))
    assert sign_in(admission, "strict", "pw-strict", there) == Known(BY_BOTH)
    assert isinstance(sign_in(admission, "strict", "pw-strict", STRANGER), Challenge)


def test_a_trunk_that_may_not_call_is_a_stranger() -> None:
    assert isinstance(make().identify(request(), STRANGER, 0.0), Challenge)


def test_an_extension_only_from_its_sources_and_over_its_transports() -> None:
    admission = make()
    assert sign_in(admission, "bob-desk", "builder") == Known(BOB)
    assert isinstance(sign_in(admission, "bob-desk", "builder", STRANGER), Challenge)
    assert isinstance(sign_in(admission, "103", "tcp-only"), Challenge)
    assert sign_in(admission, "103", "tcp-only", PHONE._replace(transport="tcp", connection=3)) == Known(CLARA)


def test_who_calls_is_whose_credentials_they_are_whatever_from_says() -> None:
    identity = sign_in(make(), "101", "wonderland", from_user="1000")
    assert isinstance(identity, Known)
    assert (identity.kind, identity.name) == ("extension", "101")


def test_register_only_for_oneself() -> None:
    """RFC 3261 10.3 item 4: not authorized to modify the address-of-record: 403."""
    admission = make()
    assert sign_in(admission, "101", "wonderland", method="REGISTER", user="101") == Known(ALICE)
    assert sign_in(admission, "101", "wonderland", method="REGISTER", user="102") == Refuse(403, "Forbidden")
    assert sign_in(admission, "bob-desk", "builder", method="REGISTER", user="102") == Known(BOB)
    assert sign_in(admission, "bob-desk", "builder", method="REGISTER", user="bob-desk") == Refuse(403, "Forbidden")
    assert sign_in(admission, "peer", "pw-peer", method="REGISTER", user="peer") == Refuse(403, "Forbidden")


def test_register_from_inside_a_trunks_network_is_a_phones() -> None:
    admission = make()
    assert isinstance(admission.identify(request("REGISTER"), CARRIER, 0.0), Challenge)
    assert sign_in(admission, "101", "wonderland", CARRIER, method="REGISTER") == Known(ALICE)


def test_stale_nonce_is_told_and_the_new_one_works() -> None:
    admission = make(nonce_lifetime=30.0)
    first = admission.identify(request(), PHONE, 0.0)
    assert isinstance(first, Challenge)
    client = DigestClient(Ids(5))
    answer = client.answer(first.headers, "INVITE", "sip:500@192.0.2.1", Credentials("101", "wonderland"))
    assert answer is not None
    late = admission.identify(request(authorization=answer[1]), PHONE, 31.0)
    assert isinstance(late, Challenge)
    assert all("stale=true" in value for _, value in late.headers)
    again = client.answer(late.headers, "INVITE", "sip:500@192.0.2.1", Credentials("101", "wonderland"))
    assert again is not None
    assert admission.identify(request(authorization=again[1]), PHONE, 31.5) == Known(ALICE)


def test_a_replay_is_refused() -> None:
    admission = make()
    first = admission.identify(request(), PHONE, 0.0)
    assert isinstance(first, Challenge)
    answer = DigestClient(Ids(5)).answer(first.headers, "INVITE", "sip:500@192.0.2.1", Credentials("101", "wonderland"))
    assert answer is not None
    assert admission.identify(request(authorization=answer[1]), PHONE, 1.0) == Known(ALICE)
    assert isinstance(admission.identify(request(authorization=answer[1]), PHONE, 1.0), Challenge)
    assert admission.counters["replayed"] == 1
    assert isinstance(admission.identify(request(authorization=answer[1]), STRANGER, 1.0), Challenge)
    assert admission.counters["stale"] == 1  # the nonce was not his


def test_digest_is_bound_to_method_and_uri() -> None:
    admission = make()
    assert isinstance(sign_in(admission, "101", "wonderland", signed_method="OPTIONS"), Challenge)
    assert isinstance(sign_in(admission, "101", "wonderland", signed_uri="sip:501@192.0.2.1"), Challenge)


def shape(answer: object) -> list[tuple[str, str]]:
    """A challenge without its nonces."""
    assert isinstance(answer, Challenge)
    return [(name, re.sub('nonce="[0-9a-f]+"', "nonce", value)) for name, value in answer.headers]


def test_unknown_users_get_what_wrong_passwords_get() -> None:
    wrong = sign_in(make(), "101", "guess")
    assert shape(sign_in(make(), "nobody", "guess")) == shape(wrong)
    assert shape(sign_in(make(), "bob-desk", "builder", STRANGER)) == shape(wrong)
    assert shape(sign_in(make(), "peer", "guess")) == shape(wrong)


def test_a_source_that_failed_too_often_is_refused_unread() -> None:
    admission = make(source_failures=3.0)
    for _ in range(3):
        assert isinstance(sign_in(admission, "101", "guess", STRANGER), Challenge)
    assert admission.identify(request(), STRANGER, 1.0) == Refuse(403, "Forbidden")
    # no oracle: the right password is refused alike
    assert sign_in(admission, "101", "wonderland", STRANGER) == Refuse(403, "Forbidden")
    assert sign_in(admission, "101", "wonderland", PHONE) == Known(ALICE)
    assert sign_in(admission, "101", "wonderland", STRANGER, now=100.0) == Known(ALICE)


def test_a_user_under_attack_signs_in_at_its_own_address_and_nowhere_new() -> None:
    admission = make(source_failures=3.0, user_failures=5.0)
    assert sign_in(admission, "101", "wonderland", PHONE) == Known(ALICE)
    for number in range(5):
        sign_in(admission, "101", "guess", STRANGER._replace(remote=(f"198.51.100.{number}", 5060)))
    new = STRANGER._replace(remote=("198.51.100.200", 5060))
    wrong, right = sign_in(admission, "101", "guess", new), sign_in(admission, "101", "wonderland", new)
    assert shape(wrong) == shape(right)
    assert sign_in(admission, "101", "wonderland", PHONE) == Known(ALICE)


def test_unknown_users_are_backed_off_from_alike() -> None:
    admission = make(source_failures=1000.0, user_failures=2.0)
    for user in ("101", "nobody"):
        for _ in range(4):
            sign_in(admission, user, "guess", STRANGER)
    assert admission.counters["backed_off"] == 4


def test_phones_behind_the_attackers_nat_go_on() -> None:
    admission = make(source_failures=3.0)
    assert sign_in(admission, "101", "wonderland", PHONE) == Known(ALICE)
    for number in range(20):
        sign_in(admission, f"x{number}", "guess", PHONE._replace(remote=("192.0.2.9", 6000)))
    assert sign_in(admission, "101", "wonderland", PHONE) == Known(ALICE)
    assert isinstance(sign_in(admission, "bob-desk", "builder", PHONE), Challenge)


def test_a_restored_binding_keeps_its_phone_from_being_locked_out() -> None:
    admission = make(source_failures=3.0)
    admission.signed_in_at("101", PHONE)
    admission.signed_in_at("gone", PHONE)
    for number in range(20):
        sign_in(admission, f"x{number}", "guess", PHONE)
    assert sign_in(admission, "101", "wonderland", PHONE) == Known(ALICE)


def test_what_cannot_be_checked_is_no_guess() -> None:
    admission = make(source_failures=1.0)
    for value in (
        "Basic Zm9v",
        "Digest",
        'Digest username="101", realm="other", nonce="x", uri="u", response="y"',
        '"',
    ):
        assert isinstance(admission.identify(request(authorization=value), PHONE, 0.0), Challenge)
    assert isinstance(admission.identify(request(), PHONE, 0.0), Challenge)


def test_the_right_header_among_credentials_for_several_realms() -> None:
    admission = make()
    first = admission.identify(request(), PHONE, 0.0)
    assert isinstance(first, Challenge)
    answer = DigestClient(Ids(5)).answer(first.headers, "INVITE", "sip:500@192.0.2.1", Credentials("101", "wonderland"))
    assert answer is not None
    asked = request()
    asked.add("Authorization", 'Digest username="x", realm="elsewhere", nonce="1", uri="sip:x", response="0"')
    asked.add("Authorization", answer[1])
    assert admission.identify(asked, PHONE, 1.0) == Known(ALICE)


def test_reload_swaps_all_or_nothing() -> None:
    admission = make()
    with pytest.raises(ValueError, match="two accounts"):
        admission.configure([ALICE, ExtensionAccount(extension="9", username="101", password="x")], [])
    with pytest.raises(ValueError, match="two owners"):
        admission.configure([], [BY_ADDRESS, TrunkConfig(name="z", inbound="address", sources=("203.0.113.0/24",))])
    with pytest.raises(ValueError, match="needs a digest user name and a password"):
        admission.configure([ExtensionAccount(extension="9", password="")], [])
    assert sign_in(admission, "101", "wonderland") == Known(ALICE)
    admission.configure([ExtensionAccount(extension="101", password="new")], [])
    assert isinstance(sign_in(admission, "101", "wonderland"), Challenge)
    assert isinstance(admission.identify(request(), CARRIER, 0.0), Challenge)
    assert isinstance(sign_in(admission, "101", "new"), Known)


def test_reload_of_realm_and_algorithms() -> None:
    admission = make()
    admission.configure([ALICE], [], AdmissionSettings(realm="other", algorithms=("MD5",)))
    challenge = admission.identify(request(), PHONE, 0.0)
    assert isinstance(challenge, Challenge)
    assert [value.startswith('Digest realm="other"') for _, value in challenge.headers] == [True]
    assert sign_in(admission, "101", "wonderland", algorithm="MD5") == Known(ALICE)


def test_changed_accounts_are_told() -> None:
    settings = AdmissionSettings()
    before = Accounts([ALICE, BOB, CLARA], [], settings)
    after = Accounts([ALICE, ExtensionAccount(extension="102", username="bob-desk", password="new")], [], settings)
    assert sorted(before.changed_extensions(after)) == ["102", "103"]


def test_other_methods_are_405_to_the_known_and_a_challenge_to_strangers() -> None:
    """RFC 3261 21.4.6: 405 "MUST include an Allow header field"."""
    admission = make()
    response = admission.refuse_other(request("MESSAGE"), CARRIER, 0.0)
    assert (response.status, "INVITE" in response.allow) == (405, True)
    response = admission.refuse_other(request("MESSAGE"), STRANGER, 0.0)
    assert (response.status, response.has("WWW-Authenticate"), response.has("Allow")) == (401, True, False)
    assert response.to_tag
    assert admission.refuse_other(request("ACK"), STRANGER, 0.0).status == 403


def test_secrets_are_not_printed() -> None:
    for value in (ALICE, BY_LOGIN, Known(ALICE), Known(BY_LOGIN)):
        assert "wonderland" not in repr(value)
        assert "pw-peer" not in repr(value)


def test_a_user_name_of_megabytes_is_not_remembered() -> None:
    admission = make()
    sign_in(admission, "x" * 5000, "guess", STRANGER)
    assert max(map(len, admission._guessing._users._scores)) == 64


@given(
    st.one_of(
        st.text(max_size=80), st.builds('Digest username="{}", realm="softswitch", {}'.format, st.text(), st.text())
    )
)
def test_whatever_stands_in_authorization_nobody_gets_in(value: str) -> None:
    asked = request()
    asked.add("Authorization", value)
    assert isinstance(make().identify(asked, STRANGER, 0.0), Challenge)


# What is logged of failures


def watched(**settings: float) -> Admission:
    admission = Admission(AdmissionSettings(**settings), Ids(3), SecurityLog(TimerHeap()))  # type: ignore[arg-type]
    admission.configure([ALICE, BOB, CLARA], [BY_ADDRESS, BY_LOGIN])
    return admission


@pytest.mark.parametrize(
    ("username", "password", "flow", "reason"),
    [
        ("101", "guess", STRANGER, "wrong-password"),
        ("nobody", "guess", STRANGER, "unknown-user"),
        ("bob-desk", "builder", STRANGER, "source-not-allowed"),
        ("103", "tcp-only", STRANGER, "source-not-allowed"),
    ],
)
def test_a_failure_is_logged_with_its_reason(username: str, password: str, flow: Flow, reason: str) -> None:
    with capture_logs() as entries:
        sign_in(watched(), username, password, flow)
    assert entries == [
        {
            "event": "authentication failed",
            "log_level": "warning",
            "source": "198.51.100.66",
            "port": 5060,
            "transport": "udp",
            "method": "INVITE",
            "reason": reason,
            "user": username,
        }
    ]


def test_threat_5_a_nonce_given_to_another_address_brings_no_failure_upon_this_one() -> None:
    admission = watched(source_failures=1)
    asked = admission.identify(request(), STRANGER, 1.0)
    assert isinstance(asked, Challenge)
    nonce = asked.headers[0][1].partition('nonce="')[2].partition('"')[0]
    header = (
        f'Digest username="101", realm="softswitch", nonce="{nonce}", uri="sip:x", response="c0ffee", nc=00000001, '
    )
    for _ in range(5):
        forged = admission.identify(request(authorization=header + 'cnonce="c", qop=auth'), PHONE, 1.0)
        assert isinstance(forged, Challenge)
    assert (admission.counters["failed"], admission.counters["stale"]) == (0, 5)
    sign_in(admission, "101", "wonderland")
    assert admission.counters["known"] == 1


def test_no_secret_is_logged_and_no_success() -> None:
    admission = watched()
    with capture_logs() as entries:
        sign_in(admission, "101", "wonderland")
        admission.identify(request(), PHONE, 1.0)
        admission.identify(request(), CARRIER, 1.0)
    assert entries == []
    asked = admission.identify(request(), STRANGER, 1.0)
    assert isinstance(asked, Challenge)
    nonce = asked.headers[0][1].partition('nonce="')[2].partition('"')[0]
    header = (
        f'Digest username="101", realm="softswitch", nonce="{nonce}", uri="sip:x", response="c0ffee", nc=00000001, '
    )
    with capture_logs() as entries:
        admission.identify(request(authorization=header + 'cnonce="s3cret", qop=auth'), STRANGER, 1.0)
        admission.identify(request(authorization=header.replace("softswitch", "other")), STRANGER, 1.0)
    assert [entry["reason"] for entry in entries] == ["wrong-password", "unreadable"]
    assert not re.search(f"{nonce}|c0ffee|s3cret", str(entries))


def test_another_extensions_registration_is_logged() -> None:
    with capture_logs() as entries:
        sign_in(watched(), "101", "wonderland", method="REGISTER", user="103")
    assert [(entry["reason"], entry["user"]) for entry in entries] == [("other-extension", "101")]


def test_the_moment_of_backing_off_is_logged() -> None:
    admission = watched(source_failures=3, user_failures=5)
    with capture_logs() as entries:
        for n in range(8):
            flow = Flow("udp", ("192.0.2.1", 5060), (f"198.51.100.{n // 4}", 5060), 0)
            sign_in(admission, "101", "guess", flow, now=1.0)
    told = [(entry["what"], entry["source"]) for entry in entries if entry["event"] == "backed off"]
    assert told == [("source", "198.51.100.0"), ("user", "198.51.100.1"), ("source", "198.51.100.1")]
    with capture_logs() as entries:
        sign_in(watched(), "101", "wonderland")
    admission = watched(source_failures=3)
    sign_in(admission, "101", "wonderland")
    with capture_logs() as entries:
        for _ in range(4):
            sign_in(admission, "101", "guess")
    told = [(entry["what"], entry["user"]) for entry in entries if entry["event"] == "backed off"]
    assert told == [("user at source", "101")]
    assert [entry["reason"] for entry in entries if "reason" in entry] == ["wrong-password"] * 4


def test_a_right_password_that_is_not_tried_says_so() -> None:
    admission = watched(user_failures=2)
    for n in range(2):
        sign_in(admission, "101", "guess", Flow("udp", ("192.0.2.1", 5060), (f"198.51.100.{n}", 5060), 0))
    with capture_logs() as entries:
        sign_in(admission, "101", "wonderland", STRANGER)
    assert [entry["reason"] for entry in entries] == ["backed-off"]
