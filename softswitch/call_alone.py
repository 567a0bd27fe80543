"""A caller whom the switch itself answers: its own audio back, an announcement, music, a conference.

    ECHO         its media is sent back
    ANNOUNCING   a player plays to it; when that has ended the call is over
    CONFERRING   it is in a room, with whoever is in there

When its stream is lost and open anew (`softswitch.call_lost_media`), echo and room are there again at once, so that it
hears them as soon as its far end sends to the new address. What plays goes on when the far end has told that it does:
at the second until which it was played, as the clock here has it.

What the engine plays and mixes it must be able to encode and decode: codecs that it only relays are for the echo alone.
"""

from __future__ import annotations

from typing import Literal

from media.audio_commands import Play, PlayEnded, Silence, Source
from media.codec import is_audio, transcodable
from media.negotiate import AudioOffer, own_answer, own_offer
from media.sdp import NoCommonCodec, PayloadType
from softswitch.call_floor import State
from softswitch.call_lost_media import MovedMedia
from softswitch.causes import Cause
from softswitch.conference.vocabulary import Stand
from softswitch.dialplan.decision import Announce, Confer
from softswitch.holding import HOLDS
from softswitch.vocabulary import Accept, Answer, AnyEffect, Audio, EnterRoom, HoldRoom, RefuseOffer
from softswitch.vocabulary import Echo as EchoMedia

LAST_HEARD = Silence(0.2)
"""What an announcement ends with: when the call is over its last packets are still on their way, or in the caller's
jitter buffer, and a telephone throws those away. Packets of silence push them through buffers that go by packets."""

HEARD_TWICE = 0.2
"""Seconds of an announcement that are played again where it was broken off: what was being opened, was on its way or in
the caller's jitter buffer is not in what the clock says."""


class LoneCaller(MovedMedia):
    """The part of a `Call` that serves a caller without calling anybody."""

    __slots__ = ("_a_codecs", "_heard", "_heard_at", "_play", "_service", "_stand")

    _a_codecs: tuple[PayloadType, ...] | None  # what A's offer was answered with
    _play: int  # the play after which the call is over; 0: none is under way
    _heard: float  # seconds of the announcement that were over when that play began
    _heard_at: float  # when it did
    _stand: Stand | Literal[""]  # of A in its room; "": that has not been told
    _service: AnyEffect | tuple[Source, ...] | None  # what A was answered for: an effect, or what is played

    def _give_up(self, cause: int, status: int, now: float, retry_after: float | None = None, text: str = "") -> None:
        """Refuse A."""
        raise NotImplementedError

    def _mark_answered(self, now: float, segment: str) -> None:
        """A is answered."""
        raise NotImplementedError

    def _echo(self, now: float) -> None:
        """Answer and send the caller's media back."""
        self._serve(State.ECHO, "echo", EchoMedia(self.a), now)

    def _announce(self, decision: Announce, now: float) -> None:
        """Answer and play; `PlayEnded` ends the call."""
        self._serve(State.ANNOUNCING, "announcement", (*decision.sources, LAST_HEARD), now)

    def _confer(self, decision: Confer, now: float) -> None:
        """Answer and join the conference; its room is left with the end of the leg."""
        self._serve(State.CONFERRING, "conference", EnterRoom(self.a, decision.name), now)

    @property
    def stand(self) -> Stand | Literal[""]:
        """How A stands in the conference room that it is in; "": that is not known yet."""
        return self._stand

    def stands_in_room(self, stand: Stand, now: float) -> None:
        """The contact is in the lobby until A is on the floor. What the room says first tells what it has come to with
        its answer."""
        if self.state is not State.CONFERRING:
            return
        kind = "conference" if stand == "in" else "lobby"
        if not self._stand:
            self.contact.segments[-1].kind = kind
        elif stand != "leaving":
            self.contact.enter(kind, now)
        self._stand = stand

    def _serve(self, state: State, segment: str, service: AnyEffect | tuple[Source, ...], now: float) -> None:
        heard = state is not State.ECHO
        try:
            if self._a_codecs is not None:
                # What early media of a failed leg has agreed stands (RFC 3261 13.2.1).
                codecs = self._a_codecs
                if heard and not transcodable(codecs[0].codec):
                    raise NoCommonCodec
            else:
                codecs = self._own_codecs(self._offer, heard)
        except NoCommonCodec as problem:
            self._give_up(Cause.INCOMPATIBLE_DESTINATION, 488, now, text=problem.reason)
            return
        self.contact.destination = segment
        self.state = state
        self._service = service
        self._effects.append(Accept(self.a, codecs if self._a_codecs is None else None))
        self._a_codecs = codecs
        self._mark_answered(now, segment)
        if self._offer is not None:
            self._begin_service(now)

    def _confirmed_alone(self, now: float) -> None:
        """A has answered the offer in our 200: now it can be heard."""
        if self._offer is None:
            self._begin_service(now)

    def _begin_service(self, now: float) -> None:
        service = self._service
        if isinstance(service, tuple):
            self._play = self._new_id()
            self._heard_at = now
            self._effects.append(Audio(Play(self._play, service, stream=self.a, start=self._heard)))
        elif service is not None:
            self._effects.append(service)

    def _service_lost(self, now: float) -> None:
        if self._play:
            self._play = 0  # what is said of it now is of no interest
            self._heard += max(0.0, now - self._heard_at - HEARD_TWICE)

    def _serve_again(self, now: float, answered: bool) -> None:
        plays = self.state in (State.ANNOUNCING, State.ASKING)
        if answered == plays:
            self._begin_service(now)

    def _reoffer_alone(self, offer: AudioOffer | None) -> None:
        """A wants other media, and there is nobody else to ask."""
        try:
            codecs = self._own_codecs(offer, self.state is not State.ECHO)
        except NoCommonCodec:
            self._effects.append(RefuseOffer(self.a, 488))
            return
        self._effects.append(Answer(self.a, codecs, "sendrecv"))
        if offer is not None:
            self._note_room_hold(offer.direction)

    def _note_room_hold(self, asked: str) -> None:
        if self.state is State.CONFERRING:
            self._effects.append(HoldRoom(self.a, asked in HOLDS))

    def _own_codecs(self, offer: AudioOffer | None, heard: bool) -> tuple[PayloadType, ...]:
        """What to answer, or to offer where there is no offer. Raises `NoCommonCodec`."""
        if offer is not None:
            return own_answer(offer, heard)
        codecs = own_offer(self._a_policy, self._a_session, heard)
        if not codecs or not is_audio(codecs[0].codec):
            raise NoCommonCodec
        return codecs

    def _play_ended(self, event: PlayEnded, now: float) -> None:
        if event.play != self._play or self.state is not State.ANNOUNCING:
            return
        if event.how in ("lost", "stopped"):
            # Nobody stops it: its stream is gone, which is told apart from this, and says how the call goes on.
            return
        failed = event.how == "failed"
        cause = Cause.TEMPORARY_FAILURE if failed else Cause.NORMAL_CLEARING
        self._end_all(cause, now, by="media" if failed else "switch", text="announcement failed" if failed else "")
