"""What agents and queues as they are written now would change for a contact centre at work, as its journal has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from softswitch.settings.models import Settings


def changes_since(journal: Path, settings: Settings) -> list[str]:
    """A line for each change from the rules at the end of an ACD journal, with who is affected. Raises
    `JournalError`."""
    from datetime import datetime

    from acd.changes import changes
    from acd.journal import fold
    from softswitch.acd_journals import journal_at, state_at
    from softswitch.acd_wiring import acd_config

    with journal_at(journal) as kept:
        state = fold(kept.records, state_at(kept.beginning))
    found = changes(state.config, acd_config(settings), state)
    at = datetime.fromtimestamp(state.now).strftime("%Y-%m-%d %H:%M:%S")
    if not found:
        return [f"  agents and queues are as in {journal} at {at}"]
    return [f"  changes for the contact centre as it is in {journal} at {at}:", *(f"    {line}" for line in found)]
