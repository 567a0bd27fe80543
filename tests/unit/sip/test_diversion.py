"""Diversion (RFC 5806) and History-Info (RFC 7044)."""

from __future__ import annotations

import pytest

from sip.diversion import MAX_ENTRIES, Diversion, HistoryEntry, diversions_of, history_of
from sip.errors import SipError
from sip.message import Request


def test_diversion() -> None:
    """RFC 5806: two in one line, the newest first."""
    request = Request(
        "INVITE",
        "sip:c@example.com",
        [("Diversion", '"Bob" <sip:bob@example.com>;reason=user-busy;counter=2, <tel:+15551234>;reason=no-answer')],
    )
    newest, oldest = diversions_of(request)
    assert (newest.address.display, newest.reason, newest.counter) == ("Bob", "user-busy", 2)
    assert (str(oldest.address.uri), oldest.reason, oldest.counter) == ("tel:+15551234", "no-answer", 1)
    assert Diversion.parse(str(newest)) == newest
    assert str(oldest) == "<tel:+15551234>;reason=no-answer;counter=1"


def test_sloppy_diversion() -> None:
    """Unbracketed, quoted, with a counter that is none: what can be read is."""
    entry = Diversion.parse('sip:bob@example.com;reason="Do Not Disturb";counter=x;privacy=FULL;screen=no')
    assert (entry.reason, entry.counter, entry.privacy, entry.screen) == ("do not disturb", 1, "full", "no")
    assert Diversion.parse(str(entry)) == entry
    assert Diversion.parse("<sip:b@c>;counter=" + "9" * 5000).counter == 1
    with pytest.raises(SipError):
        Diversion.parse("nobody")


def test_history() -> None:
    """RFC 7044 5.1: the Reason is a header of the URI, the index says where in the tree."""
    request = Request(
        "INVITE",
        "sip:c@example.com",
        [
            ("History-Info", "<sip:bob@example.com>;index=1"),
            (
                "History-Info",
                "<sip:b2@192.0.2.4?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1, <sip:c@d;cause=486>;index=1.2;mp=1",
            ),
        ],
    )
    first, second, third = history_of(request)
    assert (str(first.uri), first.index, first.reason) == ("sip:bob@example.com", (1,), "")
    assert (str(second.uri), second.index, second.reason) == ("sip:b2@192.0.2.4", (1, 1), "SIP;cause=302")
    assert (second.change, third.change) == ("rc=1", "mp=1")
    for entry in (first, second, third):
        assert HistoryEntry.parse(str(entry)) == entry


def test_history_refused_and_bounded() -> None:
    assert HistoryEntry.parse("<sip:a@b>;index=x.1").index == ()
    with pytest.raises(SipError):
        HistoryEntry.parse("<sip:a@b?Reason=SIP%0D%0AVia>;index=1")
    request = Request("INVITE", "sip:c@d", [("History-Info", f"<sip:{n}@b>;index={n}") for n in range(100)])
    entries = history_of(request)
    assert len(entries) == MAX_ENTRIES
    assert entries[-1].index == (99,)
