"""The media of a call's legs: what was agreed on each, and how one leg's wish for other media is carried to the other.

    re-offer of X, other codecs or direction   --Offer--> Y   --its answer--> Answer to X
    re-offer of X, only another address        --> Answer to X at once
    re-offer of X, only other codecs, among them the one that Y sends             --> Answer to X at once, relayed
    re-offer of X, only other codecs, none of which Y takes, but to be transcoded --> Answer to X at once, transcoded
    re-offer of X, other video   --Offer--> Y; Y refuses --> Answer to X, without video (softswitch/call_video.py)
    X asks us for an offer                     --> what stands; when its answer differs, --Offer--> Y
    Y refuses                                  --> X is refused, and all stays as it was; other codecs are transcoded

So the other leg is asked for other codecs only where that makes a relay of what else would be decoded, and two legs
that are transcoded are relayed again as soon as one of them offers what the other sends, without asking that one.

Where there is music for whom X holds, directions are not carried (softswitch/holding.py): X is answered as it asks, Y
hears the music and is offered nothing.

    stream of X lost  --MoveMedia--> X, then bridged as before; X refuses, or nobody takes the stream: the call ends.
                      A caller whom the switch itself answers is served again instead (`softswitch.call_alone`)

One carried offer at a time: a second one meets 491 (RFC 3261 14.2), and its peer asks again.
"""

from __future__ import annotations

from enum import Enum, auto

from media.audio_commands import Detect, Music, Play, PlayEnded, StopPlay
from media.codec import TELEPHONE_EVENT, codec_key, is_audio, transcodable
from media.commands import MediaAddress
from media.negotiate import (
    AudioOffer,
    AudioPolicy,
    AudioSession,
    changes_video,
    flipped,
    lopsided,
    needs_peer,
    own_offer,
    relay_answer,
    relay_offer,
    relays,
    renames,
    shares_codec,
    transcodes,
)
from media.sdp import NO_COMMON_CODEC, NoCommonCodec, PayloadType
from softswitch.causes import Cause
from softswitch.contact import Contact
from softswitch.holding import HOLDS, Hearing, hearing
from softswitch.vocabulary import (
    Answer,
    AnyEffect,
    Audio,
    Bridge,
    Endpoint,
    MediaLost,
    MoveMedia,
    Offer,
    OfferWithdrawn,
    Reanswered,
    RefuseOffer,
    Reoffered,
    ReofferRefused,
    SetTimer,
)
from softswitch.vocabulary import Echo as EchoMedia

MAX_UNASKED_OFFERS = 4
"""Offers in a row that no leg asked for, made because the legs' answers did not fit each other: two phones that each
insist on their own order of codecs would be asked for ever."""

MEND_TIMER = "mend"
MEND_AFTER = 1.0
"""Seconds until a leg that could not take an offer (its ACK was on the way, its own offer open) is asked again."""


MOVE_TIMER = "move"
MOVE_AGAIN = 0.25
"""Seconds until a leg whose stream could not be moved (no media worker yet, its own offer open) is tried again."""

MOVE_WITHIN = 10.0
"""Seconds after a loss of streams within which they have to lie elsewhere, or the call ends."""


class State(Enum):
    """Where a call stands; the picture is in `softswitch.call`."""

    ROUTING = auto()
    HUNTING = auto()
    OFFERING = auto()
    TALKING = auto()
    ECHO = auto()
    ANNOUNCING = auto()
    CONFERRING = auto()
    ENDING = auto()


ALONE = frozenset({State.ECHO, State.ANNOUNCING, State.CONFERRING})
"""States in which there is nobody but the caller in the call: the switch itself has answered."""


class OutLeg:
    """An outbound leg of the call."""

    __slots__ = ("endpoint", "session", "status")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.session: AudioSession | None = None
        self.status = 0


class Carried:
    """An offer of ours that waits for its answer because of another leg: its own offer, or what it answered."""

    __slots__ = ("leg", "offer", "taken_back")

    def __init__(self, leg: int, offer: AudioOffer | None) -> None:
        self.leg = leg
        self.offer = offer  # None: that leg waits for no answer
        self.taken_back = False


class LegMedia:
    """The part of a `Call` that minds its legs' media. `Call` owns the legs and says when they end."""

    __slots__ = (
        "_a_policy",
        "_a_session",
        "_along",
        "_carried",
        "_early",
        "_effects",
        "_listening",
        "_move_until",
        "_moving",
        "_music",
        "_offer",
        "_out",
        "_to_mend",
        "_unasked",
        "a",
        "b",
        "contact",
        "state",
    )

    def __init__(self, contact: Contact, leg: int, offer: AudioOffer | None, policy: AudioPolicy) -> None:
        self.contact = contact
        self.a = leg
        self.b: int | None = None
        self.state = State.ROUTING
        self._offer = offer
        self._a_policy = policy
        self._out: dict[int, OutLeg] = {}
        self._early: int | None = None  # the leg whose early media A hears
        self._a_session: AudioSession | None = None
        self._carried: Carried | None = None
        self._to_mend = 0  # the leg whose answer still has to be carried to the other
        self._unasked = 0  # offers of our own making since a leg asked for a change
        self._effects: list[AnyEffect] = []
        self._moving: dict[int, bool] = {}  # legs whose stream was lost: whether the far end has been asked
        self._move_until = 0.0
        self._listening: set[int] = set()  # legs whose tones are listened for
        self._along: set[int] = set()  # legs that were offered a direction which another leg had asked for
        self._music: dict[int, int] = {}  # plays by the leg that hears them while it is held

    def _end_all(self, cause: int, now: float, by: str, text: str = "", status: int = 0) -> None:
        """The contact is over: release every leg that is left."""
        raise NotImplementedError

    def _reoffer_alone(self, offer: AudioOffer | None) -> None:
        """A, whom the switch itself has answered, wants other media."""
        raise NotImplementedError

    def _service_lost(self, now: float) -> None:
        """What the switch itself does for A has ended with its media process."""
        raise NotImplementedError

    def _serve_again(self, now: float, answered: bool) -> None:
        """A's stream is open anew; `answered`: A sends to it."""
        raise NotImplementedError

    @property
    def _alone(self) -> bool:
        """There is nobody but A in the call."""
        return self.state in ALONE

    def partner(self, leg: int) -> int | None:
        """The leg that this one talks to: after the answer, or in early media."""
        b = self.b if self.b is not None else self._early
        if b is None:
            return None
        return b if leg == self.a else self.a if leg == b else None

    def _join(self, leg: int) -> None:
        """Let A and this leg hear each other, as their sessions now stand."""
        self._effects.append(Bridge(self.a, leg))
        self._listen(leg)

    def _listen(self, leg: int) -> None:
        """Listen for the digits of A and this leg."""
        for each in (self.a, leg):
            # Where the owner says that digits come as tones, they are listened for, and made into events for a leg that
            # has those; else tones are audio like any other.
            if each not in self._listening and self._policy_of(each).digits == "inband":
                self._listening.add(each)
                self._effects.append(Audio(Detect(each, dtmf=True)))

    # ---- changes of an established call -----------------------------------------------------------------

    def _reoffered(self, event: Reoffered, now: float) -> None:
        """A leg wants other media."""
        leg, offer = event.leg, event.offer
        if self._alone and leg == self.a:
            self._reoffer_alone(offer)
            return
        other = self.partner(leg)
        mine = self._session_of(leg)
        settled = self.state in (State.HUNTING, State.TALKING)
        if other is None or mine is None or not settled or self._carried is not None:
            # RFC 3261 14.2, RFC 3311 5.2: 491 while another offer is in progress; the peer asks again.
            self._effects.append(RefuseOffer(leg, 491))
            return
        apart = self._apart(other)
        if offer is None:
            self._effects.append(Answer(leg, mine.codecs + mine.dtmf, "sendrecv" if apart else mine.direction))
            return
        if apart and offer.direction != mine.peer_direction and self._answered_apart(leg, other, offer, mine, now):
            return
        seen = changes_video(mine, offer, self._policy_of(other))
        if not needs_peer(mine, offer) and not seen:
            self._answer_alone(leg, offer, mine)
            return
        if not seen and offer.direction == mine.peer_direction and self._absorbs(leg, other, offer):
            self._answer_absorbed(leg, other, offer, mine)
            return
        try:
            codecs = relay_offer(offer, self._policy_of(other), self._session_of(other))
        except NoCommonCodec:
            self._effects.append(RefuseOffer(leg, 488))
            return
        self._carried = Carried(leg, offer)
        self._unasked = 0
        self._carry(other, codecs, self._standing(other) if apart else offer.direction)

    def _carry(self, leg: int, codecs: tuple[PayloadType, ...], direction: str) -> None:
        """Offer a leg what another one has asked for."""
        if direction == "sendrecv":
            self._along.discard(leg)
        elif direction != self._standing(leg):
            self._along.add(leg)
        self._effects.append(Offer(leg, codecs, direction))

    def _standing(self, leg: int) -> str:
        session = self._session_of(leg)
        return "sendrecv" if session is None else session.direction

    # ---- hold -------------------------------------------------------------------------------------------

    def _music_for(self, leg: int) -> str:
        """The class of music that a leg hears while it is held, "": none."""
        raise NotImplementedError

    def _apart(self, leg: int) -> bool:
        """Whether this leg hears music while its partner holds it, and is left alone otherwise."""
        session = self._session_of(leg)
        if self.state is not State.TALKING or session is None or leg in self._along:
            return False
        return transcodable(session.codecs[0].codec) and bool(self._music_for(leg))

    def _answered_apart(self, leg: int, other: int, offer: AudioOffer, mine: AudioSession, now: float) -> bool:
        """Answer a change of direction that does not concern the other leg; False where the codecs of the offer do."""
        theirs = self._session_of(other)
        absorbed = renames(mine, offer)
        if theirs is None or (absorbed and not self._absorbs(leg, other, offer)):
            return False
        try:
            codecs = relay_answer(offer, theirs, self._policy_of(other)) if absorbed else relay_answer(offer, mine)
        except NoCommonCodec:
            self._effects.append(RefuseOffer(leg, 488))
            return True
        if leg == self.a:
            self._offer = offer
        self._effects.append(Answer(leg, codecs, flipped(offer.direction)))
        self._tune(leg, offer.direction)
        self._note_hold(now, mine, leg, offer.direction)
        return True

    def _asked(self, leg: int, asker: int, asked: str) -> str:
        """The direction that a leg wants: `asked` of `asker`, which has just said so; of others what stands."""
        if leg == asker and asked:
            return asked
        session = self._session_of(leg)
        return "sendrecv" if session is None else session.peer_direction

    def _tune(self, asker: int = 0, asked: str = "") -> None:
        """Music for whom is held, and only for them. `asked`: the direction that leg `asker` has asked for just now."""
        a, b = self.a, self.b
        if self.state is not State.TALKING or b is None:
            return
        ways = {leg: self._asked(leg, asker, asked) for leg in (a, b)}
        for leg, other in ((a, b), (b, a)):
            name = self._music_for(leg) if self._apart(leg) else ""
            wanted = hearing(ways[leg], ways[other], bool(name)) is Hearing.MUSIC
            if wanted and leg not in self._music:
                play = self._music[leg] = self._new_id()
                self._effects.append(Audio(Play(play, (Music(name),), stream=leg)))
            elif not wanted and leg in self._music:
                self._effects.append(Audio(StopPlay(self._music.pop(leg))))

    def _music_ended(self, event: PlayEnded) -> None:
        """Music of ours: where its media process is gone it begins again with the stream."""
        for leg in [leg for leg, play in self._music.items() if play == event.play]:
            del self._music[leg]

    def _new_id(self) -> int:
        """An id that no leg, play or recording has."""
        raise NotImplementedError

    # ---- answers ----------------------------------------------------------------------------------------

    def _answer_alone(self, leg: int, offer: AudioOffer, mine: AudioSession) -> None:
        """Only the address or the numbers changed: what was agreed stands, and the other leg need not know."""
        try:
            codecs = relay_answer(offer, mine)
        except NoCommonCodec:
            self._effects.append(RefuseOffer(leg, 488))
            return
        if leg == self.a:
            self._offer = offer
        self._effects.append(Answer(leg, codecs, mine.direction))

    def _absorbs(self, leg: int, other: int, offer: AudioOffer) -> bool:
        """Whether other codecs of one leg need not concern the other: it goes on with what it sends, which is relayed,
        or has to be transcoded since it takes nothing of the offer."""
        theirs = self._session_of(other)
        if theirs is None:
            return False
        if relays(offer.codecs, theirs):
            return True
        return not shares_codec(offer, self._policy_of(other)) and self._transcodes(leg, other, offer)

    def _transcodes(self, leg: int, other: int, offer: AudioOffer) -> bool:
        """Whether the engine can make something of an offer of the codecs that the other leg has agreed on."""
        theirs = self._session_of(other)
        allowed = self._policy_of(leg).transcode and self._policy_of(other).transcode
        able = tuple([p for p in offer.codecs if transcodable(p.codec)])
        return allowed and theirs is not None and bool(able) and transcodes(able, theirs.codecs)

    def _answer_absorbed(self, leg: int, other: int, offer: AudioOffer, mine: AudioSession) -> None:
        theirs = self._session_of(other)
        assert theirs is not None
        try:
            codecs = relay_answer(offer, theirs, self._policy_of(other))
        except NoCommonCodec:
            self._effects.append(RefuseOffer(leg, 488))
            return
        if leg == self.a:
            self._offer = offer
        self._effects.append(Answer(leg, codecs, mine.direction))

    def _reanswered(self, event: Reanswered, now: float) -> None:
        """A leg answered what we offered it: answer the leg that asked, in its turn."""
        self._keep_session(event.leg, event.session)
        if self._moving.get(event.leg):
            self._moved(event.leg, event.session, now)
            return
        carried, self._carried = self._carried, None
        if self._alone:
            if self.state is State.ECHO:
                self._effects.append(EchoMedia(self.a))
            return
        other = self.partner(event.leg)
        if other is None or not self.a:
            return
        if carried is None or carried.leg == event.leg:
            self._join(other if event.leg == self.a else event.leg)
            if carried is None:
                self._carry_answer(event.leg, event.session, now)
            return
        leg, offer = carried.leg, carried.offer
        if offer is not None:
            try:
                codecs = relay_answer(offer, event.session, self._policy_of(event.leg))
            except NoCommonCodec:
                self._effects.append(RefuseOffer(leg, 488))
                return
            if leg == self.a:
                self._offer = offer
            # What the offer does not permit is left out of the answer (RFC 3264 6.1).
            apart = self._apart(event.leg)
            self._effects.append(Answer(leg, codecs, "sendrecv" if apart else flipped(event.session.direction)))
            self._tune(leg, offer.direction)
        self._note_hold(now, event.session, leg, "" if offer is None else offer.direction)
        self._join(other if event.leg == self.a else event.leg)
        mine = self._session_of(leg)
        if carried.taken_back and mine is not None:
            # The asker took its offer back: the other side returns to what stands.
            self._carry_answer(leg, mine, now)
        elif offer is None:
            # Nobody waits for this answer, and it may be less than was offered: that goes the other way.
            self._carry_answer(event.leg, event.session, now)

    def _offer_withdrawn(self, event: OfferWithdrawn) -> None:
        carried = self._carried
        if carried is not None and carried.leg == event.leg and carried.offer is not None:
            carried.offer = None
            carried.taken_back = True

    def _carry_answer(self, leg: int, session: AudioSession, now: float) -> None:
        """A leg answered an offer that nobody asked us for (offerless re-INVITE): tell the other leg what changed."""
        other = self.partner(leg)
        theirs = self._session_of(other) if other is not None else None
        apart = other is not None and self._apart(other)
        self._tune(leg, session.peer_direction)
        self._note_hold(now, session, leg, session.peer_direction)
        if other is None or theirs is None:
            return
        direction = theirs.direction if apart else flipped(session.direction)
        fits = not lopsided(session, theirs)
        if direction == theirs.direction and session.codecs[0].codec == theirs.codecs[0].codec and fits:
            return
        codecs = _common(session, theirs)
        if not codecs:
            if not self._transcoded(leg, other):
                self._end_all(Cause.INCOMPATIBLE_DESTINATION, now, by="media", text=NO_COMMON_CODEC)
                return
            if direction == theirs.direction and fits:
                return
            codecs = theirs.codecs + theirs.dtmf
        self._unasked += 1
        if self._unasked > MAX_UNASKED_OFFERS:
            return
        self._carried = Carried(leg, None)
        self._carry(other, codecs, direction)

    def _reoffer_refused(self, event: ReofferRefused, now: float) -> None:
        if self._moving.get(event.leg):
            if event.status == 491:
                self._not_moved(event.leg, now)
            else:
                self._stranded(now)
            return
        carried, self._carried = self._carried, None
        if carried is not None and carried.offer is not None and carried.leg != event.leg:
            mine, offer = self._session_of(carried.leg), carried.offer
            same_way = mine is not None and offer.direction == mine.peer_direction
            if (
                event.status != 491
                and mine is not None
                and same_way
                and self._transcodes(carried.leg, event.leg, offer)
            ):
                self._answer_absorbed(carried.leg, event.leg, offer, mine)
                return
            if event.status != 491 and mine is not None and not needs_peer(mine, offer):
                self._answer_alone(carried.leg, offer, mine)  # all that is refused is the video
                return
            # RFC 3261 14.1: a refused re-INVITE leaves the session as it was, on both sides.
            self._effects.append(RefuseOffer(carried.leg, event.status if event.status in (488, 491) else 488))
        elif carried is not None and event.status == 491:
            # Nobody waits for an answer who would ask again: that is ours to do.
            self._to_mend = carried.leg
            self._effects.append(SetTimer(MEND_TIMER, now + MEND_AFTER))

    # ---- lost streams -----------------------------------------------------------------------------------

    def _media_lost(self, event: MediaLost, now: float) -> None:
        """A leg's stream is gone. A call that is answered gets another; one that is not yet is given up."""
        answered = self.state is State.TALKING or self._alone
        established = event.leg in (self.a, self.b) and self._session_of(event.leg) is not None
        if not answered or not established:
            self._stranded(now)
            return
        if not self._moving:
            self._move_until = now + MOVE_WITHIN
        if self._alone:
            self._service_lost(now)
        self._move(event.leg, now)

    def _move(self, leg: int, now: float) -> None:
        session = self._session_of(leg)
        if session is None:
            return
        self._moving[leg] = True
        self._listening.discard(leg)
        self._effects.append(MoveMedia(leg, session.codecs + session.dtmf, session.direction))
        self._join_again(now)

    def _moved(self, leg: int, session: AudioSession, now: float) -> None:
        """The far end sends to the new address."""
        del self._moving[leg]
        self._join_again(now, answered=True)
        if self._carried is None and self.state is State.TALKING:
            self._carry_answer(leg, session, now)

    def _join_again(self, now: float, answered: bool = False) -> None:
        if self._alone:
            self._serve_again(now, answered)
        elif self.b is not None:
            self._effects.append(Bridge(self.a, self.b))
            self._listen(self.b)

    def _not_moved(self, leg: int, now: float) -> None:
        """Not now: perhaps in a moment."""
        if leg in self._moving:
            self._moving[leg] = False
            self._effects.append(SetTimer(MOVE_TIMER, now + MOVE_AGAIN))

    def _move_on(self, now: float) -> None:
        """The timer of legs that could not be moved."""
        waiting = [leg for leg, asked in self._moving.items() if not asked]
        if waiting and now >= self._move_until:
            self._stranded(now)
            return
        for leg in waiting:
            self._move(leg, now)

    def _stranded(self, now: float) -> None:
        self._end_all(Cause.TEMPORARY_FAILURE, now, by="media", text="media worker lost", status=503)

    def _transcoded(self, one: int, other: int) -> bool:
        """Whether what two legs have agreed on can be transcoded both ways."""
        mine, theirs = self._session_of(one), self._session_of(other)
        if mine is None or theirs is None or not (self._policy_of(one).transcode and self._policy_of(other).transcode):
            return False
        return transcodes(mine.codecs, theirs.codecs)

    def _note_hold(self, now: float, session: AudioSession, asker: int = 0, asked: str = "") -> None:
        """Whether one holds the other: as each has asked where holds are not carried, else as `session`, the one that
        was agreed last, has it."""
        if self.state is not State.TALKING:
            return
        if self.b is not None and (self._apart(self.a) or self._apart(self.b)):
            held = any(self._asked(leg, asker, asked) in HOLDS for leg in (self.a, self.b))
        else:
            held = session.direction != "sendrecv"
        self.contact.enter("hold" if held else "talk", now)

    def _session_of(self, leg: int | None) -> AudioSession | None:
        if leg == self.a:
            return self._a_session
        out = self._out.get(leg) if leg is not None else None
        return out.session if out is not None else None

    def session_agreed(self, leg: int, session: AudioSession) -> None:
        """What a leg's own answer has just agreed, told by the one who carried the effect out."""
        self._keep_session(leg, session)

    def _keep_session(self, leg: int, session: AudioSession) -> None:
        if leg == self.a:
            self._a_session = session
        else:
            out = self._out.get(leg)
            if out is not None:
                out.session = session
        record = self.contact.leg(leg)
        if record is not None:
            record.codec = codec_name(session)

    def _policy_of(self, leg: int) -> AudioPolicy:
        return self._a_policy if leg == self.a else self._out[leg].endpoint.policy


def codec_name(session: AudioSession) -> str:
    """The codec that a leg is sent, for records."""
    return session.codecs[0].codec.name


def _common(session: AudioSession, theirs: AudioSession) -> tuple[PayloadType, ...]:
    """What of a leg's list the other one has agreed on, in the other's order; () without audio."""
    ranks = {codec_key(p.codec): rank for rank, p in enumerate(session.codecs + session.dtmf)}
    common = [p for p in theirs.codecs + theirs.dtmf if codec_key(p.codec) in ranks]
    codecs = tuple(sorted(common, key=lambda p: ranks[codec_key(p.codec)]))
    return codecs if codecs and is_audio(codecs[0].codec) else ()


def own_media(policy: AudioPolicy) -> AudioOffer:
    """What a caller that made no offer would be offered by us: stands in for its offer when others are called."""
    codecs = own_offer(policy)
    voice = tuple(p for p in codecs if p.codec.name != TELEPHONE_EVENT)
    events = tuple(p for p in codecs if p.codec.name == TELEPHONE_EVENT)
    return AudioOffer(
        MediaAddress("0.0.0.0", 0, 0),
        voice,
        events,
        "sendrecv",
        transcode=policy.transcode,
        digits=policy.converts_digits,
    )
