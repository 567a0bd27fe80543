"""Packets of voices in table codecs, decoded into their jitter buffers, and frames out of them: what needs no decision,
compiled. `media.reception` looks after all else."""

from __future__ import annotations

from typing import Any

import numpy as np

from media.codecs.table_loop import L16, PCMA, PCMU, decode
from rtp.compiled import compiled
from rtp.playout_arrival import MAX_PACKET_FRAMES, arrive
from rtp.playout_columns import FRAME_SECONDS, MISSING, RING, RING_MASK, WHOLE
from rtp.playout_frame import HOLED, next_frame
from rtp.relay_loop import AT_HEAD, AT_LENGTH, AT_ROW, AT_SLOT, AT_STAMP, HEADER
from rtp.table import WHOLE as STREAMS

# What a payload type of a voice is, if no codec of media/codecs/table_loop.py.
NONE, FRAMED, EVENT, NOISE = 0, 4, 5, 6

_SSRC = STREAMS["ssrc"]
_HEAD, _BUSY = WHOLE["head"], WHOLE["busy"]


@compiled("void(u1[::1], i8, i8, i2[::1], i8, i8)")
def _write(payload: Any, kind: int, count: int, ring: Any, position: int, head: int) -> None:
    """`count` samples of a payload into a row of the ring, over its end where need be; those that were due before
    `head` are left out."""
    late = max(0, head - position)
    if late >= count:
        return
    width = 2 if kind == L16 else 1
    begin = (position + late) % len(ring)
    first = min(count - late, len(ring) - begin)
    decode(payload[late * width :], kind, ring[begin : begin + first])
    if first < count - late:
        decode(payload[(late + first) * width :], kind, ring[: count - late - first])


@compiled(
    "i8(i8[:, ::1], i8, u1[:, ::1], i8[:, ::1],"
    " u1[:, ::1], i8[::1], i8[::1], i8[::1], u1[::1],"
    " i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i2[:, ::1], i2[:, ::1], i8, i8, f8, i8[::1])"
)
def heard(
    lanes: Any,
    count: int,
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
    frames: Any,
    ring: Any,
    bucket: int,
    max_delay: int,
    now: float,
    odd: Any,
) -> int:
    """Take of `count` packets (`rtp.relay.Heard`) those that are table-coded, of the type and source of those before;
    `odd` lists the others by their index, those of no kind left out. How many they are.

    By row of the stream table (`streams`): `kinds` by payload type, `sources` the SSRC and `types` the payload type of
    what came last, `noisy` not 0 where comfort noise is to be thought of. Then the columns of the bank of 8000 Hz, its
    ring by frame (rows * RING, n) and by row (rows, RING * n).
    """
    n = frames.shape[1]
    left = 0
    for index in range(count):
        row, head = lanes[AT_ROW, index], lanes[AT_HEAD, index]
        kind_number = head >> 16 & 0x7F
        kind = int(kinds[row, kind_number])
        if kind == NONE:
            continue
        octets = lanes[AT_LENGTH, index] - HEADER
        samples = octets >> 1 if kind == L16 else octets
        if (
            kind not in (PCMU, PCMA, L16)
            or head >> 24 != 0x80
            or sources[row] != streams[_SSRC, row]
            or types[row] != kind_number
            or noisy[row] != 0
            or not 0 < samples <= MAX_PACKET_FRAMES * n
        ):
            odd[left] = index
            left += 1
            continue
        bank_row = bank_rows[row]
        position = arrive(
            whole,
            lows,
            delay,
            due,
            frames,
            bucket,
            max_delay,
            bank_row,
            lanes[AT_STAMP, index],
            head & 0xFFFF,
            head & 0x800000 != 0,
            samples,
            now,
        )
        if position >= 0:
            payload = data[lanes[AT_SLOT, index], HEADER : HEADER + octets]
            _write(payload, kind, samples, ring[bank_row], position, whole[_HEAD, bank_row] * n)
    return left


@compiled("void(i2[::1], f4[::1], i2[::1])")
def _hear(frame: Any, target: Any, kept: Any) -> None:
    """A frame goes to the mix, and into the history."""
    for sample in range(min(len(frame), len(target), len(kept))):
        value = frame[sample]
        target[sample] = value
        kept[sample] = value


@compiled("b1(i2[::1])")
def _complete(frame: Any) -> bool:
    least = np.int16(0)
    for sample in range(len(frame)):
        least = min(least, frame[sample])
    return bool(least != MISSING)


@compiled(
    "i8(i8[::1], i8[::1], u1[::1], i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i2[:, ::1], i8, i8, i8,"
    " i8[::1], i2[:, ::1], i8[::1], f4[:, ::1], i8[::1], i2[:, ::1], i8[::1], b1[:, ::1], f8)"
)
def play(
    rows: Any,
    numbers: Any,
    noisy: Any,
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    frames: Any,
    bucket: int,
    tick: int,
    max_delay: int,
    ages: Any,
    history: Any,
    oldest: Any,
    out: Any,
    near: Any,
    read: Any,
    states: Any,
    holes: Any,
    now: float,
) -> int:
    """The next frame of each of these rows of a bank into `out` (k, n), where nothing is to be concealed or filled;
    `near` lists the others by their index. How many they are; of those, in their order, `read` (k, n) are the frames,
    `states` what they are (`rtp.playout_frame`), and `holes` (k, n) which samples are missing.

    `numbers`: the rows in the stream table, for `noisy`. Then the columns of the bank, its ring by frame
    (rows * RING, n), the bucket that is being filled, its tick and its largest delay.
    Of the concealment: `ages`, not 0 while it goes on; `history` (rows * HISTORY, n), and a row's `oldest` frame in it.
    """
    kept = len(history) // len(oldest)
    n = frames.shape[1]
    left = 0
    for index in range(len(rows)):
        row = rows[index]
        head = whole[_HEAD, row]
        stored = frames[(head & RING_MASK) + row * RING]
        past = history[row * kept + oldest[row]]
        quiet = ages[row] == 0 and noisy[numbers[index]] == 0
        if quiet and whole[_BUSY, row] == 0 and delay[row] <= max_delay + n and _complete(stored):
            # Nearly all.
            _hear(stored, out[index], past)
            for sample in range(len(stored)):
                stored[sample] = MISSING
            whole[_HEAD, row] = head + 1
            due[row] = now + FRAME_SECONDS
        else:
            states[left] = next_frame(
                whole, lows, delay, due, frames, bucket, tick, max_delay, row, now, read[left], holes[left]
            )
            if not quiet or states[left] == HOLED:
                near[left] = index
                left += 1
                continue
            _hear(read[left], out[index], past)
        oldest[row] = oldest[row] + 1 if oldest[row] + 1 < kept else 0
    return left
