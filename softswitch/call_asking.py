"""A caller who is asked for digits: the number behind a feature code, the PIN of a call.

    UseFeature             --a number is wanted--> ASKING --number--> ANNOUNCING (what was done), then the end
                           --else--> ANNOUNCING
    a Dial that wants a PIN --> ASKING --right--> HUNTING, with A answered
                                |   \\--wrong--> ASKING again, PIN_TRIES in all
                                \\--> ANNOUNCING (that it is not possible), then the end

A is answered before it is asked: few telephones send digits before that, and by INFO none does. For the call record a
call with a PIN is answered when somebody takes it: until then A hears the ringing, or why nobody does, from us, as if
it were being transferred (`softswitch.call_transfer`), by nobody.

The PIN is here from its first digit to its last, in a `DigitEntry`; no log, no call record and no recording has it.
"""

from __future__ import annotations

from media.audio_commands import PlayEnded, Silence, Source, StopPlay, Tone
from media.negotiate import AudioSession, as_offer
from media.sdp import NO_COMMON_CODEC, NoCommonCodec
from softswitch.call_alone import LAST_HEARD
from softswitch.call_floor import State
from softswitch.call_park import ParkingCall
from softswitch.call_transfer import Transfer
from softswitch.causes import Cause
from softswitch.dialplan.decision import Dial, UseFeature
from softswitch.digit_entry import DigitEntry
from softswitch.feature_speech import Spoken
from softswitch.vocabulary import Audio, CancelTimer, DigitDialled, SetTimer

ASK_TIMER = "ask"
FIRST_DIGIT = 8.0
"""Seconds of silence after the question until it counts as not answered."""

NEXT_DIGIT = 4.0
"""Seconds after a digit until the number counts as whole."""

LONGEST_QUESTION = 60.0
"""Seconds of a question that nobody says the end of."""

MAX_NUMBER = 32
MAX_PIN = 16

PIN_TRIES = 3
"""In one call."""

FIRST_HEARD = Silence(0.3)
"""What a telephone that has just been answered may miss, while it opens its audio."""

PIN_SEGMENT = "pin"
FAILURE_TONE = 4.0
"""Seconds for which somebody hears why nobody took the call."""


class Question:
    """What A is being asked. `about`: the code whose number is wanted, or the call whose PIN."""

    __slots__ = ("about", "entry", "source", "tries")

    def __init__(self, about: UseFeature | Dial, tries: int = PIN_TRIES) -> None:
        self.about = about
        self.tries = tries
        self.entry = DigitEntry(MAX_PIN if isinstance(about, Dial) else MAX_NUMBER)
        self.source = ""  # how digits come: telephones may send each in two ways


class AskingCall(ParkingCall):
    """The part of a `Call` that asks its caller."""

    __slots__ = ("_question", "_tone")

    _question: Question | None
    _tone: Tone | None  # what is played where the sentence that plays now can't be spoken

    def _dial(self, plan: Dial, now: float) -> None:
        """Call somebody."""
        raise NotImplementedError

    # ---- feature codes ----------------------------------------------------------------------------------

    def _use_feature(self, decision: UseFeature, now: float) -> None:
        """Do what a code stands for, and tell."""
        try:
            # Who can't hear what was done must not think that nothing was.
            self._own_codecs(self._offer, heard=True)
        except NoCommonCodec:
            self._give_up(Cause.INCOMPATIBLE_DESTINATION, 488, now, text=NO_COMMON_CODEC)
            return
        self._told(decision, self._directory.use_feature(self.setup.endpoint, decision.action, decision.number), now)

    def _told(self, decision: UseFeature, spoken: Spoken, now: float) -> None:
        if spoken.asks:
            self._ask_for(Question(decision), spoken, "feature", now)
        else:
            self._say(State.ANNOUNCING, spoken, "feature", now)

    # ---- PIN --------------------------------------------------------------------------------------------

    def _held_up(self, plan: Dial, now: float) -> bool:
        """Whether a call can't go on at once, because it wants a PIN."""
        if not self._directory.needs_pin(plan, self._caller, self._payer, self.contact.id, now):
            return False
        asked = self._payer.kind == "extension" and not self._payer.forwarded and not self._again
        if not asked or not self._directory.may_try_pin(self._payer.name, now):
            # Of those who forward or transfer nobody is there who could be asked.
            self._give_up(Cause.OUTGOING_CALLS_BARRED, 403, now)
            return True
        self._ask_for(Question(plan), self._directory.spoken("ask_pin"), PIN_SEGMENT, now)
        return True

    def _pin_dialled(self, question: Question, plan: Dial, now: float) -> None:
        extension, pin = self._payer.name, question.entry.number
        if pin and self._directory.check_pin(extension, pin, self.contact.id, now):
            self._go_on(plan, now)
        elif question.tries > 1 and self._directory.may_try_pin(extension, now):
            again = Question(plan, question.tries - 1)
            self._ask_for(again, self._directory.spoken("ask_pin", "pin_wrong"), PIN_SEGMENT, now)
        else:
            self.contact.end(Cause.OUTGOING_CALLS_BARRED, 403, "switch", now)
            self._say(State.ANNOUNCING, self._directory.spoken("pin_refused"), PIN_SEGMENT, now)

    def _go_on(self, plan: Dial, now: float) -> None:
        """Call whom A has dialled; A is answered, but by nobody yet."""
        assert self._a_session is not None
        if self._offer is None:
            self._offer = as_offer(self._a_session, self._a_policy)
        self.contact.destination = ""
        self._service = None
        self._play = 0
        self._transfer = Transfer(0, "")
        self._transfer.told = True  # nobody has asked for it, and nobody is rung again
        self._transfer.again.clear()
        self._ringing = 0
        self._waiting_rings = False
        self._dial(plan, now)

    def _transferred(self, leg: int, session: AudioSession, now: float) -> None:
        transfer = self._transfer
        if transfer is None or transfer.requested_by or self._a_session is None:
            super()._transferred(leg, session, now)
            return
        self._transfer = None
        self._stop_waiting()
        self.state = State.TALKING
        self._join(leg)
        self._let_go(transfer, now)
        # What A agreed on to hear the question is one codec, and B was offered that first: if one is to change, B is.
        self._carry_answer(self.a, self._a_session, now)

    def _let_go(self, transfer: Transfer, now: float) -> None:
        if transfer.requested_by:
            super()._let_go(transfer, now)
        else:
            self.contact.answered = now

    def _wait(self, rings: bool) -> None:
        # Before it rings a caller hears nothing, as any other; who is transferred hears music.
        if rings or self._transfer is None or self._transfer.requested_by:
            super()._wait(rings)

    def _transfer_failed(self, cause: int, status: int, now: float, text: str) -> None:
        transfer = self._transfer
        if transfer is None or transfer.requested_by:
            super()._transfer_failed(cause, status, now, text)
            return
        self._transfer = None
        self._stop_waiting()
        self.contact.end(cause, status, "switch", now)
        tone = Tone("busy" if cause == Cause.USER_BUSY else "congestion", seconds=FAILURE_TONE)
        self._say(State.ANNOUNCING, Spoken((tone,)), PIN_SEGMENT, now)

    # ---- questions --------------------------------------------------------------------------------------

    def _ask_for(self, question: Question, spoken: Spoken, segment: str, now: float) -> None:
        self._question = question
        self._effects.append(SetTimer(ASK_TIMER, now + LONGEST_QUESTION))
        self._say(State.ASKING, spoken, segment, now)
        if self.state is State.ASKING:
            self._listen(self.a)

    def _say(self, state: State, spoken: Spoken, segment: str, now: float) -> None:
        """Let A hear something, and answer it first where it is not answered."""
        self._tone = spoken.tone
        record = self.contact.leg(self.a)
        if record is not None and record.answered:
            self._play_next(state, (*spoken.sources, LAST_HEARD), now)
        else:
            self._serve(state, segment, (FIRST_HEARD, *spoken.sources, LAST_HEARD), now)

    def _play_next(self, state: State, sources: tuple[Source, ...], now: float) -> None:
        self.state = state
        self._heard = 0.0
        self._stop_question()
        self._service = sources
        self._begin_service(now)

    def _stop_question(self) -> None:
        play, self._play = self._play, 0
        if play:
            self._effects.append(Audio(StopPlay(play)))

    def _asked_digit(self, event: DigitDialled, now: float) -> bool:
        """Whether a digit was one that A was asked for."""
        question = self._question
        if question is None or event.leg != self.a:
            return False
        question.source = question.source or event.source
        if event.source != question.source:
            return True
        self._stop_question()
        if question.entry.read(event.digit):
            self._whole(now)
        else:
            self._effects.append(SetTimer(ASK_TIMER, now + NEXT_DIGIT))
        return True

    def _whole(self, now: float) -> None:
        """All has been dialled that will be."""
        question, self._question = self._question, None
        if question is None or self.state is not State.ASKING:
            return
        self._effects.append(CancelTimer(ASK_TIMER))
        self._stop_question()
        if isinstance(question.about, Dial):
            self._pin_dialled(question, question.about, now)
            return
        action, number = question.about.action, question.entry.number
        if number:
            self._told(question.about, self._directory.use_feature(self.setup.endpoint, action, number), now)
        else:
            self._told(question.about, self._directory.spoken("no_number"), now)

    def _play_ended(self, event: PlayEnded, now: float) -> None:
        tone, self._tone = self._tone, None
        if event.play == self._play and event.how == "failed" and tone is not None and not self._moving:
            self._play = 0
            self._play_next(self.state, (tone, LAST_HEARD), now)
        elif event.play == self._play and self.state is State.ASKING:
            self._play = 0
            self._effects.append(SetTimer(ASK_TIMER, now + FIRST_DIGIT))
        else:
            self._tone = tone
            super()._play_ended(event, now)
