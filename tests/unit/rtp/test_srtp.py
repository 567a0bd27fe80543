"""SRTP against the vectors of the RFCs, and what becomes of packets that are wrong."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from rtp.columns import SLOT
from rtp.srtp import MAX_SOURCES, REPLAY_WINDOW, SEALED, SUITES, Srtp, SrtpError
from rtp.table import StreamTable
from tests import srtp_reference as reference

ROW, PEER = 1, 2
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY = bytes(range(30))


def rtp(seq: int, ssrc: int = 0xCAFEBABE, stamp: int = 0xDECAFBAD, body: bytes = b"\xab" * 16, kind: int = 15) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, seq & 0xFFFF, stamp, ssrc) + body


class Rig:
    """Row 1 seals as the row `PEER` opens."""

    def __init__(self, suite: str = SUITE, key: bytes = KEY, ssrc: int = 0xCAFEBABE) -> None:
        self.table = StreamTable()
        self.srtp = Srtp(self.table)
        self.table.own_ssrc[ROW] = ssrc
        self.srtp.send_with(ROW, suite, key)
        self.srtp.receive_with(PEER, suite, key)
        self.data = np.zeros((64, SLOT), np.uint8)

    def put(self, *packets: bytes) -> tuple[np.ndarray, np.ndarray]:
        for at, packet in enumerate(packets):
            self.data[at, : len(packet)] = np.frombuffer(packet, np.uint8)
        return np.arange(len(packets)), np.array([len(packet) for packet in packets], np.int64)

    def taken(self, lengths: np.ndarray) -> list[bytes]:
        return [self.data[at, : max(0, length)].tobytes() for at, length in enumerate(lengths.tolist())]

    def seal(self, *packets: bytes) -> list[bytes]:
        at, lengths = self.put(*packets)
        return self.taken(self.srtp.protect(self.data, at, lengths, np.full(len(at), ROW)))

    def seal_reports(self, *packets: bytes) -> list[bytes]:
        at, lengths = self.put(*packets)
        return self.taken(self.srtp.protect_reports(self.data, at, lengths, np.full(len(at), ROW)))

    def open(self, *packets: bytes) -> list[bytes]:
        at, lengths = self.put(*packets)
        ssrcs = np.array([int.from_bytes(packet[8:12], "big") for packet in packets])
        return self.taken(self.srtp.unprotect(self.data, at, lengths, np.full(len(at), PEER), ssrcs))

    def counts(self) -> tuple[int, int]:
        return int(self.table.auth_failed[PEER]), int(self.table.replayed[PEER])


def test_the_suites_that_rfc3711_demands_are_there() -> None:
    assert {"AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"} <= SUITES.keys()
    assert SUITES[SUITE].octets == 30


def test_the_reference_is_fips_197_and_rfc3711_b2() -> None:
    """FIPS 197 appendix B and C.3; RFC 3711 B.2: the first blocks of its counter-mode keystream."""
    key, block = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), bytes.fromhex("3243f6a8885a308d313198a2e0370734")
    assert reference.aes(key, block) == bytes.fromhex("3925841d02dc09fbdc118597196a0b32")
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert reference.aes(bytes(range(32)), block) == bytes.fromhex("8ea2b7ca516745bfeafc49904b496089")
    stream = reference.counter_mode(key, 0xF0F1F2F3F4F5F6F7F8F9FAFBFCFD0000, bytes(32))
    assert stream == bytes.fromhex("E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB")


RFC3711_B3 = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")


def test_the_reference_derives_as_rfc3711_b3() -> None:
    assert reference.derived(*RFC3711_B3, 0, 16) == bytes.fromhex("C61E7A93744F39EE10734AFE3FF7A087")
    assert reference.derived(*RFC3711_B3, 2, 14) == bytes.fromhex("30CBBC08863D8C85D49DB34A9AE1")
    authentication = reference.derived(*RFC3711_B3, 1, 94)
    assert authentication[:32] == bytes.fromhex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE")


@pytest.mark.parametrize(("suite", "tag"), [("AES_CM_128_HMAC_SHA1_80", 10), ("AES_CM_128_HMAC_SHA1_32", 4)])
def test_packets_are_those_of_rfc3711(suite: str, tag: int) -> None:
    """With the master key and salt of appendix B.3, and a sequence number that wraps."""
    rig = Rig(suite, b"".join(RFC3711_B3))
    packets = [rtp(seq, body=bytes(range(100))) for seq in (65534, 65535, 0, 1)]
    expected = [reference.sealed_cm(*RFC3711_B3, packet, at // 2, tag) for at, packet in enumerate(packets)]
    assert rig.seal(*packets) == expected
    assert rig.open(*expected) == packets


RFC7714_PACKET = bytes.fromhex("8040f17b8041f8d35501a0b2") + b"Gallia est omnis divisa in partes tres"
RFC7714_SEALED = {
    16: "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
    32: "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
}


@pytest.mark.parametrize("octets", RFC7714_SEALED)
def test_the_reference_seals_as_rfc7714_16(octets: int) -> None:
    """16.1.1 and 16.2.1, which give session keys, and so can't be put to the library."""
    sealed = reference.sealed_gcm(bytes(range(octets)), b"Quid pro quo", RFC7714_PACKET, 0)
    assert sealed[12:].hex() == RFC7714_SEALED[octets]


@pytest.mark.parametrize("suite", sorted(name for name in SUITES if name.startswith("AEAD")))
def test_packets_are_those_of_rfc7714(suite: str) -> None:
    octets = SUITES[suite].key_octets
    key, salt = bytes(range(octets)), b"Quid pro quo"
    session = reference.derived(key, salt, 0, octets), reference.derived(key, salt, 2, 12)
    rig = Rig(suite, key + salt, 0x5501A0B2)
    expected = reference.sealed_gcm(*session, RFC7714_PACKET, 0)
    assert rig.seal(RFC7714_PACKET) == [expected]
    assert rig.open(expected) == [RFC7714_PACKET]


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_what_one_row_seals_another_opens(suite: str) -> None:
    rig = Rig(suite, bytes(range(SUITES[suite].octets)))
    packets = [rtp(seq, body=bytes([seq]) * 160) for seq in range(20)]
    sealed = rig.seal(*packets)
    grown = {"AES_CM_128_HMAC_SHA1_80": 10, "AES_CM_128_HMAC_SHA1_32": 4}.get(suite, 16)
    assert {len(packet) for packet in sealed} == {172 + grown}
    assert all(a[:12] == b[:12] and a[12:172] != b[12:] for a, b in zip(sealed, packets, strict=True))
    assert rig.open(*sealed) == packets
    assert rig.counts() == (0, 0)


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_reports_are_sealed_and_opened(suite: str) -> None:
    rig = Rig(suite, bytes(range(SUITES[suite].octets)))
    report = struct.pack("!BBHI", 0x80, 201, 1, 0xCAFEBABE)
    [sealed] = rig.seal_reports(report)
    # RFC 3711 3.4: "the SRTCP index is 31 bits", and the authentication tag is mandatory: 80 bits also with ..._32.
    assert len(sealed) == 8 + 4 + (16 if suite.startswith("AEAD") else 10)
    assert rig.srtp.open_report(PEER, sealed) == report
    assert rig.srtp.open_report(PEER, sealed) is None
    assert rig.srtp.open_report(PEER, report) is None


def test_a_wrong_key_opens_nothing() -> None:
    rig = Rig()
    rig.srtp.receive_with(PEER, SUITE, KEY[::-1])
    assert rig.open(*rig.seal(rtp(1), rtp(2))) == [b"", b""]
    assert rig.counts() == (2, 0)


def test_plain_cut_and_changed_packets_are_not_authentic() -> None:
    rig = Rig()
    [sealed] = rig.seal(rtp(7))
    for at in (0, 1, 3, 5, 9, 12, 20, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[at] ^= 1
        assert rig.open(bytes(changed)) == [b""]
    for length in (0, 1, 11, 12, 20, len(sealed) - 1):
        assert rig.open(sealed[:length]) == [b""]
    assert rig.open(rtp(7)) == [b""]
    assert rig.counts() == (15, 0)
    assert rig.open(sealed) == [rtp(7)]


def test_rfc3711_3_3_2_replays_and_what_is_older_than_the_window() -> None:
    rig = Rig()
    sealed = rig.seal(*(rtp(seq) for seq in range(10)))
    assert rig.open(*sealed[:9]) == [rtp(seq) for seq in range(9)]
    assert rig.open(sealed[3], sealed[3]) == [b"", b""]
    assert rig.counts() == (0, 2)
    late = sealed[9]
    [far] = rig.seal(rtp(9 + REPLAY_WINDOW))
    assert rig.open(far) == [rtp(9 + REPLAY_WINDOW)]
    assert rig.open(late) == [b""]
    assert rig.counts() == (0, 3)


def test_the_sequence_number_wraps() -> None:
    """RFC 3711 3.3.1: the roll-over counter is part of the index."""
    rig = Rig()
    for seq in range(65500, 65600):
        assert rig.open(*rig.seal(rtp(seq))) == [rtp(seq)]


def test_an_index_is_never_used_twice() -> None:
    """RFC 3711 9.1: a "two-time pad" of one key would tell both packets."""
    rig = Rig()
    assert rig.seal(rtp(5), rtp(5, body=b"other")) == [*Rig().seal(rtp(5)), b""]


def test_another_source_with_our_key_is_not_sealed() -> None:
    assert Rig().seal(rtp(5, ssrc=0xBAD)) == [b""]


def test_a_packet_without_room_for_its_tag_is_not_sent() -> None:
    rig = Rig()
    rig.data[:] = 0xEE
    whole, long = rtp(1, body=bytes(SEALED - 12)), rtp(2, body=bytes(SEALED - 11))
    assert [len(packet) for packet in rig.seal(whole, long)] == [SEALED + 10, 0]
    assert (rig.data[2] == 0xEE).all()


def test_rows_without_keys_are_left_alone() -> None:
    rig = Rig()
    rig.srtp.send_plain(ROW)
    assert rig.seal(rtp(1)) == [rtp(1)]
    rig.srtp.release(PEER)
    assert (rig.srtp.sends, rig.srtp.receives) == (0, 0)


def test_sources_of_one_peer_are_bounded() -> None:
    """The oldest is forgotten, so that an authentic peer can't fill memory; the latest keep their replay window."""
    sealed = []
    for ssrc in range(1, MAX_SOURCES + 10):
        sealed += Rig(ssrc=ssrc).seal(rtp(1, ssrc))
    rig = Rig()
    assert all(rig.open(packet) != [b""] for packet in sealed)
    assert rig.open(sealed[-1]) == [b""]
    assert rig.counts() == (0, 1)
    assert rig.open(sealed[0]) != [b""]


def test_keys_that_do_not_fit_are_refused_without_showing_them() -> None:
    rig = Rig()
    with pytest.raises(SrtpError, match="expected 30") as refused:
        rig.srtp.send_with(ROW, SUITE, b"secret")
    assert "secret" not in str(refused.value)
    with pytest.raises(SrtpError, match="NULL"):
        rig.srtp.receive_with(PEER, "NULL", KEY)
    assert rig.open(*rig.seal(rtp(1))) == [rtp(1)]
