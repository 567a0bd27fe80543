"""What a phase does for all of its voices in a tick, compiled: sums (`media.mixture`), packets (`media.outbound`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from media.codecs.table_loop import L16, encode
from rtp.compiled import compiled
from rtp.octets import put_word
from rtp.relay_loop import HEADER
from rtp.table import REAL, WHOLE

_OWN_TOP, _OWN_STAMP, _OWN_SSRC = WHOLE["own_top"], WHOLE["own_stamp"], WHOLE["own_ssrc"]
_SENT, _SENT_OCTETS = WHOLE["sent"], WHOLE["sent_octets"]
_OWN_AT = REAL["own_at"]
_LOUDEST = np.float32(32767.0)  # -32768 stands for "nothing there" elsewhere


@compiled("void(f4[::1], f4, f4[::1])")
def _add(source: Any, gain: float, out: Any) -> None:
    # Of two lengths the lesser one: no index is to be checked then, and samples are added in rows of sixteen.
    for sample in range(min(len(source), len(out))):
        out[sample] += source[sample] * gain


@compiled("void(f4[:, ::1], i8, i8, i8[::1], f4[::1], f4[::1])")
def _add_up(sources: Any, begin: int, end: int, rows: Any, gains: Any, out: Any) -> None:
    """The rows listed from `begin` to `end`, each at its gain."""
    for sample in range(len(out)):
        out[sample] = 0.0
    for index in range(begin, end):
        _add(sources[rows[index]], gains[index], out)


@compiled("void(f4[::1], i2[::1])")
def _round(real: Any, whole: Any) -> None:
    for sample in range(min(len(real), len(whole))):
        whole[sample] = np.int16(min(max(real[sample], -_LOUDEST), _LOUDEST))


@compiled("void(f4[:, ::1], i8, i8[::1], i8[::1], f4[::1], f4[::1], i2[:, ::1])")
def mix(sources: Any, totals: int, ends: Any, rows: Any, gains: Any, total: Any, signals: Any) -> None:
    """Sums of `sources`, one behind the other in `rows` and `gains`, sum k up to `ends[k]`: first `totals` that are
    written behind the sources they are made of, then the signals. `total` is for notes."""
    begin = 0
    behind = len(sources) - totals
    for number in range(len(ends)):
        end = ends[number]
        if number < totals:
            _add_up(sources, begin, end, rows, gains, sources[behind + number])
        else:
            _add_up(sources, begin, end, rows, gains, total)
            _round(total, signals[number - totals])
        begin = end


@compiled("void(u4[:, ::1], i8, i8, i8[::1], i8[::1], i8, i8, f8, i8[:, ::1], f8[:, ::1])")
def _header(
    words: Any,
    place: int,
    row: int,
    heads: Any,
    marks: Any,
    octets: int,
    step: int,
    now: float,
    whole: Any,
    real: Any,
) -> None:
    """The next packet of a row: sequence, timestamp and statistics."""
    seq = whole[_OWN_TOP, row] + 1 & 0xFFFF
    stamp = whole[_OWN_STAMP, row] + step & 0xFFFFFFFF
    whole[_OWN_TOP, row] = seq
    whole[_OWN_STAMP, row] = stamp
    real[_OWN_AT, row] = now
    put_word(words, place, 0, heads[place] | marks[place] | seq)
    put_word(words, place, 1, stamp)
    put_word(words, place, 2, whole[_OWN_SSRC, row])
    marks[place] = 0
    whole[_SENT, row] += 1
    whole[_SENT_OCTETS, row] += octets


@compiled("void(u4[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8, f8, i8[:, ::1], f8[:, ::1])")
def headers(
    words: Any, rows: Any, heads: Any, marks: Any, octets: Any, step: int, now: float, whole: Any, real: Any
) -> None:
    """The headers of one packet for each of these rows of the stream table; so many octets of payload are in each."""
    for place in range(len(rows)):
        _header(words, place, rows[place], heads, marks, octets[place], step, now, whole, real)


@compiled(
    "void(i2[:, ::1], i8[::1], i8, u1[:, ::1], u4[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8, f8, i8[:, ::1],"
    " f8[:, ::1])"
)
def table_packets(
    signals: Any,
    which: Any,
    kind: int,
    data: Any,
    words: Any,
    rows: Any,
    heads: Any,
    marks: Any,
    made: Any,
    step: int,
    now: float,
    whole: Any,
    real: Any,
) -> None:
    """A packet for each of these rows of the stream table, of the signal that `which` says, in a table codec; a signal
    is encoded once. `data` and `words` are the packets as octets and words, `made`, as long as the signals, is for
    notes."""
    octets = 2 * signals.shape[1] if kind == L16 else signals.shape[1]
    for signal in range(len(made)):
        made[signal] = -1
    for place in range(len(rows)):
        signal = which[place]
        before = made[signal]
        payload = data[place, HEADER : HEADER + octets]
        if before < 0:
            made[signal] = place
            encode(signals[signal], kind, payload)
        else:
            same = data[before, HEADER : HEADER + octets]
            for octet in range(min(len(payload), len(same))):
                payload[octet] = same[octet]
        _header(words, place, rows[place], heads, marks, octets, step, now, whole, real)
