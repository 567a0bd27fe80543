"""What people hear who dial a code or are asked for a PIN: sentences in the languages that values are spoken in.

A `Spoken` is a sentence with the tone that stands for it where no speech engine can say it. Numbers are always last, so
that they can be said from prompts.
"""

from __future__ import annotations

import re

import msgspec

from media.audio_commands import Say, Source, Speech, Tone

ERROR_TONE = Tone("special-information", seconds=1.0)
DONE_TONE = Tone("beep")
ASK_TONE = Tone("dial", seconds=0.5)

_DIGITS = re.compile(r"[0-9*#+]+")


class Spoken(msgspec.Struct, frozen=True, gc=False):
    """What is played. `tone`: where that can't be said; `ok`: the thing was done; `asks`: a number is wanted now."""

    sources: tuple[Source, ...]
    tone: Tone = DONE_TONE
    ok: bool = True
    asks: bool = False


_ENGLISH = {
    "dnd_on": "Do not disturb is on.",
    "dnd_off": "Do not disturb is off.",
    "call_waiting_on": "Call waiting is on.",
    "call_waiting_off": "Call waiting is off.",
    "forward_always_on": "All calls are forwarded to",
    "forward_always_off": "Calls are not forwarded.",
    "forward_busy_on": "When you are busy, calls are forwarded to",
    "forward_busy_off": "When you are busy, calls are not forwarded.",
    "forward_no_answer_on": "When you do not answer, calls are forwarded to",
    "forward_no_answer_off": "When you do not answer, calls are not forwarded.",
    "forward_unavailable_on": "When you are not available, calls are forwarded to",
    "forward_unavailable_off": "When you are not available, calls are not forwarded.",
    "own_number": "Your number is",
    "ask_number": "Please dial the number, then the hash key.",
    "no_number": "No number was dialled.",
    "bad_number": "This number is not possible.",
    "not_allowed": "You may not use this code.",
    "no_caller": "Nobody has called.",
    "ask_pin": "Please dial your PIN, then the hash key.",
    "pin_wrong": "The PIN is wrong.",
    "pin_refused": "The call is not possible.",
}
_GERMAN = {
    "dnd_on": "Bitte nicht stören ist eingeschaltet.",
    "dnd_off": "Bitte nicht stören ist ausgeschaltet.",
    "call_waiting_on": "Anklopfen ist eingeschaltet.",
    "call_waiting_off": "Anklopfen ist ausgeschaltet.",
    "forward_always_on": "Alle Anrufe werden umgeleitet zu",
    "forward_always_off": "Anrufe werden nicht umgeleitet.",
    "forward_busy_on": "Wenn besetzt ist, werden Anrufe umgeleitet zu",
    "forward_busy_off": "Wenn besetzt ist, werden Anrufe nicht umgeleitet.",
    "forward_no_answer_on": "Wenn niemand abhebt, werden Anrufe umgeleitet zu",
    "forward_no_answer_off": "Wenn niemand abhebt, werden Anrufe nicht umgeleitet.",
    "forward_unavailable_on": "Wenn Sie nicht erreichbar sind, werden Anrufe umgeleitet zu",
    "forward_unavailable_off": "Wenn Sie nicht erreichbar sind, werden Anrufe nicht umgeleitet.",
    "own_number": "Ihre Nummer ist",
    "ask_number": "Bitte wählen Sie die Nummer und dann die Rautetaste.",
    "no_number": "Es wurde keine Nummer gewählt.",
    "bad_number": "Diese Nummer ist nicht möglich.",
    "not_allowed": "Sie dürfen diese Funktion nicht benutzen.",
    "no_caller": "Es hat niemand angerufen.",
    "ask_pin": "Bitte wählen Sie Ihre PIN und dann die Rautetaste.",
    "pin_wrong": "Die PIN ist falsch.",
    "pin_refused": "Der Anruf ist nicht möglich.",
}
_FRENCH = {
    "dnd_on": "Ne pas déranger est activé.",
    "dnd_off": "Ne pas déranger est désactivé.",
    "call_waiting_on": "Le signal d'appel est activé.",
    "call_waiting_off": "Le signal d'appel est désactivé.",
    "forward_always_on": "Tous les appels sont renvoyés vers le",
    "forward_always_off": "Les appels ne sont pas renvoyés.",
    "forward_busy_on": "Si la ligne est occupée, les appels sont renvoyés vers le",
    "forward_busy_off": "Si la ligne est occupée, les appels ne sont pas renvoyés.",
    "forward_no_answer_on": "Sans réponse de votre part, les appels sont renvoyés vers le",
    "forward_no_answer_off": "Sans réponse de votre part, les appels ne sont pas renvoyés.",
    "forward_unavailable_on": "Si vous n'êtes pas joignable, les appels sont renvoyés vers le",
    "forward_unavailable_off": "Si vous n'êtes pas joignable, les appels ne sont pas renvoyés.",
    "own_number": "Votre numéro est le",
    "ask_number": "Composez le numéro, puis la touche dièse.",
    "no_number": "Aucun numéro n'a été composé.",
    "bad_number": "Ce numéro n'est pas possible.",
    "not_allowed": "Vous n'avez pas accès à cette fonction.",
    "no_caller": "Personne n'a appelé.",
    "ask_pin": "Composez votre code secret, puis la touche dièse.",
    "pin_wrong": "Le code est faux.",
    "pin_refused": "L'appel n'est pas possible.",
}
_SPANISH = {
    "dnd_on": "No molestar está activado.",
    "dnd_off": "No molestar está desactivado.",
    "call_waiting_on": "La llamada en espera está activada.",
    "call_waiting_off": "La llamada en espera está desactivada.",
    "forward_always_on": "Todas las llamadas se desvían al",
    "forward_always_off": "Las llamadas no se desvían.",
    "forward_busy_on": "Si está ocupado, las llamadas se desvían al",
    "forward_busy_off": "Si está ocupado, las llamadas no se desvían.",
    "forward_no_answer_on": "Si no contesta, las llamadas se desvían al",
    "forward_no_answer_off": "Si no contesta, las llamadas no se desvían.",
    "forward_unavailable_on": "Si no está disponible, las llamadas se desvían al",
    "forward_unavailable_off": "Si no está disponible, las llamadas no se desvían.",
    "own_number": "Su número es el",
    "ask_number": "Marque el número y después la tecla almohadilla.",
    "no_number": "No se ha marcado ningún número.",
    "bad_number": "Ese número no es posible.",
    "not_allowed": "No puede usar este código.",
    "no_caller": "No ha llamado nadie.",
    "ask_pin": "Marque su código secreto y después la tecla almohadilla.",
    "pin_wrong": "El código es incorrecto.",
    "pin_refused": "La llamada no es posible.",
}
_ITALIAN = {
    "dnd_on": "Non disturbare è attivo.",
    "dnd_off": "Non disturbare non è attivo.",
    "call_waiting_on": "L'avviso di chiamata è attivo.",
    "call_waiting_off": "L'avviso di chiamata non è attivo.",
    "forward_always_on": "Tutte le chiamate sono deviate al",
    "forward_always_off": "Le chiamate non sono deviate.",
    "forward_busy_on": "Se è occupato, le chiamate sono deviate al",
    "forward_busy_off": "Se è occupato, le chiamate non sono deviate.",
    "forward_no_answer_on": "Se non risponde, le chiamate sono deviate al",
    "forward_no_answer_off": "Se non risponde, le chiamate non sono deviate.",
    "forward_unavailable_on": "Se non è raggiungibile, le chiamate sono deviate al",
    "forward_unavailable_off": "Se non è raggiungibile, le chiamate non sono deviate.",
    "own_number": "Il suo numero è",
    "ask_number": "Componga il numero, poi il tasto cancelletto.",
    "no_number": "Nessun numero composto.",
    "bad_number": "Questo numero non è possibile.",
    "not_allowed": "Non può usare questo codice.",
    "no_caller": "Non ha chiamato nessuno.",
    "ask_pin": "Componga il suo codice segreto, poi il tasto cancelletto.",
    "pin_wrong": "Il codice è errato.",
    "pin_refused": "La chiamata non è possibile.",
}
SENTENCES = {"en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "it": _ITALIAN}


def sentence(name: str, language: str) -> str:
    """A sentence in a language as `en` or `en-GB`; English where there is none of that language."""
    return SENTENCES.get(language[:2].lower(), _ENGLISH)[name]


def done(name: str, language: str, number: str = "") -> Spoken:
    """What has been done or is so; with a number, that at the end."""
    return Spoken((Speech(sentence(name, language)), *_number(number)))


def refused(name: str, language: str) -> Spoken:
    """Why nothing has been done, after a tone that says that nothing has."""
    return Spoken((ERROR_TONE, Speech(sentence(name, language))), ERROR_TONE, ok=False)


def asked(name: str, language: str, before: str = "") -> Spoken:
    """What is to be dialled now; `before`: a sentence on what was dialled last."""
    texts = [sentence(each, language) for each in (before, name) if each]
    return Spoken((Speech(" ".join(texts)),), ASK_TONE, asks=True)


def _number(number: str) -> tuple[Source, ...]:
    if not number:
        return ()
    return (Say("digits" if _DIGITS.fullmatch(number) else "letters", number),)
