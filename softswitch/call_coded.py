"""Codes that one of those who talk dials: transfer, consultation, conference, park, recording by any telephone's keys.

    a digit of an extension's leg --CodeReader--> a code --> the same that a command does (`softswitch.call_control`)

While the number that follows a code is dialled, the others hear music, as they will, and the one who dials hears that a
number is wanted. What can't be done is told by the special information tone, and all is as before.
"""

from __future__ import annotations

from media.audio_commands import Play, Silence, Source, StopPlay, Tone
from softswitch.call_codes import Code, CodeReader
from softswitch.call_floor import State
from softswitch.call_moves import MovingLeg
from softswitch.call_recording import RecordingRefused
from softswitch.call_transfer import TransferRefused
from softswitch.call_video import VideoCall
from softswitch.feature_speech import ERROR_TONE
from softswitch.vocabulary import AnyEffect, Audio, CancelTimer, DigitDialled, SetTimer

NUMBER_WANTED = Tone("dial")
"""What one hears who is to dial a number."""

RECORDING_ON: tuple[Source, ...] = (Tone("beep"),)
RECORDING_OFF: tuple[Source, ...] = (Tone("beep"), Silence(0.2), Tone("beep"))

_TIMER = "code "  # and the leg


class CodedCall(VideoCall):
    """The part of a `Call` that listens for codes."""

    __slots__ = ("_dialling", "_readers")

    _readers: dict[int, CodeReader | None]  # by leg; None: it may use none
    _dialling: dict[int, int]  # legs that dial a number behind a code, and the play that each hears; 0: none

    def _toggle_recording(self) -> bool:
        """Begin, or end, the recording; whether there is one now. Raises `RecordingRefused`."""
        raise NotImplementedError

    def _code_digit(self, event: DigitDialled, now: float) -> None:
        """A digit of somebody who may be dialling a code."""
        leg = event.leg
        if leg not in self.talkers or not (self.state is State.TALKING or leg == self._consulter):
            return
        if self._page is not None:
            return  # nobody is sent on from it
        if leg not in self._readers:
            endpoint = self._endpoint_of(leg)
            self._readers[leg] = self._directory.code_reader(endpoint.name) if endpoint.kind == "extension" else None
        reader = self._readers[leg]
        if reader is not None:
            code = reader.read(event.digit, now)
            self._read_on(leg, reader, code, now)

    def _code_timer(self, name: str, now: float) -> bool:
        """A timer that has fired: whether it is one of codes."""
        leg = name.removeprefix(_TIMER)
        if leg == name:
            return False
        reader = self._readers.get(int(leg))
        if reader is not None:
            self._read_on(int(leg), reader, reader.expire(now), now)
        return True

    def _read_on(self, leg: int, reader: CodeReader, code: Code | None, now: float) -> None:
        dialled = leg in self._dialling
        if reader.collecting and not dialled:
            self._begin_dialling(leg, now)
        elif dialled and not reader.collecting:
            self._end_dialling(leg, now)
        elif dialled and self._dialling[leg]:
            self._hush(leg)  # the first digit is here
        if code is not None:
            self._do_code(leg, code, now)
        deadline = reader.next_deadline()
        name = f"{_TIMER}{leg}"
        self._effects.append(CancelTimer(name) if deadline is None else SetTimer(name, deadline))

    def _begin_dialling(self, leg: int, now: float) -> None:
        self._dialling[leg] = 0
        if self.state is State.TALKING and leg not in self._holders:
            self._holders.add(leg)
            self._talk_changed(now)
        if self._hears(leg):
            play = self._dialling[leg] = self._new_id()
            self._effects.append(Audio(Play(play, (NUMBER_WANTED,), stream=leg)))

    def _hush(self, leg: int) -> None:
        play, self._dialling[leg] = self._dialling[leg], 0
        if play:
            self._effects.append(Audio(StopPlay(play)))

    def _end_dialling(self, leg: int, now: float) -> None:
        self._hush(leg)
        del self._dialling[leg]
        if leg in self._holders:
            self._holders.discard(leg)
            self._talk_changed(now)

    def _talk_changed(self, now: float) -> None:
        if self.state is State.TALKING:
            self._put_back(self._held(now))

    def _do_code(self, leg: int, code: Code, now: float) -> None:
        try:
            self._put_back(self._coded(leg, code, now))
        except (TransferRefused, RecordingRefused):
            self._beep(leg, (ERROR_TONE,))

    def _coded(self, leg: int, code: Code, now: float) -> list[AnyEffect]:
        match code.action:
            case "attended_transfer":
                return self.consult(leg, self._wanted(code), now)
            case "blind_transfer":
                return self.transfer(leg, self._wanted(code), now)
            case "three_way":
                return self.confer(leg, now)
            case "swap":
                return self.swap(leg, now)
            case "return":
                return self.back(leg, now)
            case "park":
                reader = self._readers[leg]
                return self.park(leg, reader.park_lot if reader is not None else "", "", now)
            case "record":
                self._beep(leg, RECORDING_ON if self._toggle_recording() else RECORDING_OFF)
                return []
            case _:
                raise TransferRefused(f"no code {code.action!r}")

    @staticmethod
    def _wanted(code: Code) -> str:
        if not code.number:
            raise TransferRefused("no number was dialled")
        return code.number

    def _beep(self, leg: int, sources: tuple[Source, ...]) -> None:
        if self._hears(leg):
            self._effects.append(Audio(Play(self._new_id(), sources, stream=leg, over=True)))

    def hand_over(self, leg: int, now: float) -> MovingLeg:
        """What was dialled of a code was for this call."""
        if self._dialling.get(leg):
            self._hush(leg)
        self._forget_codes(leg)
        return super().hand_over(leg, now)

    def _forget_codes(self, leg: int) -> None:
        """A leg is gone."""
        if self._readers.pop(leg, None) is not None:
            self._effects.append(CancelTimer(f"{_TIMER}{leg}"))
        self._dialling.pop(leg, None)
