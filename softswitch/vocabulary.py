"""What legs of every kind say to the call, and what the call says to them and to the world.

No SIP stands here: a WebRTC or any other leg speaks the same words. Events travel up from legs and media; effects
travel down from the call. Media descriptions are those of `media.negotiate` (codecs, directions, addresses); `video` in
an effect is what the other leg's end says of its video, None: none is offered, and what was asked for is refused.

Leg events, in the order a leg may say them:

    inbound leg    Arrived -> (Withdrawn | Confirmed) -> ... -> Released
    outbound leg   (Progressed)* -> (Answered | Released) -> ... -> Released
    both           Reoffered (they ask to change the media), Reanswered / ReofferRefused (how our own request ended)
"""

from __future__ import annotations

import msgspec

from media.audio_commands import AudioCommand, StreamLabels
from media.negotiate import AudioOffer, AudioPolicy, AudioSession
from media.sdp import PayloadType
from media.video import Video
from softswitch.dialplan.decision import PickUp, Retrieve, Supervise


class Party(msgspec.Struct, gc=False, frozen=True):
    """Who calls or is called: a number, a display name, and whether the caller withholds both from the callee."""

    number: str
    name: str = ""
    withheld: bool = False


class Payer(msgspec.Struct, gc=False, frozen=True):
    """On whose account a call goes out: who called, or the extension that sent the call on (`forwarded`)."""

    kind: str  # "extension" | "trunk"
    name: str
    forwarded: bool = False

    @property
    def holder(self) -> str:
        """Its name among those that limits are kept for."""
        return f"{self.kind}:{self.name}"


class Diverted(msgspec.Struct, gc=False, frozen=True):
    """One that has sent the call on. `reason` in the words of RFC 5806 4: "unconditional", "user-busy", "no-answer",
    "unavailable", "deflection" (302), "follow-me" (find-me)... `own`: `number` is an extension of ours."""

    number: str
    reason: str
    name: str = ""
    withheld: bool = False
    own: bool = False


class Setup(msgspec.Struct, gc=False):
    """What an inbound leg asks for, after its identity has been proved.

    `dialled` is the number (user part) asked for, `context` the dialplan context its owner is in, `endpoint` the
    extension or trunk it belongs to. `hops` is how many more times the call may be passed on (Max-Forwards).
    `headers` are the few headers of the incoming request that the settings list as passed on.
    """

    dialled: str
    caller: Party
    context: str
    kind: str  # "extension" | "trunk"
    endpoint: str
    hops: int
    address: str
    headers: tuple[tuple[str, str], ...] = ()
    did: str = ""
    """The number as a trunk sent it, before rewriting; "" for extensions."""
    diverted: tuple[Diverted, ...] = ()
    """Who has sent the call on before it came here, newest first: what a trusted trunk says of it."""
    diversions: int = 0
    """How often that was, by anybody's word."""


class LegEvent(msgspec.Struct, gc=False):
    """Something that happened on the leg with this id."""

    leg: int


class Progressed(LegEvent, gc=False):
    """The far end is working on it. `status`: 180 alerting, 181 forwarded, 182 queued, 183 progress (kept hop to hop).

    `session` is set when it brings media before the answer; `path` tells apart the far ends of a forked call.
    """

    status: int
    session: AudioSession | None = None
    path: str = ""


class Answered(LegEvent, gc=False):
    """The far end took the call. `session` is what was agreed, in this answer or before it."""

    session: AudioSession


class Confirmed(LegEvent, gc=False):
    """An inbound leg has seen our answer; `session` when that was an offer which it has now answered."""

    session: AudioSession | None = None


class Reoffered(LegEvent, gc=False):
    """The far end wants other media. `offer` None: it asks us for an offer."""

    offer: AudioOffer | None


class OfferWithdrawn(LegEvent, gc=False):
    """The far end took back the media it asked for: there is nothing to answer any more."""


class Reanswered(LegEvent, gc=False):
    """The far end answered the media we offered."""

    session: AudioSession


class ReofferRefused(LegEvent, gc=False):
    """The far end refused the media we offered; things stay as they were."""

    status: int


class Redirected(LegEvent, gc=False):
    """The far end sends the caller elsewhere (302): `number` as it wrote it. The leg has ended."""

    number: str
    cause: int


class Released(LegEvent, gc=False):
    """The leg has ended. `cause` Q.850; `status` its SIP-like status when it failed before an answer, 0 otherwise.

    `by_peer` is False when the release is the echo of our own.
    """

    cause: int
    status: int = 0
    by_peer: bool = True
    text: str = ""
    retry_after: float | None = None


class MediaSilent(LegEvent, gc=False):
    """Nothing has come from the far end for `seconds` although it should send."""

    seconds: float


class MediaFailed(LegEvent, gc=False):
    """The stream of this leg cannot go on."""

    why: str


class MediaLost(LegEvent, gc=False):
    """The stream of this leg is gone with the process that carried it; it can be opened anew."""

    why: str


class NotMoved(LegEvent, gc=False):
    """`MoveMedia` could not be carried out now: no process takes the stream, or the far end can't be asked just yet."""


class DigitDialled(LegEvent, gc=False):
    """A DTMF digit (0-9 * # A-D) of the far end. `source`: "info" (signalling), "rfc4733", "inband" (a tone)."""

    digit: str
    duration_ms: int
    source: str


class SeekFailed(LegEvent, gc=False):
    """There is no other call that the leg could be taken into. `status`: of the answer to it; `why`: one line."""

    status: int
    why: str


class TransferAnswered(LegEvent, gc=False):
    """How far the far end has got that was asked to carry out a transfer itself (`AskTransfer`). `status`: 1xx, it is
    at work, 18x, it rings; 2xx, somebody has answered; else it will not, or could not."""

    status: int


AnyLegEvent = (
    Progressed
    | Answered
    | Confirmed
    | Reoffered
    | OfferWithdrawn
    | Reanswered
    | ReofferRefused
    | Redirected
    | Released
    | MediaSilent
    | MediaFailed
    | MediaLost
    | NotMoved
    | DigitDialled
    | SeekFailed
    | TransferAnswered
)


class Endpoint(msgspec.Struct, gc=False):
    """Where an outbound leg goes. `address` is opaque to the call: the leg that is made from it understands it."""

    kind: str  # "extension" | "trunk"
    name: str  # extension number or trunk name
    policy: AudioPolicy
    address: object
    dialled: str = ""  # the number as sent to a trunk, after rewriting
    gateway: str = ""
    payer: Payer | None = None  # on whose account it is called, where that is not the one of the whole call


class Effect(msgspec.Struct, gc=False):
    """Something the call wants done."""


class LegEffect(Effect, gc=False):
    """Something the call wants of the leg with this id."""

    leg: int


class Originate(LegEffect, gc=False):
    """Make an outbound leg and call its endpoint, offering `codecs`."""

    endpoint: Endpoint
    caller: Party
    codecs: tuple[PayloadType, ...]
    direction: str
    hops: int
    headers: tuple[tuple[str, str], ...] = ()
    diverted: tuple[Diverted, ...] = ()
    video: Video | None = None
    referred_by: str = ""
    """The extension that has sent a caller there, where it is a transfer."""


class Progress(LegEffect, gc=False):
    """Tell an inbound leg how far its call is; with `codecs`, answer its offer now (early media)."""

    status: int
    codecs: tuple[PayloadType, ...] | None = None
    direction: str = "sendrecv"
    video: Video | None = None


class Accept(LegEffect, gc=False):
    """Answer an inbound leg. `codecs` answers its offer, or offers them where it made none; None: agreed earlier."""

    codecs: tuple[PayloadType, ...] | None
    direction: str = "sendrecv"
    video: Video | None = None


class Offer(LegEffect, gc=False):
    """Ask an established leg to change its media."""

    codecs: tuple[PayloadType, ...]
    direction: str
    video: Video | None = None


class MoveMedia(LegEffect, gc=False):
    """Open the lost stream of an established leg anew, and offer the far end what stands at the new address.
    `Reanswered`, `ReofferRefused` or `NotMoved` follows."""

    codecs: tuple[PayloadType, ...]
    direction: str
    video: Video | None = None


class Answer(LegEffect, gc=False):
    """Answer the media that a leg asked for in `Reoffered` (or offer, where that carried no offer)."""

    codecs: tuple[PayloadType, ...]
    direction: str
    video: Video | None = None


class RefuseOffer(LegEffect, gc=False):
    """Refuse the media that a leg asked for: 488 not acceptable, 491 ask again."""

    status: int


class Release(LegEffect, gc=False):
    """End a leg, whatever its state. `elsewhere`: another leg took the call."""

    cause: int
    status: int = 0
    text: str = ""
    retry_after: int | None = None


class Bridge(Effect, gc=False):
    """Relay the media of two legs to each other, as their sessions now stand."""

    a: int
    b: int


class Unbridge(LegEffect, gc=False):
    """Stop relaying to and from this leg."""


class Echo(LegEffect, gc=False):
    """Send this leg's media back to it."""


class SendDigit(LegEffect, gc=False):
    """Pass a digit on to this leg's far end: `signalled`, by its signalling; else by the media (telephone-event, or a
    tone)."""

    digit: str
    duration_ms: int
    signalled: bool


class EnterRoom(LegEffect, gc=False):
    """Put this leg into the conference of that name, which it leaves when it ends; or back into it, when its stream was
    lost and is open anew."""

    name: str


class HoldRoom(LegEffect, gc=False):
    """This leg, which is in a conference, holds, or does so no more."""

    holds: bool


class Record(Effect, gc=False):
    """Begin a recording of (leg, channel), in the form that the settings say. `labels`: who the legs are."""

    recording: int
    channels: tuple[tuple[int, int], ...]
    labels: StreamLabels = ()


class Audio(Effect, gc=False):
    """Have the media engine do this; its streams are legs."""

    command: AudioCommand


class SetTimer(Effect, gc=False):
    """Bring `TimerFired(name)` at monotonic time `at`; replaces a timer of that name."""

    name: str
    at: float


class CancelTimer(Effect, gc=False):
    """Forget the timer of that name, if any."""

    name: str


class Seek(LegEffect, gc=False):
    """Take this leg into another call. `SeekFailed` follows where that can't be."""

    what: Retrieve | PickUp | Supervise


class TransferTold(LegEffect, gc=False):
    """How the transfer stands that this leg has asked for: 180 while it rings, 200 when somebody has taken the call, or
    the status of its failure."""

    status: int


class AskTransfer(LegEffect, gc=False):
    """Ask the far end of an established leg to call `target` itself and to leave us. `TransferAnswered` follows, or
    nothing. `by`: who asks, "" where that is not to be said; "{host}" in it stands for our own address."""

    target: str
    by: str


class OriginationEnded(LegEffect, gc=False):
    """The call that this contact began with: the leg that has answered, or 0, and why nobody has."""

    why: str = ""


class Finished(Effect, gc=False):
    """The contact has ended and all its legs are gone: write it down and forget it."""


AnyEffect = (
    Originate
    | Progress
    | Accept
    | Offer
    | MoveMedia
    | Answer
    | RefuseOffer
    | Release
    | Bridge
    | Unbridge
    | Echo
    | SendDigit
    | EnterRoom
    | HoldRoom
    | Record
    | Audio
    | SetTimer
    | CancelTimer
    | Seek
    | TransferTold
    | AskTransfer
    | OriginationEnded
    | Finished
)
