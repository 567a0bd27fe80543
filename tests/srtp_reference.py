"""SRTP from the definitions, slow and plain, to hold libsrtp to: AES (FIPS 197), GCM (NIST SP 800-38D), key derivation
and packets of RFC 3711 and RFC 7714. Good for tests alone."""

from __future__ import annotations

import hashlib
import hmac
import itertools


def aes(key: bytes, block: bytes) -> bytes:
    """One block enciphered, with a key of 16 or 32 octets."""
    keys = _round_keys(key)
    state = _xor(block, keys[0])
    for number, round_key in enumerate(keys[1:], 1):
        state = bytes(_BOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))
        if number < len(keys) - 1:
            state = b"".join(_mixed(state[at : at + 4]) for at in range(0, 16, 4))
        state = _xor(state, round_key)
    return state


def counter_mode(key: bytes, first: int, data: bytes) -> bytes:
    """`data` with AES of `first`, `first` + 1... added to it (RFC 3711 4.1.1)."""
    blocks = (aes(key, (first + at & (1 << 128) - 1).to_bytes(16, "big")) for at in range((len(data) + 15) // 16))
    return _xor(data, b"".join(blocks)[: len(data)])


def gcm(key: bytes, iv: bytes, plain: bytes, associated: bytes) -> bytes:
    """AES-GCM with an IV of 12 octets: the ciphertext and its tag of 16 octets."""
    first = int.from_bytes(iv + b"\0\0\0\1", "big")
    cipher = counter_mode(key, first + 1, plain)
    hash_key = int.from_bytes(aes(key, bytes(16)), "big")
    sizes = (8 * len(associated)).to_bytes(8, "big") + (8 * len(cipher)).to_bytes(8, "big")
    text = associated + bytes(-len(associated) % 16) + cipher + bytes(-len(cipher) % 16) + sizes
    tag = 0
    for at in range(0, len(text), 16):
        tag = _multiplied(tag ^ int.from_bytes(text[at : at + 16], "big"), hash_key)
    return cipher + _xor(tag.to_bytes(16, "big"), aes(key, first.to_bytes(16, "big")))


def derived(key: bytes, salt: bytes, label: int, octets: int) -> bytes:
    """A session key (RFC 3711 4.3.1 with a key derivation rate of 0; RFC 7714 11: a salt of 12 octets is padded)."""
    start = int.from_bytes(salt + bytes(14 - len(salt)), "big") ^ label << 48
    return counter_mode(key, start << 16, bytes(octets))


def sealed_cm(key: bytes, salt: bytes, packet: bytes, roll_over: int, tag: int) -> bytes:
    """A packet with a header of 12 octets under AES_CM_128_HMAC_SHA1_80 (`tag` 10) or ..._32 (`tag` 4)."""
    session_salt = int.from_bytes(derived(key, salt, 2, 14), "big") << 16
    ssrc, index = int.from_bytes(packet[8:12], "big"), roll_over << 16 | int.from_bytes(packet[2:4], "big")
    # RFC 3711 4.1.1: IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16)
    cipher = counter_mode(derived(key, salt, 0, 16), session_salt ^ ssrc << 64 ^ index << 16, packet[12:])
    sealed = packet[:12] + cipher
    authentic = hmac.digest(derived(key, salt, 1, 20), sealed + roll_over.to_bytes(4, "big"), hashlib.sha1)
    return sealed + authentic[:tag]


def sealed_gcm(session_key: bytes, session_salt: bytes, packet: bytes, roll_over: int) -> bytes:
    """RFC 7714 8.1 and 8.2: the IV is SSRC, roll-over counter and sequence number, with the salt added."""
    iv = _xor(b"\0\0" + packet[8:12] + roll_over.to_bytes(4, "big") + packet[2:4], session_salt)
    return packet[:12] + gcm(session_key, iv, packet[12:], packet[:12])


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _round_keys(key: bytes) -> list[bytes]:
    size = len(key) // 4
    words = [key[at : at + 4] for at in range(0, len(key), 4)]
    constant = 1
    for at in range(size, 4 * (size + 7)):
        word = words[-1]
        if at % size == 0:
            word = bytes(_BOX[octet] for octet in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _double(constant)
        elif size > 6 and at % size == 4:
            word = bytes(_BOX[octet] for octet in word)
        words.append(_xor(words[at - size], word))
    return [b"".join(words[at : at + 4]) for at in range(0, len(words), 4)]


def _double(octet: int) -> int:
    return (octet << 1 ^ (0x1B if octet & 0x80 else 0)) & 0xFF


def _mixed(column: bytes) -> bytes:
    a, b, c, d = column
    every = a ^ b ^ c ^ d
    return bytes(one ^ every ^ _double(one ^ other) for one, other in itertools.pairwise((a, b, c, d, a)))


def _multiplied(one: int, other: int) -> int:
    """In GF(2^128), the first bit the coefficient of x^0 (SP 800-38D 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (0xE1 << 120 if other & 1 else 0)
    return product


def _substitutions() -> list[int]:
    """The S-box: the inverse in GF(2^8), which powers of 3 give, and an affine map."""
    powers, logs, value = [0] * 256, [0] * 256, 1
    for exponent in range(255):
        powers[exponent], logs[value] = value, exponent
        value ^= _double(value)
    box = []
    for octet in range(256):
        inverse = powers[(255 - logs[octet]) % 255] if octet else 0
        turned = 0
        for places in range(5):
            turned ^= inverse << places & 0xFF | inverse >> 8 - places
        box.append(turned ^ 0x63)
    return box


_BOX = _substitutions()
