"""What the record beside a recording says of the call and of who is in it."""

from __future__ import annotations

from datetime import UTC, datetime

from media.audio_commands import Label, label
from softswitch.contact import Contact


def call_label(contact: Contact) -> Label:
    """Who called whom, and when (ISO 8601): the contact's id stands beside it anyway."""
    return label(
        caller=contact.caller.number,
        caller_name=contact.caller.name,
        dialled=contact.dialled,
        started=datetime.fromtimestamp(contact.wall, UTC).isoformat(timespec="milliseconds"),
    )


def leg_label(role: str, kind: str, endpoint: str, number: str, name: str) -> Label:
    """One end. `role`: caller, called, supervisor. `kind` and `endpoint`: the extension or trunk that it is of."""
    return label(role=role, number=number, name=name, **{kind: endpoint})
