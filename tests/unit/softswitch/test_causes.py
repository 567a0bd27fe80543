"""Q.850 and SIP, RFC 3398 both ways."""

import pytest

from softswitch.causes import Cause, cause_of_reason, cause_of_status, name_of_cause, status_of_cause


@pytest.mark.parametrize(
    ("status", "cause"),
    [(404, 1), (486, 17), (600, 17), (480, 18), (408, 102), (403, 21), (603, 21), (484, 28), (503, 41), (488, 88)],
)
def test_rfc3398_8_2_6_1_status_to_cause(status: int, cause: int) -> None:
    assert cause_of_status(status) == cause


@pytest.mark.parametrize(
    ("cause", "status"),
    [(1, 404), (3, 404), (17, 486), (18, 408), (19, 480), (21, 403), (22, 410), (28, 484), (34, 503), (88, 488)],
)
def test_rfc3398_7_2_4_1_cause_to_status(cause: int, status: int) -> None:
    assert status_of_cause(cause) == status


def test_unlisted_values_fall_to_their_class() -> None:
    assert cause_of_status(499) == Cause.INTERWORKING
    assert cause_of_status(599) == Cause.TEMPORARY_FAILURE
    assert cause_of_status(699) == Cause.CALL_REJECTED
    assert status_of_cause(77) == 480


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Q.850;cause=17", 17),
        ('SIP;cause=200;text="x", Q.850 ;text="busy";cause=17', 17),
        ("q.850;CAUSE=16;text=bye", 16),
        ("SIP;cause=486", None),
        ("Q.850;cause=0", None),
        ("Q.850;cause=999", None),
        ("", None),
        (None, None),
    ],
)
def test_rfc3326_reason(reason: str | None, cause: int | None) -> None:
    assert cause_of_reason(reason) == cause


def test_names() -> None:
    assert name_of_cause(16) == "NORMAL_CLEARING"
    assert name_of_cause(77) == "CAUSE_77"
