"""Packets of voices in table codecs, decoded into their jitter buffers, and frames out of them: what needs no decision,
compiled. `media.reception` looks after all else."""

from __future__ import annotations

from typing import Any

import numpy as np

from media.codecs.table_loop import L16, PCMA, PCMU, decode
from rtp.compiled import compiled
from rtp.playout_columns import (
    CALM_TICKS,
    FORCE_TICKS,
    FRAME_SECONDS,
    HURRY_TICKS,
    MISSING,
    RING,
    RING_MASK,
    SILENT_RMS,
    WHOLE,
)
from rtp.playout_loop import ODD, regular
from rtp.relay_loop import HEADER
from rtp.table import WHOLE as STREAMS

# What a payload type of a voice is, if no codec of media/codecs/table_loop.py.
NONE, FRAMED, EVENT, NOISE = 0, 4, 5, 6

_SSRC = STREAMS["ssrc"]
_HEAD, _BUSY, _BEGIN, _TOP = WHOLE["head"], WHOLE["busy"], WHOLE["begin"], WHOLE["top"]
_RUN, _PENDING, _SPARE, _CHANGED = WHOLE["run"], WHOLE["pending"], WHOLE["spare"], WHOLE["changed"]


@compiled("void(u1[::1], i8, i8, i2[::1], i8)")
def _write(payload: Any, kind: int, count: int, ring: Any, position: int) -> None:
    """`count` samples of a payload into a row of the ring, over its end where need be."""
    begin = position % len(ring)
    first = min(count, len(ring) - begin)
    decode(payload, kind, ring[begin : begin + first])
    if first < count:
        octets = 2 * first if kind == L16 else first
        decode(payload[octets:], kind, ring[: count - first])


@compiled(
    "i8(i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], u1[:, ::1], i8[:, ::1],"
    " u1[:, ::1], i8[::1], i8[::1], i8[::1], u1[::1],"
    " i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i2[:, ::1], i8, i8, f8, i8[::1])"
)
def heard(
    slots: Any,
    rows: Any,
    heads: Any,
    stamps: Any,
    lengths: Any,
    data: Any,
    streams: Any,
    kinds: Any,
    sources: Any,
    types: Any,
    bank_rows: Any,
    noisy: Any,
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    ring: Any,
    bucket: int,
    n: int,
    now: float,
    odd: Any,
) -> int:
    """Take the packets (`rtp.relay.Heard`) that are table-coded, in sequence, of the type and source of those before;
    `odd` lists the others by their index, those of no kind left out. How many they are.

    By row of the stream table (`streams`): `kinds` by payload type, `sources` the SSRC and `types` the payload type of
    what came last, `noisy` not 0 where comfort noise is to be thought of. Then the columns of the bank of 8000 Hz and
    its ring (rows, RING * n).
    """
    left = 0
    for index in range(len(rows)):
        row = rows[index]
        kind_number = heads[index] >> 16 & 0x7F
        kind = int(kinds[row, kind_number])
        if kind == NONE:
            continue
        position = ODD
        octets = lengths[index] - HEADER
        count = octets >> 1 if kind == L16 else octets
        if (
            kind in (PCMU, PCMA, L16)
            and heads[index] >> 24 == 0x80
            and sources[row] == streams[_SSRC, row]
            and types[row] == kind_number
            and noisy[row] == 0
        ):
            bank_row = bank_rows[row]
            position = regular(
                whole, lows, delay, due, bucket, n, bank_row, stamps[index], heads[index] & 0xFFFF, count, now
            )
        if position == ODD:
            odd[left] = index
            left += 1
        else:
            _write(data[slots[index], HEADER : HEADER + octets], kind, count, ring[bank_row], position)
    return left


@compiled("b1(i2[::1])")
def _silent(frame: Any) -> bool:
    energy = 0
    for sample in range(len(frame)):
        energy += int(np.int32(frame[sample]) * np.int32(frame[sample]))
    return bool(energy < SILENT_RMS * SILENT_RMS * len(frame))


@compiled("b1(i8[:, ::1], f8[::1], i8, i2[::1], f8, i8)")
def _waits(whole: Any, delay: Any, row: int, frame: Any, longest: float, tick: int) -> bool:
    """Whether nothing is to be done about a row that plays whole frames, though it is noted as busy: frames are spare,
    but this is not the moment to drop one (`rtp.playout`)."""
    head = whole[_HEAD, row]
    if whole[_BEGIN, row] > head or whole[_PENDING, row] > 0 or whole[_RUN, row] > 0:
        return False
    if whole[_SPARE, row] == 0:
        whole[_BUSY, row] = 0
        return True
    n = len(frame)
    waited = tick - whole[_CHANGED, row]
    most = longest - n
    if delay[row] > most and whole[_TOP, row] - head * n > most:
        return bool(waited < HURRY_TICKS)
    return bool(waited < CALM_TICKS or (waited < FORCE_TICKS and not _silent(frame)))


@compiled(
    "i8(i8[::1], i8[::1], u1[::1], i8[:, ::1], f8[::1], f8[::1], f8, i8, i2[:, ::1], i8[::1], i2[:, ::1], i8[::1],"
    " f4[:, ::1], i8[::1], f8)"
)
def play(
    rows: Any,
    numbers: Any,
    noisy: Any,
    whole: Any,
    due: Any,
    delay: Any,
    longest: float,
    tick: int,
    frames: Any,
    ages: Any,
    history: Any,
    oldest: Any,
    out: Any,
    near: Any,
    now: float,
) -> int:
    """The next frame of each of these rows of a bank into `out` (k, n), where it is whole and nothing is to be adapted;
    `near` lists the others by their index, untouched. How many they are.

    `numbers`: the rows in the stream table, for `noisy`. Of the bank: `frames` (rows * RING, n), the `longest` delay,
    its `tick`.
    Of the concealment: `ages`, not 0 while it goes on; `history` (rows * HISTORY, n), and a row's `oldest` frame in it.
    """
    kept = len(history) // len(oldest)
    left = 0
    for index in range(len(rows)):
        row = rows[index]
        head = whole[_HEAD, row]
        at = (head & RING_MASK) + row * RING
        frame = frames[at]
        least = np.int16(0)
        for sample in range(len(frame)):
            least = min(least, frame[sample])
        plain = least != MISSING and delay[row] <= longest
        if plain and whole[_BUSY, row] != 0:
            plain = _waits(whole, delay, row, frame, longest, tick)
        if not plain or ages[row] != 0 or noisy[numbers[index]] != 0:
            near[left] = index
            left += 1
            continue
        past = row * kept + oldest[row]
        target, kept_frame = out[index], history[past]
        for sample in range(min(len(frame), len(target), len(kept_frame))):
            value = frame[sample]
            target[sample] = value
            kept_frame[sample] = value
            frame[sample] = MISSING
        oldest[row] = oldest[row] + 1 if oldest[row] + 1 < kept else 0
        whole[_HEAD, row] = head + 1
        due[row] = now + FRAME_SECONDS
    return left
