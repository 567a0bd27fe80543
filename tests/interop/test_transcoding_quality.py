"""Every pair of codecs through the engine, in virtual time: speech by PESQ, tones by their level."""

from __future__ import annotations

import numpy as np
import pytest
from audio_world import G722, L16, LEVEL, OPUS, PCMA, PCMU, World, rate_of, tone_level
from harness.quality import COMMANDS, F32, alone, at_rate, in_tandem, score, speak

from media.commands import Format

CODECS = (PCMU, PCMA, L16, G722, OPUS)
TOLERANCE = 0.3  # PESQ below the worse of the two codecs alone, or both in tandem where that is worse
TONE_DB = 1.0
NAMES = [each[1] for each in CODECS]


@pytest.fixture(scope="module")
def speeches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, F32]:
    folder = tmp_path_factory.mktemp("speech")
    return {talker: speak(talker, folder) for talker in COMMANDS}


@pytest.fixture(scope="module")
def best(speeches: dict[str, F32]) -> dict[tuple[str, str], float]:
    """PESQ of each codec alone, by talker and name; Opus at the rate of the engine's bus for it, too."""
    found = {}
    for talker, speech in speeches.items():
        for format_ in CODECS:
            found[talker, format_[1]] = alone(speech, format_[1], rate_of(format_))
        found[talker, "opus"] = min(found[talker, "opus"], alone(speech, "opus", 8000))
    return found


@pytest.mark.parametrize("talker", list(COMMANDS))
@pytest.mark.parametrize("a", CODECS, ids=NAMES)
@pytest.mark.parametrize("b", CODECS, ids=NAMES)
def test_speech_is_as_good_as_its_codecs(
    speeches: dict[str, F32], best: dict[tuple[str, str], float], a: Format, b: Format, talker: str
) -> None:
    world = World()
    ann, ben = world.phone(a), world.phone(b, 500.0)
    ann.sound = at_rate(speeches[talker], ann.rate)
    world.engine.bridge(1, 2)
    world.run(len(ann.sound) / ann.rate + 0.5)
    reached = score(speeches[talker], ben.heard(), ben.rate)
    expected = min(best[talker, a[1]], best[talker, b[1]])
    tandem = expected if a == b else in_tandem(speeches[talker], a[1], ann.rate, b[1], ben.rate)
    print(f"{talker} {a[1]} -> {b[1]}: {reached:.2f}, alone {expected:.2f}, in tandem {tandem:.2f}")
    assert reached >= min(expected, tandem) - TOLERANCE
    if talker == "espeak":
        # Of the other voice, which is noisier, two laws of G.711 in tandem alone take 0.4.
        assert reached >= expected - TOLERANCE
        assert reached >= 4.0 or OPUS in (a, b) or G722 in (a, b)


@pytest.mark.parametrize("a", CODECS, ids=NAMES)
@pytest.mark.parametrize("b", CODECS, ids=NAMES)
def test_a_tone_keeps_its_level(a: Format, b: Format) -> None:
    world = World()
    ann, ben = world.phone(a), world.phone(b)
    world.engine.bridge(1, 2)
    for hertz in (400.0, 1000.0, 2800.0):
        ann.hertz = ben.hertz = hertz
        world.run(2.0)
        for phone in (ann, ben):
            level = tone_level(phone.heard()[-phone.rate // 2 :], phone.rate, hertz)
            assert abs(20 * np.log10(level / LEVEL)) <= TONE_DB, f"{hertz} Hz: {level:.0f}"
