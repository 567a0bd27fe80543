"""What the switch counts, in words of those who run it, under headings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from softswitch.control import StatusReport

CALLS = {
    "calls": "calls begun",
    "calls refused: not admitted": "refused: caller not allowed in",
    "calls refused: call limit": "refused: call limit of the extension, or channels of the trunk, used up",
    "calls refused: too many": "refused: as many calls as sip.limits.calls allows",
    "calls refused: no media ports": "refused: no audio port free in media.rtp_ports",
    "calls refused: draining": "refused: the switch is shutting down",
    "legs failed: no media ports": "phones or trunks not called: no audio port free in media.rtp_ports",
    "streams lost": "audio streams that went with a media process",
    "streams moved to another media worker": "of these, opened anew elsewhere",
    "streams adopted": "audio streams of calls from before a restart, left to talk on",
    "events of media workers left out": "events of media processes that came faster than they were taken",
    "legs failed: signalling in the clear": "phones or trunks not called: they want SRTP or sips, which need TLS",
    "internal errors": "ended by a fault of the switch: see the log",
}
SIGN_IN = {
    "known": "let in: right password, or address of a trunk",
    "challenged": "asked for a password, as every phone is at first",
    "stale": "asked again: password right, nonce too old",
    "replayed": "asked again: password right, nonce used before",
    "failed": "refused: wrong password, unknown user or wrong realm",
    "backed_off": "of these, not looked at: too many failures of that user",
    "source_refused": "refused: too many failures from that address",
}
WATCHING = {
    "subscriptions": "subscriptions begun: lamps, presence, messages waiting",
    "subscriptions refused": "refused: no such number, not to be watched by that one, or as many as it may have",
    "notifications": "changes told to watchers",
    "watchers lost": "watchers that did not answer any more",
}
SIP = {
    "malformed, answered": "malformed requests, answered with an error",
    "malformed, dropped": "malformed messages, dropped",
    "malformed, not answerable": "malformed requests too broken for an answer",
    "repeated request": "repeated requests, answered as before",
    "repeated response": "repeated responses, dropped",
    "stray response": "responses to nothing we asked, dropped",
    "late response": "answers of ours that came too late",
    "merged request": "requests that came twice by different ways, refused with 482",
    "CANCEL of nothing": "CANCELs of no call we know",
    "overload": "requests refused: as many as sip.limits.transactions allows",
    "send failed": "messages or connections that the network did not take",
    "connection too slow": "connections closed: idle, or a message that never got finished",
    "connection is closed": "data on connections that were closed already",
    "keep-alive": "keep-alives of phones",
}
AUDIO = {
    "ended": "dropped: a moment after the end of their call, as is usual",
    "ended_rtcp": "RTCP dropped: a moment after the end of its call, as is usual",
    "wrong_source": "dropped: from a source of no call (a few as a call is answered are usual)",
    "overload": "dropped: too many strange packets at one time",
    "bad_rtcp": "RTCP dropped: malformed",
    "stray_rtcp": "RTCP dropped: of no call (one before a call is answered is usual)",
    "srtp_auth_failed": "dropped: SRTP that does not authenticate",
    "srtp_replayed": "dropped: SRTP that had come before",
    "bad_payload": "dropped: could not be decoded",
    "frames_late": "mixed audio that left 5 ms late or more",
    "ticks_skipped": "frames of 5 ms left out by the mixer: the machine was held up",
    "srtp_unsent": "not sent: could not be protected",
    "send_failed": "not sent: the network refused",
    "send_full": "not sent: the system's buffer was full",
    "receive_failed": "not received: the network reported an error",
}
SIGNALLING = {"calls": CALLS, "sign-in": SIGN_IN, "watching": WATCHING, "SIP": SIP}
OTHER = "other"
"""Heading of counters that have no words yet."""

Line = tuple[str, int, str]
"""Heading, count, words."""


def lines(report: StatusReport, everything: bool) -> Iterator[Line]:
    """The counters of a report in reading order; with `everything` those that are zero too, and the tables' sizes."""
    for heading, words in SIGNALLING.items():
        yield from _of(heading, words, report.counters, everything)
    yield from _of("audio packets", AUDIO, report.media.dropped, everything)
    known = {name for words in SIGNALLING.values() for name in words}
    for counted, named in ((report.counters, known), (report.media.dropped, AUDIO)):
        strange = {name: name.replace("_", " ") for name in sorted(counted) if name not in named}
        yield from _of(OTHER, strange, counted, everything)
    if everything:
        yield from _of("kept now", {name: name for name in sorted(report.tables)}, report.tables, everything)


def _of(heading: str, words: Mapping[str, str], counted: Mapping[str, int], everything: bool) -> Iterator[Line]:
    for name, text in words.items():
        count = counted.get(name, 0)
        if count or everything:
            yield heading, count, text


def counters(report: StatusReport, everything: bool) -> RenderableType | None:
    """The counters since the start, a line each; None where nothing was counted."""
    from rich.table import Table

    from softswitch.cli.printable import cell

    found = list(lines(report, everything))
    if not found:
        return None
    made = Table(
        title="since the start", title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False
    )
    made.add_column(no_wrap=True)
    made.add_column(justify="right", no_wrap=True)
    made.add_column(overflow="fold")
    before = ""
    for heading, count, text in found:
        style = "" if count else "dim"
        made.add_row(cell(heading if heading != before else "", "bold"), cell(str(count), style), cell(text, style))
        before = heading
    return made
