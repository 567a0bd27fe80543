"""What codes do: every action, its command and its answer."""

from __future__ import annotations

import pytest

from media.audio_commands import Say, Speech
from softswitch.feature_codes import ASKS_NUMBER, DIALLED
from softswitch.feature_service import carry_out
from softswitch.feature_speech import SENTENCES, Spoken
from softswitch.features import Features


class Settled:
    """How things are for 101 and 102, by what they have set."""

    def __init__(self) -> None:
        self.features = Features({"101", "102"})
        self.features.dead_end = lambda _extension, number: "nobody is there" if number.startswith("9") else ""
        self.commands: list[tuple[str, str, str | None]] = []

    def forward(self, extension: str, kind: str) -> str | None:
        return self.features.forward(extension, kind) or None

    def do_not_disturb(self, extension: str) -> bool:
        return bool(self.features.flag(extension, "dnd"))

    def call_waiting(self, extension: str) -> bool:
        return self.features.flag(extension, "call_waiting") is not False

    def set(self, extension: str, feature: str, value: str | None) -> None:
        assert value is not None
        self.commands.append((extension, feature, value))
        self.features.set(extension, feature, value)

    def use(self, action: str, number: str = "") -> Spoken:
        return carry_out(self, self.set, "en", "101", action, number)


def words(spoken: Spoken) -> list[str]:
    return [
        each.text if isinstance(each, Speech) else each.value
        for each in spoken.sources
        if isinstance(each, Speech | Say)
    ]


@pytest.mark.parametrize("kind", ["always", "busy", "no_answer", "unavailable"])
def test_forwards(kind: str) -> None:
    settled = Settled()
    on, off, query = (f"forward_{kind}_{verb}" for verb in ("on", "off", "query"))
    assert words(settled.use(query)) == [SENTENCES["en"][off]]
    assert settled.use(on).asks
    assert settled.commands == []
    assert words(settled.use(on, "102")) == [SENTENCES["en"][on], "102"]
    assert words(settled.use(query)) == [SENTENCES["en"][on], "102"]
    assert words(settled.use(off)) == [SENTENCES["en"][off]]
    assert settled.commands == [("101", f"forward_{kind}", "102"), ("101", f"forward_{kind}", "off")]


@pytest.mark.parametrize("number", ["900", "101", "off", "1 2", "1" * 40])
def test_numbers_that_are_refused(number: str) -> None:
    settled = Settled()
    spoken = settled.use("forward_always_on", number)
    if number == "off":
        # As at the command line: nobody can dial it.
        assert spoken.ok
    else:
        assert (spoken.ok, words(spoken)) == (False, [SENTENCES["en"]["bad_number"]])
        assert settled.features.of("101") == {}


def test_flags() -> None:
    settled = Settled()
    for action, value in [("dnd_toggle", "on"), ("dnd_toggle", "off"), ("dnd_on", "on"), ("dnd_off", "off")]:
        assert words(settled.use(action)) == [SENTENCES["en"][f"dnd_{value}"]]
        assert words(settled.use("dnd_query")) == [SENTENCES["en"][f"dnd_{value}"]]
        assert settled.commands[-1] == ("101", "dnd", value)
    for value in ("off", "on"):
        assert words(settled.use(f"call_waiting_{value}")) == [SENTENCES["en"][f"call_waiting_{value}"]]
        assert words(settled.use("call_waiting_query")) == [SENTENCES["en"][f"call_waiting_{value}"]]
    assert len(settled.commands) == 6


@pytest.mark.parametrize("action", ["pick_up", "intercom", "listen", "whisper", "barge"])
def test_what_goes_with_another_extension_is_refused_without_one(action: str) -> None:
    settled = Settled()
    assert words(settled.use(action)) == [SENTENCES["en"]["no_number"]]
    assert words(settled.use(action, "199")) == [SENTENCES["en"]["bad_number"]]
    assert settled.commands == []


@pytest.mark.parametrize("action", DIALLED)
def test_every_action_answers_and_sets_nothing_of_others(action: str) -> None:
    settled = Settled()
    spoken = settled.use(action)
    assert words(spoken)
    assert spoken.asks is (action in ASKS_NUMBER)
    assert all(extension == "101" for extension, _, _ in settled.commands)
