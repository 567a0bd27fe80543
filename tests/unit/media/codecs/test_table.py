"""Codecs without memory: G.711 against values worked out by hand from ITU-T G.711, and L16."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from media.codecs import table, table_loop

SAMPLES = np.arange(-32768, 32768).astype(np.int16)[None]
OCTETS = np.arange(256, dtype=np.uint8)[None]


def encoded(name: str, *samples: int) -> list[int]:
    return table.encode(name, np.array([samples], np.int16))[0].tolist()


def decoded(name: str, *octets: int) -> list[int]:
    return table.decode(name, np.array([octets], np.uint8))[0].tolist()


# Tables 2a and 2b: character signal and value at the decoder output (of 14 bits), where segments begin.
MU_LAW = [
    (0b11111111, 0),
    (0b11111110, 2),
    (0b11101111, 33),
    (0b11011111, 99),
    (0b11001111, 231),
    (0b10111111, 495),
    (0b10101111, 1023),
    (0b10011111, 2079),
    (0b10001111, 4191),
    (0b10000000, 8031),
]
# Tables 1a and 1b (of 13 bits, to which a sign of their own comes): character signal before the even bits are inverted.
A_LAW = [
    (0b10000000, 1),
    (0b10000001, 3),
    (0b10010000, 33),
    (0b10100000, 66),
    (0b10110000, 132),
    (0b11000000, 264),
    (0b11010000, 528),
    (0b11100000, 1056),
    (0b11110000, 2112),
    (0b11111111, 4032),
]


@pytest.mark.parametrize(("octet", "value"), MU_LAW)
def test_mu_law_levels_are_those_of_g711_tables_2a_and_2b(octet: int, value: int) -> None:
    assert decoded("PCMU", octet, octet & 0x7F) == [4 * value, -4 * value]
    assert encoded("PCMU", 4 * value) == [octet]
    if value:
        assert encoded("PCMU", -4 * value) == [octet & 0x7F]


@pytest.mark.parametrize(("octet", "value"), A_LAW)
def test_a_law_levels_are_those_of_g711_tables_1a_and_1b(octet: int, value: int) -> None:
    octet ^= 0x55
    assert decoded("PCMA", octet, octet ^ 0x80) == [8 * value, -8 * value]
    assert encoded("PCMA", 8 * value, -8 * value) == [octet, octet ^ 0x80]


def test_decision_values_of_the_mu_law() -> None:
    """Table 2a, column 5: x1 1, x2 3, x16 31, x17 35, x32 95, x112 4063, x127 7903; x128 8159 is virtual."""
    for value, octet in ((1, 0xFE), (3, 0xFD), (31, 0xEF), (35, 0xEE), (95, 0xDF), (4063, 0x8F), (7903, 0x80)):
        assert encoded("PCMU", 4 * value - 1, 4 * value) == [octet + 1, octet]
        assert encoded("PCMU", 1 - 4 * value, -4 * value) == [octet + 1 & 0x7F, octet & 0x7F]
    assert encoded("PCMU", 4 * 8159, 32767, -32768) == [0x80, 0x80, 0x00]


def test_decision_values_of_the_a_law() -> None:
    """Table 1a, column 5 (of 13 bits): x1 2, x16 32, x32 64, x33 68, x48 128, x112 2048, x127 3968; x128 4096."""
    for value, number in ((2, 1), (32, 16), (64, 32), (68, 33), (128, 48), (2048, 112), (3968, 127)):
        assert encoded("PCMA", 8 * value - 1, 8 * value) == [(0x80 | number - 1) ^ 0x55, (0x80 | number) ^ 0x55]
        assert encoded("PCMA", 1 - 8 * value, -8 * value) == [number - 1 ^ 0x55, number ^ 0x55]
    assert encoded("PCMA", 32767, -32768) == [0xFF ^ 0x55, 0x7F ^ 0x55]


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_what_was_decoded_encodes_as_itself(name: str) -> None:
    again = table.encode(name, table.decode(name, OCTETS))
    expected = OCTETS.copy()
    if name == "PCMU":
        expected[0, 0x7F] = 0xFF  # minus zero is zero
    assert np.array_equal(again, expected)


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_more_signal_is_never_less_and_signs_are_symmetric(name: str) -> None:
    quantized = table.decode(name, table.encode(name, SAMPLES))[0].astype(int)
    assert np.all(np.diff(quantized) >= 0)
    assert np.array_equal(quantized[1:32768], -quantized[:32768:-1])
    # Of the 16 steps of a segment none is more than a sixteenth of the samples in it; half of that, or of the lowest.
    magnitude = np.abs(SAMPLES[0].astype(int))
    inside = magnitude < 32000
    assert np.all(np.abs(quantized - SAMPLES[0])[inside] <= (magnitude / 32 + 8)[inside])


if sys.version_info < (3, 13):  # later ones have no audioop

    def test_tables_agree_with_those_of_python() -> None:
        """Where G.711 leaves no choice. audioop rounds negative samples of more bits than the mu-law has away from
        zero, so those of its own 14 bits are compared; and at negative decision values of the A-law it takes the level
        nearer to zero."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import audioop

        every = OCTETS.tobytes()
        assert table.decode("PCMU", OCTETS).tobytes() == audioop.ulaw2lin(every, 2)
        assert table.decode("PCMA", OCTETS).tobytes() == audioop.alaw2lin(every, 2)
        linear = SAMPLES[:, ::4].copy()
        assert table.encode("PCMU", linear).tobytes() == audioop.lin2ulaw(linear.tobytes(), 2)
        linear = SAMPLES[SAMPLES % 16 != 0][None]
        assert table.encode("PCMA", linear).tobytes() == audioop.lin2alaw(linear.tobytes(), 2)


@pytest.mark.parametrize(("rows", "samples"), [(0, 160), (1, 160), (3, 161), (64, 160), (2, 1)])
def test_rows_of_every_shape_are_as_each_row_alone(rows: int, samples: int) -> None:
    random = np.random.default_rng(rows)
    octets = random.integers(0, 256, (rows, samples), np.uint8)
    for name in ("PCMU", "PCMA"):
        frames = table.decode(name, octets)
        assert frames.dtype == np.int16
        assert np.array_equal(frames, table.DECODE[name][octets])
        assert np.array_equal(table.encode(name, frames), table.ENCODE[name][frames.view(np.uint16)])


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "L16"])
def test_buffers_of_the_caller_are_filled(name: str) -> None:
    frames = np.random.default_rng(1).integers(-32768, 32768, (4, 160)).astype(np.int16)
    octets = np.zeros((4, 160 * table.OCTETS[name]), np.uint8)
    assert table.encode(name, frames, octets) is octets
    assert np.array_equal(octets, table.encode(name, frames))
    out = np.zeros((4, 160), np.int16)
    assert table.decode(name, octets, out) is out
    assert np.array_equal(out, table.decode(name, octets))
    block = np.zeros((8, 160), np.int16)
    table.decode(name, octets, block[2:6])
    assert np.array_equal(block[2:6], out)


def test_l16_is_in_network_order() -> None:
    """RFC 3551 section 4.5.11: "in two's complement notation and network byte order (most significant byte first)"."""
    assert table.encode("L16", np.array([[1, -2, 0x1234]], np.int16)).tobytes() == bytes.fromhex("0001fffe1234")
    assert table.decode("L16", np.frombuffer(bytes.fromhex("0001fffe1234"), np.uint8)[None]).tolist() == [
        [1, -2, 0x1234]
    ]
    every = SAMPLES.copy()
    assert np.array_equal(table.decode("L16", table.encode("L16", every)), every)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError):
        table.decode("L16", np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "L16"])
def test_silence_decodes_to_silence(name: str) -> None:
    quiet = np.full((1, 160 * table.OCTETS[name]), table.SILENCE[name], np.uint8)
    assert np.abs(table.decode(name, quiet)).max() <= 8  # the A-law has no zero
    assert table.encode(name, np.zeros((1, 4), np.int16))[0, 0] == table.SILENCE[name]


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "L16"])
@pytest.mark.parametrize("size", [65536, 160, 161, 7, 1, 0])
def test_what_loops_work_out_is_what_the_tables_say(name: str, size: int) -> None:
    kind, per_sample = table_loop.TABLE_KINDS[name], table.OCTETS[name]
    samples = SAMPLES[0, -size:] if size else SAMPLES[0, :0]
    octets = np.zeros(size * per_sample, np.uint8)
    table_loop.encode(samples, kind, octets)
    assert np.array_equal(octets, table.encode(name, samples[None])[0])
    data = octets if name == "L16" else np.resize(OCTETS[0], size)
    decoded = np.zeros(size, np.int16)
    table_loop.decode(data, kind, decoded)
    # "Nothing there" in a jitter buffer is no sample of theirs.
    assert np.array_equal(decoded, np.maximum(table.decode(name, data[None])[0], -32767))


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "L16"])
def test_loops_stay_inside_the_shorter_of_two_buffers(name: str) -> None:
    kind, per_sample = table_loop.TABLE_KINDS[name], table.OCTETS[name]
    octets = np.full(30 * per_sample, 7, np.uint8)
    table_loop.encode(SAMPLES[0, :100], kind, octets[: 20 * per_sample])
    assert octets[20 * per_sample :].tolist() == [7] * (10 * per_sample)
    samples = np.full(30, 7, np.int16)
    table_loop.decode(octets, kind, samples[:20])
    assert samples[20:].tolist() == [7] * 10
