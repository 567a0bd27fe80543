"""How extensions want their calls: what was set at their phones comes first, then the settings."""

from __future__ import annotations

from softswitch.directory_entries import ExtensionEntry
from softswitch.features import Features


class ExtensionWishes:
    """Of all extensions. `entries`: what is set for each by its number; swapped whole."""

    __slots__ = ("_features", "entries")

    def __init__(self, entries: dict[str, ExtensionEntry], features: Features) -> None:
        self.entries = entries
        self._features = features

    def forward(self, extension: str, kind: str) -> str | None:
        """Where an extension wants its calls that ended as `kind`, or None. What was set at a phone comes first."""
        entry = self.entries.get(extension)
        if entry is None:
            return None
        number = self._features.forward(extension, kind)
        return entry.forwards.get(kind) if number is None else number or None

    def do_not_disturb(self, extension: str) -> bool:
        """Whether calls to an extension find it busy without ringing."""
        wanted = self._features.flag(extension, "dnd")
        if wanted is None:
            entry = self.entries.get(extension)
            return entry is not None and entry.do_not_disturb
        return wanted

    def call_waiting(self, extension: str) -> bool:
        """Whether calls ring at an extension that is in a call already."""
        wanted = self._features.flag(extension, "call_waiting")
        if wanted is None:
            entry = self.entries.get(extension)
            return entry is None or entry.call_waiting
        return wanted

    def context_of(self, extension: str) -> str:
        """The dialplan context an extension dials in; "" (where nothing matches) when it is gone."""
        entry = self.entries.get(extension)
        return entry.context if entry is not None else ""

    def forward_after(self, extension: str) -> float | None:
        """Seconds that an extension rings before `no_answer` is followed; None: as long as it rings anyway."""
        entry = self.entries.get(extension)
        if entry is None or self.forward(extension, "no_answer") is None:
            return None
        after = self._features.no_answer_after(extension)
        return entry.no_answer_after if after is None else after
