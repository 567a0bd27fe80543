"""Reason phrases (RFC 3261 section 21)."""

from sip.status import REASONS, reason_of


def test_known_codes_have_their_own_phrase() -> None:
    assert [reason_of(code) for code in (100, 180, 200, 404, 481, 488, 503, 603)] == [
        "Trying",
        "Ringing",
        "OK",
        "Not Found",
        "Call/Transaction Does Not Exist",
        "Not Acceptable Here",
        "Service Unavailable",
        "Decline",
    ]


def test_unknown_codes_have_the_phrase_of_their_class() -> None:
    # RFC 3261 8.1.3.2: "treat any final response it does not recognize as being equivalent to the x00 response code"
    assert [reason_of(code) for code in (150, 299, 399, 499, 599, 699)] == [
        "Session Progress",
        "OK",
        "Multiple Choices",
        "Bad Request",
        "Server Internal Error",
        "Busy Everywhere",
    ]


def test_phrases_can_be_written_on_a_status_line() -> None:
    for code, phrase in REASONS.items():
        assert 100 <= code <= 699
        assert phrase.isascii()
        assert phrase.isprintable()
