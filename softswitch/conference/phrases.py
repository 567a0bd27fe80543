"""What is said in a conference: `conference/NAME` below the prompt directories, or the same as text for the
text-to-speech engine.

A `Line` has both: where the sound files of it can't be played, its text is spoken as a whole.
"""

from __future__ import annotations

from typing import NamedTuple

from media.audio_commands import File, Say, Source, Speech

FOLDER = "conference/"

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "enter-pin": "Please enter the PIN, then press hash.",
        "enter-pin-or-hash": "If you are the host, enter your PIN, then press hash. Otherwise, press hash.",
        "wrong-pin": "That PIN is not right.",
        "goodbye": "Goodbye.",
        "say-name": "Please say your name after the tone, then press hash.",
        "wait-for-host": "The conference begins when the host is here. Please hold.",
        "wait-in-lobby": "Please hold until the host lets you in.",
        "host-left": "The host has left.",
        "full": "This conference is full.",
        "is-locked": "This conference is locked.",
        "refused": "You cannot join this conference.",
        "kicked": "You have been removed from the conference.",
        "ended": "The conference has ended.",
        "alone": "You are the first one here.",
        "one-other": "There is one other person here.",
        "there-are": "There are",
        "others": "other people here.",
        "is-recorded": "This conference is recorded.",
        "recording-began": "The conference is now recorded.",
        "recording-paused": "The recording is paused.",
        "recording-ended": "The recording has ended.",
        "recording-failed": "The recording has failed.",
        "you-are-muted": "You are muted.",
        "you-are-unmuted": "You can be heard.",
        "muted-by-host": "The host has muted you.",
        "guests-muted": "All guests are muted.",
        "guests-unmuted": "All guests can be heard.",
        "now-locked": "The conference is locked now.",
        "now-unlocked": "The conference is open now.",
        "somebody": "Somebody",
        "has-joined": "has joined.",
        "has-left": "has left.",
        "waits": "wants to join.",
        "nobody-waits": "Nobody is waiting.",
        "admitted": "Admitted.",
        "turned-away": "Turned away.",
        "nobody-to-remove": "There is nobody to remove.",
        "removed": "Removed.",
        "roll-call": "Here are:",
        "volume": "Volume",
        "call-failed": "The call could not be completed.",
        "not-possible": "That is not possible.",
        "press-star": "Press star",
        "leave-menu": "Press star hash to leave this menu.",
        "to-mute": "to mute or unmute yourself.",
        "to-quieter": "to hear the others more quietly.",
        "to-louder": "to hear the others louder.",
        "to-lock": "to lock or open the conference.",
        "to-kick-last": "to remove the last one who joined.",
        "to-mute-guests": "to mute or unmute all guests.",
        "to-record": "to begin or end the recording.",
        "to-roll-call": "to hear who is here.",
        "to-admit": "to let the next one in.",
        "to-refuse": "to turn the next one away.",
        "to-end": "to end the conference.",
        "to-leave": "to leave the conference.",
        "to-help": "to hear this again.",
    },
    "de": {
        "enter-pin": "Bitte geben Sie die PIN ein und drücken Sie dann die Rautetaste.",
        "enter-pin-or-hash": "Als Moderator geben Sie Ihre PIN und dann Raute ein. Sonst drücken Sie nur Raute.",
        "wrong-pin": "Die PIN ist nicht richtig.",
        "goodbye": "Auf Wiederhören.",
        "say-name": "Bitte sagen Sie nach dem Ton Ihren Namen und drücken Sie dann die Rautetaste.",
        "wait-for-host": "Die Konferenz beginnt, sobald der Moderator da ist. Bitte warten Sie.",
        "wait-in-lobby": "Bitte warten Sie, bis der Moderator Sie einlässt.",
        "host-left": "Der Moderator hat die Konferenz verlassen.",
        "full": "Diese Konferenz ist voll.",
        "is-locked": "Diese Konferenz ist geschlossen.",
        "refused": "Sie können an dieser Konferenz nicht teilnehmen.",
        "kicked": "Sie wurden aus der Konferenz entfernt.",
        "ended": "Die Konferenz ist beendet.",
        "alone": "Sie sind der erste Teilnehmer.",
        "one-other": "Es ist ein weiterer Teilnehmer da.",
        "there-are": "Es sind",
        "others": "weitere Teilnehmer da.",
        "is-recorded": "Diese Konferenz wird aufgezeichnet.",
        "recording-began": "Die Konferenz wird jetzt aufgezeichnet.",
        "recording-paused": "Die Aufzeichnung ist unterbrochen.",
        "recording-ended": "Die Aufzeichnung ist beendet.",
        "recording-failed": "Die Aufzeichnung ist fehlgeschlagen.",
        "you-are-muted": "Sie sind stumm geschaltet.",
        "you-are-unmuted": "Man kann Sie jetzt hören.",
        "muted-by-host": "Der Moderator hat Sie stumm geschaltet.",
        "guests-muted": "Alle Gäste sind stumm geschaltet.",
        "guests-unmuted": "Man kann alle Gäste wieder hören.",
        "now-locked": "Die Konferenz ist jetzt geschlossen.",
        "now-unlocked": "Die Konferenz ist jetzt offen.",
        "somebody": "Jemand",
        "has-joined": "nimmt jetzt teil.",
        "has-left": "hat die Konferenz verlassen.",
        "waits": "möchte teilnehmen.",
        "nobody-waits": "Niemand wartet.",
        "admitted": "Eingelassen.",
        "turned-away": "Abgewiesen.",
        "nobody-to-remove": "Es gibt niemanden zu entfernen.",
        "removed": "Entfernt.",
        "roll-call": "Es nehmen teil:",
        "volume": "Lautstärke",
        "call-failed": "Der Anruf kam nicht zustande.",
        "not-possible": "Das ist nicht möglich.",
        "press-star": "Drücken Sie Stern",
        "leave-menu": "Mit Stern Raute verlassen Sie dieses Menü.",
        "to-mute": "um sich stumm oder wieder laut zu schalten.",
        "to-quieter": "um die anderen leiser zu hören.",
        "to-louder": "um die anderen lauter zu hören.",
        "to-lock": "um die Konferenz zu schließen oder zu öffnen.",
        "to-kick-last": "um den letzten Teilnehmer zu entfernen.",
        "to-mute-guests": "um alle Gäste stumm oder wieder laut zu schalten.",
        "to-record": "um die Aufzeichnung zu beginnen oder zu beenden.",
        "to-roll-call": "um zu hören, wer da ist.",
        "to-admit": "um den nächsten einzulassen.",
        "to-refuse": "um den nächsten abzuweisen.",
        "to-end": "um die Konferenz zu beenden.",
        "to-leave": "um die Konferenz zu verlassen.",
        "to-help": "um dies noch einmal zu hören.",
    },
}
"""Text of each prompt by language; of others, the English one is spoken by an English voice."""


class Line(NamedTuple):
    """Something said: sources to be played one after the other, and the same as text ("": there is none)."""

    sources: tuple[Source, ...] = ()
    text: str = ""

    def then(self, *others: Line) -> Line:
        """This, and the others after it."""
        lines = (self, *others)
        sources = tuple(source for line in lines for source in line.sources)
        return Line(sources, " ".join(line.text for line in lines if line.text))


class Voice:
    """Lines in the language of a room; "" is that of the media engine, whose texts are English here."""

    __slots__ = ("_folder", "_texts", "language", "spoken")

    def __init__(self, language: str) -> None:
        self.language = language
        base = language.replace("_", "-").partition("-")[0]
        self._folder = f"{language}/{FOLDER}" if language else FOLDER
        self._texts = TEXTS.get(base, TEXTS["en"])
        self.spoken = language if base in TEXTS else "en"
        """The language that the texts are in."""

    def prompt(self, *names: str) -> Line:
        """Prompts by name, one after the other."""
        sources = tuple(File(self._folder + name) for name in names)
        return Line(sources, " ".join(self._texts[name] for name in names))

    def number(self, value: int) -> Line:
        return Line((Say("number", str(value), self.language),), str(value))

    def digits(self, digits: str) -> Line:
        return Line((Say("digits", digits, self.language),), digits)

    def who(self, path: str, name: str, number: str) -> Line:
        """A member: by its own voice, by its display name, by its number, or as somebody."""
        spoken = name or " ".join(number) or self._texts["somebody"]
        if path:
            return Line((File(path),), spoken)
        if name:
            return Line((self.speech(name),), name)
        return self.digits(number) if number.isdigit() else self.prompt("somebody")

    def speech(self, text: str) -> Speech:
        return Speech(text, self.spoken)
