"""RFC 3842: `application/simple-message-summary`, the body of the event package `message-summary`, and where its counts
come from.

    softswitch mwi EXT NEW OLD --> SetMailboxes, stored like what people set at their phones --> the lamp

A voicemail of our own takes the place of `SetMailboxes` behind the `Mailboxes` protocol.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, Protocol

import msgspec

from softswitch.dialog_info import uri_of
from softswitch.features import FeatureChange

PACKAGE: Final = "message-summary"
CONTENT_TYPE: Final = "application/simple-message-summary"

STORED_AS: Final = "mailbox"
"""The name under which counts are stored among the features of extensions."""

MAX_MESSAGES: Final = 9_999
"""Messages of one kind in a mailbox: what a telephone's display has room for."""

_COUNTS: Final = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


class MailboxRefused(ValueError):
    """Counts that can't be set: one line that says what is wrong and what is expected."""


class Counts(msgspec.Struct, frozen=True, gc=False):
    """Messages in a mailbox: not heard yet, and heard."""

    new: int = 0
    old: int = 0


EMPTY: Final = Counts()


class Mailboxes(Protocol):
    """What knows how many messages wait for an extension."""

    def counts(self, extension: str) -> Counts: ...


class SetMailboxes:
    """Counts that somebody else keeps, and tells us of."""

    __slots__ = ("_counts", "_extensions", "changes")

    def __init__(self, extensions: Collection[str] = ()) -> None:
        self.changes: list[FeatureChange] = []
        """For the store to write, in order; whoever has written them clears the list."""
        self._extensions = extensions
        self._counts: dict[str, Counts] = {}

    def counts(self, extension: str) -> Counts:
        return self._counts.get(extension, EMPTY)

    def set(self, extension: str, new: int, old: int) -> None:
        """Say how many messages wait. Raises MailboxRefused."""
        if extension not in self._extensions:
            raise MailboxRefused(f"there is no extension {extension[:32]!r}")
        for count in (new, old):
            if not 0 <= count <= MAX_MESSAGES:
                raise MailboxRefused(f"bad number of messages {count}: expected 0 to {MAX_MESSAGES}")
        counts = Counts(new, old)
        if counts == self.counts(extension):
            return
        if counts == EMPTY:
            del self._counts[extension]
        else:
            self._counts[extension] = counts
        self.changes.append(FeatureChange(extension, STORED_AS, None if counts == EMPTY else f"{new}/{old}"))

    def restore(self, records: Iterable[FeatureChange]) -> None:
        """Take over what was set before a restart; what is of no use any more is forgotten."""
        for record in records:
            found = _COUNTS.fullmatch(record.value or "")
            if found is None or record.extension not in self._extensions:
                self.changes.append(FeatureChange(record.extension, STORED_AS, None))
            else:
                self._counts[record.extension] = Counts(int(found[1]), int(found[2]))

    def configure(self, extensions: Collection[str]) -> None:
        """The extensions that there are now; the counts of others are forgotten."""
        self._extensions = extensions
        for gone in [each for each in self._counts if each not in extensions]:
            del self._counts[gone]
            self.changes.append(FeatureChange(gone, STORED_AS, None))


def write(mailbox: str, host: str, counts: Counts) -> bytes:
    """The document (RFC 3842 5.2). `host`: of the mailbox's URI, as it stands there."""
    return (
        f"Messages-Waiting: {'yes' if counts.new else 'no'}\r\n"
        f"Message-Account: {uri_of(mailbox, host)}\r\n"
        f"Voice-Message: {counts.new}/{counts.old} (0/0)\r\n"
    ).encode("utf-8", "replace")
