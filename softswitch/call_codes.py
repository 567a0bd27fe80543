r"""Codes that one of those who talk dials in the call: digits in, codes out. Pure; each leg that may use codes has one.

    READING   --digits that can't become a code--> READING, from the first of them on that can
       |      --a code that none continues--> told, or COLLECTING where a number follows
       |      --a code that others continue--> READING: the next digit tells, or the pause
       |      --pause--> the code that stands there, or nothing
    COLLECTING --#, pause, enough--> told with the number --> READING

`read` tells a code with the digit that makes it whole, `expire` with the pause that does. Digits that a telephone sends
in two ways (events and INFO) must come here once. Whoever hears them otherwise hears them still.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from softswitch.digit_entry import DigitEntry
from softswitch.feature_codes import may_use

TAKES_NUMBER = frozenset({"attended_transfer", "blind_transfer"})

MAX_NUMBER = 32

FIRST_DIGIT = 8.0
"""Seconds for the first digit of a number, where the pause between digits is not longer."""


class Code(msgspec.Struct, frozen=True, gc=False):
    """A code that was dialled. `number`: of those that take one, "" where none was dialled."""

    action: str
    number: str = ""


class CallCodes(msgspec.Struct, frozen=True):
    """The codes that there are, by action, and seconds of pause after which a code, or a number, is whole. `park_lot`:
    where `park` parks, "" for the only lot."""

    codes: Mapping[str, str] = {}
    digit_timeout: float = 1.5
    number_timeout: float = 4.0
    park_lot: str = ""

    def reader(self, kind: str, allowed: Collection[str]) -> CodeReader | None:
        """For a leg of this kind that may use these codes; None where it has none: trunks never have."""
        codes = {code: action for action, code in self.codes.items() if may_use(allowed, action)}
        if kind != "extension" or not codes:
            return None
        return CodeReader(codes, self.digit_timeout, self.number_timeout, self.park_lot)


class CodeReader:
    """The digits of one leg."""

    __slots__ = (
        "_actions",
        "_collecting",
        "_deadline",
        "_digit_timeout",
        "_entry",
        "_number_timeout",
        "_read",
        "park_lot",
    )

    def __init__(
        self, actions: Mapping[str, str], digit_timeout: float, number_timeout: float, park_lot: str = ""
    ) -> None:
        """`actions`: by code."""
        self.park_lot = park_lot
        self._actions = actions
        self._digit_timeout = digit_timeout
        self._number_timeout = number_timeout
        self._read = ""  # digits that are a code, or may become one
        self._collecting = ""  # the action whose number is being dialled
        self._entry = DigitEntry(MAX_NUMBER)
        self._deadline: float | None = None

    # ---- receive ----------------------------------------------------------------------------------------

    def read(self, digit: str, now: float) -> Code | None:
        """One digit; the code that is whole now, if one is."""
        if self._collecting:
            if self._entry.read(digit):
                return self._collected()
            self._deadline = now + self._number_timeout
            return None
        before, self._read = self._read, self._read + digit
        if before in self._actions and not self._may_become(self._read):
            # The digit belongs to what comes next.
            return self._code(before, digit, now)
        return self._look(now)

    def expire(self, now: float) -> Code | None:
        """The pause is over; the code that it makes whole, if one is."""
        if self._deadline is None or now < self._deadline:
            return None
        if self._collecting:
            return self._collected()
        if self._read in self._actions:
            return self._code(self._read, "", now)
        return self._unread(now)

    def reset(self) -> None:
        """Forget what was dialled: another talks here now, or something else than a code is asked for."""
        self._read = self._collecting = ""
        self._deadline = None

    # ---- next deadline ----------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `expire` is to be called; None: not before the next digit."""
        return self._deadline

    @property
    def collecting(self) -> bool:
        """Whether a number is being dialled."""
        return bool(self._collecting)

    # ---- inside -----------------------------------------------------------------------------------------

    def _may_become(self, digits: str) -> bool:
        """Whether digits are a code or the beginning of one."""
        return any(code.startswith(digits) for code in self._actions)

    def _look(self, now: float) -> Code | None:
        """What the digits read are now."""
        if not self._may_become(self._read):
            return self._unread(now)
        continued = any(code != self._read and code.startswith(self._read) for code in self._actions)
        if self._read in self._actions and not continued:
            return self._code(self._read, "", now)
        self._deadline = now + self._digit_timeout
        return None

    def _unread(self, now: float) -> Code | None:
        """No code begins so: the longest one that stood there counts, then what may be one from a later digit on."""
        digits = self._read
        for length in range(len(digits) - 1, 0, -1):
            if digits[:length] in self._actions:
                return self._code(digits[:length], digits[length:], now)
        for begin in range(1, len(digits)):
            if self._may_become(digits[begin:]):
                self._read = digits[begin:]
                return self._look(now)
        self.reset()
        return None

    def _code(self, code: str, rest: str, now: float) -> Code | None:
        """A code is whole; `rest` was dialled after it."""
        action = self._actions[code]
        self.reset()
        if action in TAKES_NUMBER:
            self._collecting = action
            self._entry = DigitEntry(MAX_NUMBER)
            self._deadline = now + max(FIRST_DIGIT, self._number_timeout)
            for digit in rest:
                self._deadline = now + self._number_timeout
                if self._entry.read(digit):
                    return self._collected()
            return None
        while rest and not self._may_become(rest):
            rest = rest[1:]
        if rest:
            # Perhaps a code itself: told at once then, by `expire`.
            self._read = rest
            self._deadline = now + (0.0 if self._is_last(rest) else self._digit_timeout)
        return Code(action)

    def _is_last(self, digits: str) -> bool:
        """Whether digits are a code that none continues."""
        return digits in self._actions and not any(code != digits and code.startswith(digits) for code in self._actions)

    def _collected(self) -> Code:
        code = Code(self._collecting, self._entry.number)
        self.reset()
        return code
