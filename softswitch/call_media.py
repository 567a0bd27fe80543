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

One carried offer at a time: a second one meets 491 (RFC 3261 14.2), and its peer asks again.
"""

from __future__ import annotations

from media.codec import TELEPHONE_EVENT, codec_key, is_audio, transcodable
from media.commands import MediaAddress
from media.negotiate import (
    AudioOffer,
    AudioPolicy,
    AudioSession,
    as_offer,
    changes_video,
    flipped,
    lopsided,
    needs_peer,
    own_answer,
    own_offer,
    relay_answer,
    relay_offer,
    relays,
    renames,
    shares_codec,
    transcodes,
)
from media.sdp import NO_COMMON_CODEC, NoCommonCodec, PayloadType
from softswitch.call_floor import CallFloor, State
from softswitch.causes import Cause
from softswitch.contact import Contact
from softswitch.holding import HOLDS
from softswitch.vocabulary import (
    Answer,
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


NOT_ABOUT_MEDIA = frozenset({481, 491})
"""Refusals of a re-INVITE that leave open whether its media would do: another offer is open, or the leg is ending."""

ALONE = frozenset({State.ECHO, State.ANNOUNCING, State.CONFERRING, State.ASKING})
"""States in which there is nobody but the caller in the call: the switch itself has answered."""


class Carried:
    """An offer of ours that waits for its answer because of another leg: its own offer, or what it answered."""

    __slots__ = ("leg", "offer", "taken_back")

    def __init__(self, leg: int, offer: AudioOffer | None) -> None:
        self.leg = leg
        self.offer = offer  # None: that leg waits for no answer
        self.taken_back = False


class LegMedia(CallFloor):
    """The part of a `Call` that minds its legs' media. `Call` owns the legs and says when they end."""

    __slots__ = ("_bent", "_carried", "_moving", "_to_mend", "_unasked")

    def __init__(self, contact: Contact, leg: int, offer: AudioOffer | None, policy: AudioPolicy) -> None:
        super().__init__(contact, leg, offer, policy)
        self._carried: Carried | None = None
        self._to_mend = 0  # the leg whose answer still has to be carried to the other
        self._unasked = 0  # offers of our own making since a leg asked for a change
        self._moving: dict[int, bool] = {}  # legs whose stream was lost: whether the far end has been asked
        self._bent: set[int] = set()  # legs of a conference that are to be offered to send and receive again

    def _end_all(self, cause: int, now: float, by: str, text: str = "", status: int = 0) -> None:
        """The contact is over: release every leg that is left."""
        raise NotImplementedError

    def _reoffer_alone(self, offer: AudioOffer | None) -> None:
        """A, whom the switch itself has answered, wants other media."""
        raise NotImplementedError

    def _note_room_hold(self, asked: str) -> None:
        """Where A is in a conference: the direction that it has asked for says whether it holds."""
        raise NotImplementedError

    def _moved(self, leg: int, session: AudioSession, now: float) -> None:
        """The far end of a leg whose stream was lost sends to the new address."""
        raise NotImplementedError

    def _move_refused(self, event: ReofferRefused, now: float) -> None:
        """It does not."""
        raise NotImplementedError

    @property
    def _alone(self) -> bool:
        """There is nobody but A in the call."""
        return self.state in ALONE

    # ---- changes of an established call -----------------------------------------------------------------

    def _reoffered(self, event: Reoffered, now: float) -> None:
        """A leg wants other media."""
        leg, offer = event.leg, event.offer
        if self._alone and leg == self.a:
            self._reoffer_alone(offer)
            return
        other = self.partner(leg)
        mine = self._session_of(leg)
        if mine is not None and self._by_itself(leg):
            self._answer_itself(leg, offer, mine)
            return
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

    def _by_itself(self, leg: int) -> bool:
        """Whether what this leg wants concerns no other one: it is mixed with several, or waits."""
        if self.state is State.PARKED or leg in self._aside or leg in self._supervisors:
            return True
        return self._conference and leg in self.talkers

    def _answer_itself(self, leg: int, offer: AudioOffer | None, mine: AudioSession) -> None:
        """Answer a leg whose media ends at the engine."""
        if offer is None:
            self._effects.append(Answer(leg, mine.codecs + mine.dtmf, "sendrecv"))
            return
        try:
            codecs = own_answer(offer, heard=True) if renames(mine, offer) else relay_answer(offer, mine)
        except NoCommonCodec:
            self._effects.append(RefuseOffer(leg, 488))
            return
        if leg == self.a:
            self._offer = offer
        self._effects.append(Answer(leg, codecs, flipped(offer.direction)))
        self._mix(leg, offer.direction)
        self._tune(leg, offer.direction)

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
        self._note_room_hold(event.session.peer_direction)
        if self._moving.get(event.leg):
            self._moved(event.leg, event.session, now)
            return
        other = self.partner(event.leg)
        if event.leg in self._aside or event.leg in self._supervisors:
            carried = None  # what is carried is between those who talk
        else:
            carried, self._carried = self._carried, None
        if self._alone:
            if self.state is State.ECHO:
                self._effects.append(EchoMedia(self.a))
            return
        if other is None or not self.a:
            self._bent.discard(event.leg)
            self._mix()
            self._tune()
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
            self._move_refused(event, now)
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
            self._effects.append(RefuseOffer(carried.leg, 491 if event.status in NOT_ABOUT_MEDIA else 488))
        elif carried is not None and event.status == 491:
            # Nobody waits for an answer who would ask again: that is ours to do.
            self._to_mend = carried.leg
            self._effects.append(SetTimer(MEND_TIMER, now + MEND_AFTER))
        elif event.leg in self._bent:
            if event.status == 491:
                self._effects.append(SetTimer(MEND_TIMER, now + MEND_AFTER))
            else:
                self._bent.discard(event.leg)

    # ---- other talkers than before ----------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """The talkers are others than before: let them hear each other, and bring what their legs have agreed on in
        line, so that nobody stays on a hold that another one had asked for."""
        self.state = State.TALKING
        self._uncarry()
        self._mix()
        self._tune()
        self._unasked = 0
        assert self.b is not None
        for leg in self.talkers:
            self._listen(leg)
        self._bent.clear()
        if self._conference:
            self._bent.update(leg for leg in self.talkers if self._bends(leg))
            self._straighten()
        else:
            self._align(self.b, now)
        session = self._session_of(self.b)
        assert session is not None
        self._note_hold(now, session)

    def _uncarry(self) -> None:
        """Whoever waits for the answer of one that is no partner of it any more has to ask again."""
        carried, self._carried = self._carried, None
        if carried is not None and carried.offer is not None and self._session_of(carried.leg) is not None:
            self._effects.append(RefuseOffer(carried.leg, 491))

    def _holds(self, leg: int) -> bool:
        """Whether a leg has held by itself, and not only said yes to the hold of another."""
        return leg not in self._along and self._asked(leg, 0, "") in HOLDS

    def _bends(self, leg: int) -> bool:
        """Whether a leg still has the direction that another one had asked for."""
        session = self._session_of(leg)
        if session is None or self._holds(leg):
            return False
        return leg in self._along or session.direction != "sendrecv"

    def _align(self, told: int, now: float) -> None:
        """Bring the two talkers' sessions in line, that of `told` first where nothing else is out of it."""
        a, b = self.a, self.b
        assert b is not None
        for leg, other in ((b, a), (a, b)):
            theirs = self._session_of(other)
            if theirs is None or not self._bends(leg) or self._holds(other):
                continue
            try:
                offer = as_offer(theirs, self._policy_of(other))
                codecs = relay_offer(offer, self._policy_of(leg), self._session_of(leg))
            except NoCommonCodec:
                continue
            self._carried = Carried(other, None)
            self._carry(leg, codecs, "sendrecv")
            return
        session, theirs = self._session_of(told), self._session_of(self.partner(told))
        if session is not None and theirs is not None and session.video is not None and theirs.video is None:
            # Video that one has alone is dropped, and nobody is asked for some: a telephone that wants it offers it.
            told, session = b if told == a else a, theirs
        if session is not None:
            self._carry_answer(told, session, now)

    def _straighten(self) -> None:
        """Offer legs of a conference to send and receive, whatever the one that they talked to had wanted."""
        for leg in sorted(self._bent):
            session = self._session_of(leg)
            if session is not None:
                self._carry(leg, session.codecs + session.dtmf, "sendrecv")

    def _mend(self, now: float) -> None:
        """The timer of legs that could not take an offer."""
        if self._carried is not None:
            self._effects.append(SetTimer(MEND_TIMER, now + MEND_AFTER))
        elif self._conference:
            self._straighten()
        elif self._session_of(self._to_mend) is not None and self.partner(self._to_mend) is not None:
            self._align(self._to_mend, now)

    # ---- what is agreed ---------------------------------------------------------------------------------

    def _transcoded(self, one: int, other: int) -> bool:
        """Whether what two legs have agreed on can be transcoded both ways."""
        mine, theirs = self._session_of(one), self._session_of(other)
        if mine is None or theirs is None or not (self._policy_of(one).transcode and self._policy_of(other).transcode):
            return False
        return transcodes(mine.codecs, theirs.codecs)

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
