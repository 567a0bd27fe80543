"""RFC 3261 section 25.1 as regular expressions, the rule quoted above each.

Patterns are written so that none can be made to run longer than its input is long: character classes that
follow each other share no character, and what could backtrack is possessive.
Strings are decoded UTF-8 with surrogateescape, so any character above 0x7F stands for UTF8-NONASCII.
"""

from __future__ import annotations

import re
from typing import Final

# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~" )
TOKEN_CLASS: Final = r"A-Za-z0-9\-.!%*_+`'~"
TOKEN: Final = re.compile(rf"[{TOKEN_CLASS}]+")

# quoted-string = SWS DQUOTE *(qdtext / quoted-pair ) DQUOTE
# quoted-pair   = "\" (%x00-09 / %x0B-0C / %x0E-7F)
QUOTED_STRING: Final = r'"(?:[^"\\]|\\.)*+"'

# generic-param = token [ EQUAL gen-value ];  gen-value = token / host / quoted-string
# Lenient: an unquoted value may hold anything visible but the separators around it. Phones send "=" , "/" and "@"
# in branches and tags, and RFC 5118 4.5 wants IPv6 addresses taken with and without brackets.
PARAM_VALUE_CLASS: Final = r"""\x00-\x20\x7f;,"<>"""  # to be negated
PLAIN_PARAMS: Final = rf"(?:;[{TOKEN_CLASS}]+(?:=[^{PARAM_VALUE_CLASS}]+)?)*+"
PLAIN_PARAMS_PATTERN: Final = re.compile(PLAIN_PARAMS)
PARAM: Final = re.compile(
    rf"[ \t]*;[ \t]*([{TOKEN_CLASS}]+)(?:[ \t]*=[ \t]*({QUOTED_STRING}|[^{PARAM_VALUE_CLASS}]++))?[ \t]*+",
    re.DOTALL,
)

# hostname = *( domainlabel "." ) toplabel [ "." ];  IPv6reference = "[" IPv6address "]"
# Lenient: underscores, as the names of containers and Windows machines have them.
HOST: Final = r"(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])"

# escaped = "%" HEXDIG HEXDIG
BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

# SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT
VERSION: Final = re.compile(r"[Ss][Ii][Pp]/[0-9]+\.[0-9]+")

# LWS = [*WSP CRLF] 1*WSP: a line that begins with white space continues the one before it
FOLD: Final = re.compile(r"\r\n[ \t]+")

MAX_PORT: Final = 65_535


def is_token(text: str) -> bool:
    return TOKEN.fullmatch(text) is not None


def digits(text: str) -> bool:
    """1*DIGIT: `str.isdigit` alone takes the digits of every script."""
    return text.isascii() and text.isdigit()


def quote(text: str) -> str:
    r"""A quoted-string holding `text`. CR and LF, which no quoted-pair can carry, become spaces."""
    if _PLAIN_QUOTABLE.fullmatch(text):
        return f'"{text}"'
    return f'"{_TO_ESCAPE.sub(_escape_quoted, text)}"'


def unquote(text: str) -> str:
    """The content of a quoted-string, or `text` itself when it is not quoted."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


_PLAIN_QUOTABLE = re.compile(r'[^\x00-\x1f\x7f"\\]*')
_TO_ESCAPE = re.compile(r'[\x00-\x1f\x7f"\\]')
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def _escape_quoted(found: re.Match[str]) -> str:
    character = found[0]
    return " " if character in "\r\n" else "\\" + character
