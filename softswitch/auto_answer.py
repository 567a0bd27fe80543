"""The headers that ask a telephone to answer by itself: there is a standard, and there is what vendors read.

    call-info     Call-Info with answer-after: Snom, Gigaset, AudioCodes and others
    alert-info    Alert-Info with info=alert-autoanswer and a delay: Mitel (Aastra), Yealink, Gigaset, AudioCodes
    ring-answer   Alert-Info in the words that Polycom telephones are told to compare; not the syntax of RFC 3261 25.1
    answer-mode   Answer-Mode (RFC 5373)
    all           those of them that are well-formed: a telephone reads the one that it knows

URIs are constants that name nothing, so that a telephone which compares the whole value can be told it. RFC 5373
lets a caller require the answer, which we do not: a telephone that does not want to, or does not know how, rings.
Whether it answers is the telephone's own setting in any case. Pure.
"""

from __future__ import annotations

from typing import Literal

Style = Literal["call-info", "alert-info", "ring-answer", "answer-mode", "all"]

_CALL_INFO = ("Call-Info", "<sip:localhost>;answer-after=0")
_ALERT_INFO = ("Alert-Info", "<http://localhost>;info=alert-autoanswer;delay=0")
_RING_ANSWER = ("Alert-Info", "Ring Answer")
_ANSWER_MODE = ("Answer-Mode", "Auto")

_HEADERS: dict[Style, tuple[tuple[str, str], ...]] = {
    "call-info": (_CALL_INFO,),
    "alert-info": (_ALERT_INFO,),
    "ring-answer": (_RING_ANSWER,),
    "answer-mode": (_ANSWER_MODE,),
    "all": (_CALL_INFO, _ALERT_INFO, _ANSWER_MODE),
}


def headers(style: Style) -> tuple[tuple[str, str], ...]:
    """What is written into the INVITE."""
    return _HEADERS[style]
