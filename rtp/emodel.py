"""The E-model: a rating R of conversational quality from what impairs it (ITU-T G.107), for columns of streams.

    R = Ro - Is - Id - Ie,eff + A    noise; with the voice; delay and echo; codec and loss; advantage

Of Ro, Is and echo everything is as G.107 7.7 sets by default: R is 93.2 where nothing else impairs. What varies between
calls is delay, codec, loss and how it clusters. Narrow-band only: the scale of the wideband E-model (G.107.1, R up to
129) is left out, so that a wideband call is rated no better than the best narrow-band one.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Values = F64 | float


class Line(NamedTuple):
    """Transmission parameters with the defaults of G.107 table 2."""

    slr: float = 8.0  # send loudness rating, dB
    rlr: float = 2.0  # receive loudness rating, dB
    stmr: float = 15.0  # sidetone masking rating, dB
    ds: float = 3.0  # D-value of the telephone, send side
    dr: float = 3.0  # receive side
    telr: float = 65.0  # talker echo loudness rating, dB
    wepl: float = 110.0  # weighted echo path loss, dB
    qdu: float = 1.0  # quantisation distortion units
    nc: float = -70.0  # circuit noise, dBm0p
    nfor: float = -64.0  # noise floor at the receive side, dBmp
    ps: float = 35.0  # room noise, send side, dB(A)
    pr: float = 35.0  # receive side


DEFAULT = Line()


class Codec(NamedTuple):
    """What a codec costs: Ie, and Bpl, its robustness to loss; and its look-ahead in ms."""

    ie: float
    bpl: float
    look_ahead_ms: float = 0.0


# ITU-T G.113 Appendix I, with packet loss concealment and random loss. G.722 and Opus have no values on the narrow-band
# scale: they are taken for as good as G.711 there, with its robustness; with the RFC 6716 look-ahead.
CODECS = {
    "PCMU": Codec(0, 25.1),
    "PCMA": Codec(0, 25.1),
    "L16": Codec(0, 25.1),
    "G722": Codec(0, 25.1, 1.5),
    "opus": Codec(0, 25.1, 6.5),
    "G729": Codec(11, 19.0, 5.0),
    "G723": Codec(15, 16.1, 7.5),
    "GSM": Codec(20, 43.0),
    "GSM-EFR": Codec(5, 10.0),
}
G711_WITHOUT_CONCEALMENT = Codec(0, 4.3)


def noise(line: Line) -> float:
    """No: all noises, as one at the 0 dBr point (7.2), dBm0p."""
    olr = line.slr + line.rlr
    send = line.ps - line.slr - line.ds - 100 + 0.004 * (line.ps - olr - line.ds - 14) ** 2
    lstr = line.stmr + line.dr
    room = line.pr + 10 * np.log10(1 + 10 ** ((10 - lstr) / 10))
    receive = line.rlr - 121 + room + 0.008 * (room - 35) ** 2
    floor = line.nfor + line.rlr
    return float(10 * np.log10(sum(10 ** (level / 10) for level in (line.nc, send, receive, floor))))


def basic(line: Line) -> float:
    """Ro, the basic signal-to-noise ratio (7.2)."""
    return 15 - 1.5 * (line.slr + noise(line))


def simultaneous(line: Line, echo_delay_ms: Values = 0.0) -> F64:
    """Is: too loud, sidetone, quantisation (7.3)."""
    olr = line.slr + line.rlr
    loud = olr + 0.2 * (64 + noise(line) - line.rlr)
    too_loud = 20 * ((1 + (loud / 8) ** 8) ** (1 / 8) - loud / 8)
    q = 37 - 15 * np.log10(line.qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    y = (basic(line) - 100) / 15 + 46 / 8.4 - g / 9
    z = 46 / 30 - g / 40
    quantisation = 15 * np.log10(1 + 10**y + 10**z)
    return np.asarray(too_loud + sidetone(line, echo_delay_ms) + quantisation)


def sidetone(line: Line, echo_delay_ms: Values = 0.0) -> F64:
    """Ist (7.3)."""
    masking = -10 * np.log10(10 ** (-line.stmr / 10) + np.exp(-np.asarray(echo_delay_ms) / 4) * 10 ** (-line.telr / 10))
    ist: F64 = (
        12 * (1 + ((masking - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((masking + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((masking - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    return ist


def delay(one_way_ms: Values) -> F64:
    """Idd: too long an absolute delay Ta, even without any echo (7.4); 0 up to 100 ms."""
    over = np.log2(np.maximum(np.asarray(one_way_ms, np.float64), 100.0) / 100.0)
    idd: F64 = 25 * ((1 + over**6) ** (1 / 6) - 3 * (1 + (over / 3) ** 6) ** (1 / 6) + 2)
    return idd


def talker_echo(line: Line, echo_delay_ms: Values) -> F64:
    """Idte: one's own voice coming back after twice the mean one-way delay T (7.4). STMR 9 to 20 dB; 0 below 1 ms,
    where echo is sidetone."""
    t = np.asarray(echo_delay_ms, np.float64)
    terv = line.telr - 40 * np.log10((1 + t / 10) / (1 + t / 150)) + 6 * np.exp(-0.3 * t**2)
    re = 80 + 2.5 * (terv - 14)
    roe = -1.5 * (noise(line) - line.rlr)
    half = (roe - re) / 2
    idte: F64 = (half + np.sqrt(half**2 + 100) - 1) * (1 - np.exp(-t))
    return np.where(t < 1, 0.0, idte)


def listener_echo(line: Line, round_trip_ms: Values) -> F64:
    """Idle (7.4), Tr the round trip in the four-wire loop."""
    rle = 10.5 * (line.wepl + 7) * (np.asarray(round_trip_ms, np.float64) + 1) ** -0.25
    half = (basic(line) - rle) / 2
    return np.asarray(half + np.sqrt(half**2 + 169))


def equipment(ie: Values, bpl: Values, loss: Values, burst_ratio: Values = 1.0) -> F64:
    """Ie,eff: codec and loss (7.5). `loss`: fraction of packets lost or too late. `burst_ratio`: BurstR, 1 where loss
    is random; meant for up to 2."""
    percent = np.asarray(loss, np.float64) * 100
    ie = np.asarray(ie, np.float64)
    effective: F64 = ie + (95 - ie) * percent / (percent / np.asarray(burst_ratio) + np.asarray(bpl))
    return effective


def rating(
    one_way_ms: Values = 0.0,
    ie: Values = 0.0,
    bpl: Values = 25.1,
    loss: Values = 0.0,
    burst_ratio: Values = 1.0,
    advantage: Values = 0.0,
    echo_ms: Values = 0.0,
    line: Line = DEFAULT,
) -> F64:
    """R (7.1), 0 to 100; arguments are columns, or one value for all. `echo_ms`: T, the one-way delay of an echo path
    of `line.telr`; 0, as by default: echo is cancelled."""
    echoed = _unechoed(line) if isinstance(echo_ms, float) and not echo_ms else _echoed(line, echo_ms)
    r = echoed - delay(one_way_ms) - equipment(ie, bpl, loss, burst_ratio) + advantage
    return np.clip(r, 0.0, 100.0)


def _echoed(line: Line, echo_ms: Values) -> F64:
    """What does not depend on codec, loss and absolute delay."""
    echo = talker_echo(line, echo_ms) + listener_echo(line, 2 * np.asarray(echo_ms))
    return np.asarray(basic(line) - simultaneous(line, echo_ms) - echo)


@cache
def _unechoed(line: Line) -> float:
    """The same without echo: one number, wanted for every interval."""
    return float(_echoed(line, 0.0))


def mos(r: Values) -> F64:
    """The mean opinion score expected at R, 1 to 4.5 (Annex B)."""
    r = np.clip(np.asarray(r, np.float64), 0.0, 100.0)
    # Below R = 6.5 the polynomial falls under 1.
    score: F64 = np.maximum(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0)
    return score
