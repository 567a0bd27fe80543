"""The peer's mistakes carry what answers them."""

import pytest

from sip.errors import ParseError, SipError
from sip.message import Request


def test_status_and_reason_are_kept_and_shown() -> None:
    error = SipError(423, "Interval Too Brief")
    assert (error.status, error.reason, str(error)) == (423, "Interval Too Brief", "423 Interval Too Brief")


def test_a_parse_error_carries_the_request_it_is_about() -> None:
    request = Request("OPTIONS", "sip:a@b")
    assert ParseError(400, "Bad To", request).request is request
    assert ParseError(400, "Bad To").request is None


def test_a_parse_error_is_caught_as_the_peers() -> None:
    with pytest.raises(SipError, match="505 Version Not Supported"):
        raise ParseError(505, "Version Not Supported")
