"""Speech for tests: espeak-ng and flite, brought to 8000 Hz."""

from __future__ import annotations

import subprocess
from functools import cache

import numpy as np
import numpy.typing as npt
import soxr

F32 = npt.NDArray[np.float32]
RATE = 8000

TEXTS = {
    "en": (
        "Good morning, you have reached the service desk of the water works. Our office is open from Monday to Friday "
        "between eight in the morning and half past five in the evening. If your call is about a bill, please have the "
        "number of your contract ready. All our people are busy at the moment; who waits on the line keeps the place "
        "in the queue. We are sorry about the noise, the wind blows through every room of this old house today.",
        "Mary asked whether nine or ten of the yellow boxes had arrived at the harbour, and we knew no answer. "
        "Low clouds moved over the moors, a yellow moon rose, and all the owls were calling. You may leave a message "
        "after the tone, name and number please, then we will ring you up as soon as anyone is here again.",
    ),
    "de": (
        "Guten Morgen, hier ist die Auskunft der Stadtwerke. Im Augenblick sind alle Leitungen belegt, bitte bleiben "
        "Sie am Apparat, der nächste freie Platz ist für Sie. Halten Sie bitte Ihre Kundennummer bereit. Wer um sieben "
        "Uhr anruft, wartet weniger als eine Minute, wer um zehn anruft, über eine Viertelstunde.",
    ),
    "fr": (
        "Bonjour, vous êtes en communication avec le bureau de la mairie. Tous nos conseillers sont occupés, nous vous "
        "prions de patienter quelques instants. Pour une nouvelle demande, préparez une pièce d'identité et votre "
        "numéro de dossier. Nous sommes ouverts du lundi au samedi, de neuf heures à midi.",
    ),
    "es": (
        "Buenos días, gracias por llamar a la oficina de turismo. En este momento todas las líneas están ocupadas, "
        "espere un momento por favor. Mañana abrimos a las nueve y media, y los domingos no hay nadie. El número nuevo "
        "es el dos, cero, uno, ocho, ocho, siete.",
    ),
    "it": (
        "Buongiorno, questo è l'ufficio informazioni della stazione. Il treno per Milano parte alle undici e venti dal "
        "binario uno, quello per Roma un'ora dopo. Chi desidera parlare con un operatore rimanga in linea, il tempo di "
        "attesa è di circa dieci minuti.",
    ),
    "pl": (
        "Dzień dobry, tu informacja telefoniczna. Wszystkie linie są teraz zajęte, prosimy poczekać na połączenie. "
        "Biuro jest czynne od poniedziałku do piątku, od ósmej rano do szesnastej.",
    ),
}


@cache
def spoken(text: str, voice: str = "en", speed: int = 165, pitch: int = 50) -> F32:
    """Samples at 8000 Hz on the 16-bit scale, without silence before and after, highest peak -3 dBFS. `voice`: one of
    espeak-ng's, or `flite:` and one of flite's."""
    if voice.startswith("flite:"):
        command = ["flite", "-voice", voice.removeprefix("flite:"), "-t", text, "-o", "/dev/stdout"]
        command[1:1] = ["--setf", f"duration_stretch={165 / speed:.2f}"]
    else:
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    wave = subprocess.run(command, check=True, capture_output=True).stdout
    # A pipe has no length in its header: the samples are what follows.
    header = wave.index(b"data") + 8
    rate = int.from_bytes(wave[24:28], "little")
    samples = np.frombuffer(wave[header : len(wave) & ~1], "<i2").astype(np.float32)
    samples = np.asarray(soxr.resample(samples, rate, RATE), np.float32)
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 300)
    samples = samples[loud[0] : loud[-1] + 1]
    return samples * np.float32(32768 * 10 ** (-3 / 20) / np.abs(samples).max())


@cache
def ten_minutes() -> F32:
    """More than ten minutes of speech: seven languages' voices, men and women, slow and fast, in two synthesisers."""
    pieces = []
    for voice in ("flite:rms", "flite:slt", "flite:awb", "flite:kal16"):
        pieces += [spoken(text, voice, speed) for text in TEXTS["en"] for speed in (135, 185)]
    for voice in ("en-gb", "en-us", "en+f3", "en+m7", "en+f5"):
        pieces += [spoken(text, voice, speed, pitch) for text in TEXTS["en"] for speed, pitch in ((130, 40), (200, 65))]
    for language in ("de", "fr", "es", "it", "pl"):
        for variant, speed, pitch in (("", 140, 45), ("+f2", 165, 60), ("+m3", 190, 30)):
            pieces += [spoken(text, language + variant, speed, pitch) for text in TEXTS[language]]
    return np.concatenate(pieces)
