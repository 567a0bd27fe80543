"""Diversion (RFC 5806) and History-Info (RFC 7044) between headers and the call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.diversion import diversions_of, history_of
from sip.headers import NameAddr
from sip.message import Request
from sip.uri import Uri
from softswitch.diverting import UNNAMED, DiversionStyle, read, summary, write
from softswitch.vocabulary import Diverted

TARGET = Uri.parse("sip:0171555@192.0.2.51")


def invite(*headers: tuple[str, str]) -> Request:
    return Request("INVITE", "sip:102@192.0.2.1", list(headers))


def shown(*diverted: Diverted) -> list[tuple[Diverted, NameAddr]]:
    """As a trunk is shown them: withheld ones not."""
    return [
        (each, UNNAMED if each.withheld else NameAddr(each.name, Uri("sip", each.number, host="192.0.2.1")))
        for each in diverted
    ]


def test_rfc5806_the_newest_diversion_comes_first() -> None:
    headers = write(
        "diversion", shown(Diverted("102", "no-answer", "Ben", own=True), Diverted("030123", "user-busy")), TARGET
    )
    assert headers == [
        ("Diversion", '"Ben" <sip:102@192.0.2.1>;reason=no-answer;counter=1;privacy=off;screen=yes'),
        ("Diversion", "<sip:030123@192.0.2.1>;reason=user-busy;counter=1;privacy=off"),
    ]


def test_rfc7044_each_target_is_below_the_one_that_was_left_for_it() -> None:
    headers = write("history-info", shown(Diverted("102", "no-answer"), Diverted("030123", "user-busy")), TARGET)
    assert [value for _, value in headers] == [
        "<sip:030123@192.0.2.1?Reason=SIP%3Bcause%3D486>;index=1",
        "<sip:102@192.0.2.1?Reason=SIP%3Bcause%3D408>;index=1.1;mp=1",
        "<sip:0171555@192.0.2.51>;index=1.1.1;mp=1.1",
    ]


def test_who_withholds_the_number_is_counted_and_not_named() -> None:
    hidden = Diverted("030123", "user-busy", "Secret", withheld=True)
    headers = write("both", shown(hidden), TARGET)
    assert "030123" not in str(headers)
    assert "Secret" not in str(headers)
    diverted, count = read(invite(*headers), str)
    assert (diverted[0].withheld, diverted[0].reason, count) == (True, "user-busy", 1)
    assert "Privacy=history" in headers[1][1]


def test_nothing_is_written_of_a_call_that_came_straight_here_nor_where_nobody_wants_it() -> None:
    assert write("both", [], TARGET) == []
    assert write("none", shown(Diverted("102", "no-answer")), TARGET) == []


@pytest.mark.parametrize("style", ["diversion", "history-info", "both"])
def test_what_is_written_is_read(style: DiversionStyle) -> None:
    who = (Diverted("102", "no-answer", "Ben"), Diverted("030123", "user-busy"), Diverted("104", "unconditional"))
    diverted, count = read(invite(*write(style, shown(*who), TARGET)), str)
    assert (diverted, count) == (who, 3)


def test_the_counter_counts_for_all_that_an_entry_stands_for() -> None:
    header = ("Diversion", "<sip:030123@carrier.example>;reason=time-of-day;counter=4, <tel:+49-30-99>;reason=x-odd")
    diverted, count = read(invite(header), lambda number: f"0{number}")
    assert diverted == (Diverted("0030123", "time-of-day"), Diverted("0+493099", "unknown"))
    assert count == 5


@pytest.mark.parametrize(
    "headers",
    [
        (("Diversion", "<sip:030123@carrier.example>;reason=user-busy;privacy=full"),),
        (("Diversion", "<sip:anonymous@anonymous.invalid>;reason=user-busy"),),
        (("History-Info", "<sip:030123@a.example?Reason=SIP%3Bcause%3D486&Privacy=history>;index=1"),),
        (("History-Info", "<sip:030123@a.example?Reason=SIP%3Bcause%3D486>;index=1"), ("Privacy", "id;history")),
    ],
)
def test_privacy_in_any_of_its_forms(headers: tuple[tuple[str, str], ...]) -> None:
    [diverted], _ = read(invite(*headers), str)
    assert diverted.withheld
    assert diverted.reason == "user-busy"


def test_an_entry_that_can_not_be_read_costs_no_call() -> None:
    headers = (("Diversion", "nonsense"), ("Diversion", "<sip:030123@a.example>;reason=user-busy"))
    diverted, count = read(invite(*headers, ("History-Info", "<<>>")), str)
    assert (diverted, count) == ((Diverted("030123", "user-busy"),), 1)


def test_targets_that_were_not_left_are_no_diversion() -> None:
    history = "<sip:102@a.example>;index=1, <sip:102@192.0.2.7>;index=1.1;rc=1"
    assert read(invite(("History-Info", history)), str) == ((), 0)


def test_what_a_call_record_says() -> None:
    assert summary((Diverted("102", "no-answer"), Diverted("", "user-busy"))) == "102 no-answer, anonymous user-busy"


@given(
    st.lists(
        st.builds(Diverted, st.text(max_size=8), st.sampled_from(["user-busy", "odd one", ""]), st.text(max_size=8)),
        max_size=40,
    ),
    st.sampled_from(["diversion", "history-info", "both"]),
)
def test_nothing_breaks_out_of_its_header(who: list[Diverted], style: DiversionStyle) -> None:
    entries = [
        (each, NameAddr(each.name, Uri("sip", each.number, host="192.0.2.1")) if each.number else UNNAMED)
        for each in who
    ]
    headers = write(style, entries, TARGET)
    assert not any("\r" in value or "\n" in value for _, value in headers)
    message = invite(*headers)
    assert len(diversions_of(message)) == (min(len(who), 32) if style != "history-info" else 0)
    assert len(history_of(message)) <= 32
