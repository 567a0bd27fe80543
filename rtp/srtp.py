"""SRTP and SRTCP (RFC 3711, RFC 7714) of rows, through libsrtp: keys in, packets opened and sealed where they lie.

    receive_with(row, suite, key)  packets of the row are believed only when they authenticate   table.secure_in
    send_with(row, suite, key)     packets sent to the row's peer are sealed last of all          table.secure_out

Where keys come from is not known here: SDES now, a DTLS handshake as well. The library's C functions are called on
the slots of a batch, so that no packet is copied; per packet that is one call, the cipher, and the HMAC.

Replay protection (RFC 3711 3.3.2) is always on: a window of REPLAY_WINDOW packets below the highest authentic one.
Whatever fails is counted on its row (`auth_failed`, `replayed`) and not used; no packet raises an exception. The
library looks at the window first, so a forgery with a number of the past counts as replayed.

A sealed packet that has been opened without success may have been overwritten (AEAD deciphers before it knows).
"""

from __future__ import annotations

import sys
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pylibsrtp._binding import ffi, lib

from rtp.columns import SLOT
from rtp.table import StreamTable

REPLAY_WINDOW: Final = 128  # packets: two and a half seconds of 20 ms ones; RFC 3711 3.3.2 asks for 64 at least
# Octets that sealing adds at most: an authentication tag of 16, for SRTCP also the index of 4.
TRAILER: Final = 20
SEALED: Final = SLOT - TRAILER  # octets of the longest packet that still has room for it
# Sources (SSRC) of one peer that have a replay window and a roll-over counter of their own. One more, and the oldest
# of them is forgotten: a peer with the keys can't fill memory.
MAX_SOURCES: Final = 32

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

_OK: Final[int] = lib.srtp_err_status_ok
_REPLAYED: Final = (9, 10)  # srtp_err_status_replay_fail, srtp_err_status_replay_old


class SrtpError(Exception):
    """A key or a suite that can't be used; the text names no key."""


class Suite(NamedTuple):
    """A crypto-suite by its name in SDP (RFC 4568 6.2, RFC 7714 14.2)."""

    name: str
    profile: int
    """The library's number."""
    key_octets: int
    salt_octets: int

    @property
    def octets(self) -> int:
        """Of master key and master salt, one after the other."""
        return self.key_octets + self.salt_octets


_PROFILES: Final = {
    "AES_CM_128_HMAC_SHA1_80": "srtp_profile_aes128_cm_sha1_80",
    "AES_CM_128_HMAC_SHA1_32": "srtp_profile_aes128_cm_sha1_32",
    "AEAD_AES_128_GCM": "srtp_profile_aead_aes_128_gcm",
    "AEAD_AES_256_GCM": "srtp_profile_aead_aes_256_gcm",
}


def _new_context(suite: Suite, key: bytes, ssrc: int | None, seals: bool = False) -> Any:
    """A `srtp_t *` that frees itself, for one SSRC (to seal), or None: for any that comes (to open, or `seals`)."""
    policy = ffi.new("srtp_policy_t *")
    status = lib.srtp_crypto_policy_set_from_profile_for_rtp(ffi.addressof(policy.rtp), suite.profile)
    status = status or lib.srtp_crypto_policy_set_from_profile_for_rtcp(ffi.addressof(policy.rtcp), suite.profile)
    if status != _OK:
        raise SrtpError(f"{suite.name}: not in this libsrtp")
    copied = ffi.new("unsigned char[]", key)
    policy.key = copied
    policy.window_size = REPLAY_WINDOW
    if ssrc is None:
        policy.ssrc.type = lib.ssrc_any_outbound if seals else lib.ssrc_any_inbound
    else:
        policy.ssrc.type, policy.ssrc.value = lib.ssrc_specific, ssrc
    context = ffi.new("srtp_t *")
    status = lib.srtp_create(context, policy)
    # The library has derived its session keys: the master key need not lie about in memory.
    ffi.buffer(copied)[:] = bytes(len(copied))
    if status != _OK:
        raise SrtpError(f"{suite.name}: libsrtp made no context (status {status})")
    return ffi.gc(context, _free)


def _free(context: Any) -> None:
    lib.srtp_dealloc(context[0])


def _supported() -> dict[str, Suite]:
    """The suites that the library at hand can do: builds without OpenSSL, NSS or mbedTLS have no AEAD."""
    found = {}
    for name, constant in _PROFILES.items():
        profile = getattr(lib, constant, None)
        if profile is None:
            continue
        key, salt = lib.srtp_profile_get_master_key_length(profile), lib.srtp_profile_get_master_salt_length(profile)
        suite = Suite(name, profile, key, salt)
        try:
            _new_context(suite, bytes(range(suite.octets)), 1)
        except SrtpError:
            continue
        found[name] = suite
    return found


SUITES: Final[dict[str, Suite]] = _supported()
"""By name. The two of AES_CM are always there."""


class _Context:
    """The library's context of one direction of one row, and the sources that have been authentic in it."""

    __slots__ = ("_key", "_owner", "_sources", "pointer")

    def __init__(self, name: str, key: bytes, ssrc: int | None, seals: bool = False) -> None:
        suite = SUITES.get(name)
        if suite is None:
            raise SrtpError(f"crypto-suite {name!r} is not one of {', '.join(SUITES)}")
        if len(key) != suite.octets:
            raise SrtpError(f"{name}: key and salt are {len(key)} octets, expected {suite.octets}")
        self._key = (name, key)
        self._owner = _new_context(suite, key, ssrc, seals)
        self.pointer = self._owner[0]
        self._sources: list[int] = []

    def is_of(self, name: str, key: bytes) -> bool:
        return self._key == (name, key)

    def heard(self, ssrc: int) -> None:
        """An authentic packet had this SSRC, or it is sealed for."""
        if ssrc in self._sources:
            return
        self._sources.append(ssrc)
        if len(self._sources) > MAX_SOURCES:
            # The library takes it as it stands in a packet.
            oldest = self._sources.pop(0).to_bytes(4, "big")
            lib.srtp_remove_stream(self.pointer, int.from_bytes(oldest, sys.byteorder))


class Srtp:
    """Contexts by row. `receives` and `sends` count the rows that have one: none, and a batch need not be looked at.

    counters: packets refused, of all rows that ever were.
    """

    __slots__ = ("_receive", "_scratch", "_send", "_size", "_table", "counters", "receives", "sends")

    def __init__(self, table: StreamTable) -> None:
        self.counters = {"srtp_auth_failed": 0, "srtp_replayed": 0, "srtp_unsent": 0}
        self._table = table
        self._receive: dict[int, _Context] = {}
        self._send: dict[int, _Context] = {}
        self.receives = 0
        self.sends = 0
        self._scratch = ffi.new("char[]", SLOT)
        self._size = ffi.new("int *")

    # -- commands

    def receive_with(self, row: int, suite: str, key: bytes) -> None:
        """Believe the row's peer only what this master key and salt authenticate. The key that it has keeps its
        context, and with it replay window and roll-over counter (RFC 3711 3.2.1). Raises SrtpError; the row then keeps
        what it had."""
        context = self._receive.get(row)
        if context is None or not context.is_of(suite, key):
            self._receive[row] = _Context(suite, key, None)
        self._table.secure_in[row] = 1
        self.receives = len(self._receive)

    def send_with(self, row: int, suite: str, key: bytes) -> None:
        """Seal what is sent to the row's peer; the same of the key that it has. A key must not come back after another
        one: its indexes would be used twice."""
        context = self._send.get(row)
        if context is None or not context.is_of(suite, key):
            ssrc = None if self._table.as_is[row] else int(self._table.own_ssrc[row])
            self._send[row] = _Context(suite, key, ssrc, seals=True)
        self._table.secure_out[row] = 1
        self.sends = len(self._send)

    def seals_for(self, row: int, ssrc: int) -> None:
        """Packets or reports of this source are going to be sealed for a row that gets them as they come.

        The oldest of more than MAX_SOURCES is forgotten. Should it come back with indexes that it has used (RFC 3711
        9.1), what it gave away would be its own pictures.
        """
        context = self._send.get(row)
        if context is not None:
            context.heard(ssrc)

    def receive_plain(self, row: int) -> None:
        self._receive.pop(row, None)
        self._table.secure_in[row] = 0
        self.receives = len(self._receive)

    def send_plain(self, row: int) -> None:
        self._send.pop(row, None)
        self._table.secure_out[row] = 0
        self.sends = len(self._send)

    def release(self, row: int) -> None:
        """The row is about to be freed."""
        self.receive_plain(row)
        self.send_plain(row)

    # -- batches

    def protect(self, data: U8, at: I64, lengths: I64, rows: I64) -> I64:
        """Seal RTP packets in place. `data` (n, room) octets, a packet a row of it, `at` those to be sent, `lengths`
        and `rows` (whom each goes to) beside it; packets to rows that are not secure stay as they are. The new
        lengths; 0: not to be sent."""
        return self._seal(lib.srtp_protect, data, at, lengths, rows)

    def protect_reports(self, data: U8, at: I64, lengths: I64, rows: I64) -> I64:
        """The same for RTCP."""
        return self._seal(lib.srtp_protect_rtcp, data, at, lengths, rows)

    def unprotect(self, data: U8, at: I64, lengths: I64, rows: I64, ssrcs: I64) -> I64:
        """Open RTP packets of secure rows in place; all of `rows` have a context. The new lengths; -1 where one is not
        authentic, or came before: counted on its row."""
        opened = lengths.astype(np.int32)
        base, stride, sizes = _pointers(data, opened)
        receive, call = self._receive, lib.srtp_unprotect
        for index, (offset, row) in enumerate(zip((at * stride).tolist(), rows.tolist(), strict=True)):
            status = call(receive[row].pointer, base + offset, sizes + index)
            if status != _OK:
                opened[index] = -1
                self.refused(row, status in _REPLAYED)
        fresh = np.flatnonzero((ssrcs != self._table.ssrc[rows]) & (opened >= 0))
        for index in fresh.tolist():
            receive[int(rows[index])].heard(int(ssrcs[index]))
        return opened.astype(np.int64)

    def _seal(self, call: Any, data: U8, at: I64, lengths: I64, rows: I64) -> I64:
        chosen = np.flatnonzero(self._table.secure_out[rows])
        if not chosen.size:
            return lengths
        room = data.shape[1] - TRAILER
        places, sealed = at[chosen], lengths[chosen].astype(np.int32)
        base, stride, sizes = _pointers(data, sealed)
        sealed[sealed > room] = 0
        send = self._send
        for index, (offset, row) in enumerate(zip((places * stride).tolist(), rows[chosen].tolist(), strict=True)):
            # The library refuses what has no header, an index that has been used (RFC 3711 9.1), and a spent key.
            if call(send[row].pointer, base + offset, sizes + index) != _OK:
                sealed[index] = 0
                self.counters["srtp_unsent"] += 1
        new = lengths.copy()
        new[chosen] = sealed
        return new

    # -- one by one

    def open_packet(self, row: int, packet: bytes) -> bytes | None:
        """A packet that may be the row's, opened, None where it is not: nothing is counted."""
        opened = self._open(lib.srtp_unprotect, row, packet)
        if isinstance(opened, int):
            return None
        self._receive[row].heard(int.from_bytes(packet[8:12], "big"))
        return opened

    def open_report(self, row: int, packet: bytes) -> bytes | None:
        """The same for RTCP."""
        opened = self._open(lib.srtp_unprotect_rtcp, row, packet)
        if isinstance(opened, int):
            return None
        self._receive[row].heard(int.from_bytes(packet[4:8], "big"))
        return opened

    def _open(self, call: Any, row: int, packet: bytes) -> bytes | int:
        if len(packet) > SLOT:
            return -1
        ffi.memmove(self._scratch, packet, len(packet))
        self._size[0] = len(packet)
        status: int = call(self._receive[row].pointer, self._scratch, self._size)
        if status != _OK:
            return status
        return bytes(ffi.buffer(self._scratch, self._size[0]))

    def refused(self, row: int, replayed: bool = False) -> None:
        """Count a packet of the row's that is not believed."""
        (self._table.replayed if replayed else self._table.auth_failed)[row] += 1
        self.counters["srtp_replayed" if replayed else "srtp_auth_failed"] += 1


def _pointers(data: U8, sizes: npt.NDArray[np.int32]) -> tuple[Any, int, Any]:
    """Where the packets lie, octets from one to the next, and where their lengths lie. Valid while both arrays are."""
    return ffi.cast("char *", data.ctypes.data), data.strides[0], ffi.cast("int *", sizes.ctypes.data)
