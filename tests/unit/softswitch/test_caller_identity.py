"""Caller identity to and from trunks: RFC 3323, RFC 3325, and that nothing breaks out of its header."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.headers import NameAddr
from sip.message import Request
from softswitch.caller_identity import (
    ANONYMOUS_FROM,
    MAX_NUMBER,
    CallerIdentity,
    CallerRules,
    NumberRule,
    Numbers,
    shown_name,
)
from softswitch.vocabulary import Party

ALICE = Party("101", "Alice")
HIDDEN = Party("101", "Alice", True)


def written(caller: Party, **rules: object) -> dict[str, str]:
    headers = CallerIdentity(CallerRules(**rules)).write(caller, "gw.example")  # type: ignore[arg-type]
    names = [name for name, _ in headers]
    assert len(names) == len(set(names))
    return dict(headers)


def heard(*headers: tuple[str, str], **rules: object) -> Party:
    request = Request("INVITE", "sip:500@h", list(headers))
    return CallerIdentity(CallerRules(**rules)).read(request)  # type: ignore[arg-type]


# Outwards


def test_a_caller_who_shows_himself() -> None:
    assert written(ALICE) == {"From": '"Alice" <sip:101@gw.example>'}
    assert written(Party("101")) == {"From": "<sip:101@gw.example>"}
    assert written(Party("")) == {"From": ANONYMOUS_FROM}


def test_rfc3323_4_1_1_3_a_caller_who_withholds_himself() -> None:
    """RFC 3323 4.1.1.3: From is "Anonymous" <sip:anonymous@anonymous.invalid>."""
    assert written(HIDDEN) == {"From": '"Anonymous" <sip:anonymous@anonymous.invalid>', "Privacy": "id"}


def test_rfc3325_asserted_identity_goes_to_trusted_trunks_only() -> None:
    """RFC 3325 7: P-Asserted-Identity must not go to one who is not trusted."""
    asserted = {"send": "p-asserted-identity"}
    assert "P-Asserted-Identity" not in written(ALICE, **asserted)
    headers = written(ALICE, trusted=True, **asserted)
    assert headers["P-Asserted-Identity"] == '"Alice" <sip:101@gw.example>'
    headers = written(HIDDEN, trusted=True, **asserted)
    assert headers == {
        "From": ANONYMOUS_FROM,
        "P-Asserted-Identity": '"Alice" <sip:101@gw.example>',
        "Privacy": "id",
    }
    assert "101" not in "".join(written(HIDDEN, **asserted).values())


def test_remote_party_id() -> None:
    rules = {"trusted": True, "send": "remote-party-id"}
    assert written(ALICE, **rules)["Remote-Party-ID"] == (
        '"Alice" <sip:101@gw.example>;party=calling;screen=yes;privacy=off'
    )
    assert written(HIDDEN, **rules)["Remote-Party-ID"].endswith(";privacy=full")
    assert "Remote-Party-ID" not in written(ALICE, send="remote-party-id")


def test_preferred_identity_of_those_who_show_themselves() -> None:
    assert written(ALICE, send="p-preferred-identity")["P-Preferred-Identity"] == '"Alice" <sip:101@gw.example>'
    assert "P-Preferred-Identity" not in written(HIDDEN, send="p-preferred-identity")
    assert "P-Preferred-Identity" in written(HIDDEN, send="p-preferred-identity", trusted=True)


def test_fixed_number_and_name() -> None:
    assert written(ALICE, number="+4930555", name="ACME")["From"] == '"ACME" <sip:+4930555@gw.example>'
    assert written(ALICE, name="")["From"] == "<sip:101@gw.example>"


def test_the_account_in_from_and_the_caller_in_the_identity_header() -> None:
    headers = written(
        ALICE, from_user="u4930555", from_domain="provider.example", trusted=True, send="p-asserted-identity"
    )
    assert headers["From"] == '"Alice" <sip:u4930555@provider.example>'
    assert headers["P-Asserted-Identity"] == '"Alice" <sip:101@provider.example>'


def test_numbers_that_may_not_be_shown() -> None:
    rules = {
        "rewrite_outbound": (NumberRule(match="1..", prepend="+4930555"),),
        "allowed": r"\+4930555[0-9]{3}",
        "default_number": "+4930555000",
    }
    assert written(ALICE, **rules)["From"] == '"Alice" <sip:+4930555101@gw.example>'
    # a number he has no right to: neither it nor the name with it
    assert written(Party("900", "Bank"), **rules)["From"] == "<sip:+4930555000@gw.example>"
    assert written(Party("9" * 500, "Bank"), **rules)["From"] == "<sip:+4930555000@gw.example>"


@given(st.text(max_size=60), st.text(max_size=60), st.booleans())
def test_nothing_breaks_out(number: str, name: str, withheld: bool) -> None:
    rules = CallerRules(trusted=True, send="p-asserted-identity")
    headers = CallerIdentity(rules).write(Party(number, name, withheld), "gw.example")
    request = Request("INVITE", "sip:1@gw.example", headers)
    assert request.encode().count(b"\r\n") == len(headers) + 3
    for header, value in headers:
        if header == "Privacy":
            assert value == "id"
            continue
        address = NameAddr.parse(value)
        if value != ANONYMOUS_FROM:
            assert (address.uri.host, dict(address.uri.params), dict(address.params)) == ("gw.example", {}, {})
            assert address.uri.username == number
            assert address.display == shown_name(name)


# Inwards


FROM = ("From", '"Bob" <sip:+49171@far.example>;tag=1')
ASSERTED = ("P-Asserted-Identity", '"Carol" <sip:+49172@far.example>')
REMOTE = ("Remote-Party-ID", '"Dave" <sip:+49173@far.example>;party=calling;privacy=off')


def test_rfc3325_identity_headers_count_from_trusted_trunks_only() -> None:
    assert heard(FROM, ASSERTED, REMOTE) == Party("+49171", "Bob")
    assert heard(FROM, ASSERTED, REMOTE, trusted=True) == Party("+49172", "Carol")
    assert heard(FROM, REMOTE, trusted=True) == Party("+49173", "Dave")
    assert heard(FROM, trusted=True) == Party("+49171", "Bob")


def test_the_order_of_belief() -> None:
    rules = {"trusted": True, "believe": ("remote-party-id", "from")}
    assert heard(FROM, ASSERTED, REMOTE, **rules) == Party("+49173", "Dave")
    assert heard(FROM, ASSERTED, **rules) == Party("+49171", "Bob")


@pytest.mark.parametrize("privacy", ["id", "user;id", "ID", "header;user", "id;critical"])
def test_rfc3323_privacy_is_heard(privacy: str) -> None:
    assert heard(("From", ANONYMOUS_FROM), ASSERTED, ("Privacy", privacy), trusted=True) == Party(
        "+49172", "Carol", True
    )
    assert heard(FROM, ("Privacy", privacy)).withheld


@pytest.mark.parametrize("privacy", ["none", "session", "header"])
def test_other_kinds_of_privacy_withhold_no_identity(privacy: str) -> None:
    assert not heard(FROM, ("Privacy", privacy)).withheld


def test_anonymous_callers() -> None:
    assert heard(("From", ANONYMOUS_FROM)) == Party("", "", True)
    assert heard(("From", "<sip:Anonymous@far.example>")) == Party("", "", True)
    assert heard(FROM, ("Remote-Party-ID", "<sip:1@h>;privacy=full"), trusted=True) == Party("1", "", True)


def test_asserted_tel_uri_and_lists() -> None:
    """RFC 3325 9.1: one or two values, sip and tel."""
    asserted = ("P-Asserted-Identity", '"Ann" <tel:+49-(171).22;phone-context=x>, <sip:ann@far.example>')
    assert heard(FROM, asserted, trusted=True) == Party("+4917122", "Ann")


@pytest.mark.parametrize("broken", ["<sip:", "", '"x', "<<>>", "sip:a@b, <"])
def test_a_broken_identity_header_is_passed_over(broken: str) -> None:
    assert heard(FROM, ("P-Asserted-Identity", broken), trusted=True) == Party("+49171", "Bob")


def test_nobody_named() -> None:
    assert heard(("From", "<sip:")) == Party("", "")
    assert heard(("From", "<sip:far.example>")) == Party("", "")


def test_what_is_heard_is_inert() -> None:
    caller = heard(("From", '"=cmd|\x07\x1b[31mA\\"B" <sip:%0d%0aX:%20;ext=5@far.example>'))
    assert not re.search(r"[\x00-\x1f\x7f]", caller.number + caller.name)
    assert heard(("From", f"<sip:{'9' * 500}@h>")).number == "9" * MAX_NUMBER


def test_telephone_subscriber_parameters_are_not_the_number() -> None:
    assert heard(("From", "<sip:+49171;phone-context=x@far.example;user=phone>")) == Party("+49171")


def test_inbound_rewriting() -> None:
    rules = {"rewrite_inbound": (NumberRule(match=r"\+49.*", strip=3, prepend="0"), NumberRule(prepend="00"))}
    assert heard(FROM, **rules).number == "0171"
    assert heard(("From", "<sip:33123@h>"), **rules).number == "0033123"


# Numbers


def test_the_first_rule_that_matches() -> None:
    numbers = Numbers(
        (
            NumberRule(match="0[1-9].*", strip=1, prepend="+49"),
            NumberRule(match="00(.*)", replace=r"+\1"),
            NumberRule(match=r"(?P<a>\d)(?P<b>\d)", replace=r"\g<b>\g<a>", strip=1, prepend="x"),
        )
    )
    assert numbers.rewrite("030555") == "+4930555"
    assert numbers.rewrite("0033123") == "+33123"
    assert numbers.rewrite("12") == "x1"
    assert numbers.rewrite("123") == "123"
    assert numbers.rewrite("") == ""


def test_a_rule_matches_the_whole_number_and_what_is_put_in_front_is_literal() -> None:
    assert Numbers((NumberRule(match="1", prepend="9"),)).rewrite("11") == "11"
    assert Numbers((NumberRule(prepend=r"\1"),)).rewrite("5") == r"\15"


def test_too_long_to_look_at() -> None:
    assert Numbers((NumberRule(prepend="9"),)).rewrite("1" * 129) == "1" * 129


def test_a_bad_pattern_is_refused() -> None:
    with pytest.raises(re.error):
        Numbers((NumberRule(match="("),))


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50), st.text(max_size=20))
def test_whatever_a_trunk_says_a_party_comes_of_it(first: str, second: str, third: str, privacy: str) -> None:
    headers = [
        ("From", f'"{first}" <sip:{second}@h>'),
        ("P-Asserted-Identity", first),
        ("Remote-Party-ID", f"<sip:{third}@h>;privacy={second}"),
        ("Privacy", privacy),
    ]
    party = heard(*headers, trusted=True)
    assert len(party.number) <= MAX_NUMBER
    assert not re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", party.number + party.name)
