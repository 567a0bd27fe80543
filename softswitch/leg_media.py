"""The media of a leg, by offer and answer (RFC 3264): SDP read and made, what is agreed, its streams at the engine.

    offer --sent--> answered, early (per branch) or at last    --agree--> StreamSettings to the media engine
    offered --> answer, or refused or taken back               --agree-->

`SipLeg` says when: which message brings an SDP, and which may carry one. What a peer gets wrong raises SdpError.
"""

from __future__ import annotations

import msgspec

from media.client import MediaClient
from media.commands import Format, MediaAddress, StreamSettings
from media.negotiate import (
    AudioOffer,
    AudioPolicy,
    AudioSession,
    Offered,
    Pictures,
    make_answer,
    make_offer,
    read_answer,
    read_offer,
)
from media.sdes import REFUSED_PROFILE, Random, SrtpRefused, keys_allowed
from media.sdp import Origin, PayloadType, SdpError
from media.video import VIDEO_LINE, Video, VideoSession

_SENDS = frozenset({"sendrecv", "sendonly"})
_RECEIVES = frozenset({"sendrecv", "recvonly"})


class LegMedia:
    """Audio, and video where there is any, of one leg. `leg`: its id, and that of its audio stream."""

    __slots__ = (
        "_branches",
        "_engine",
        "_inbound",
        "_offered",
        "_pending",
        "_random",
        "_silence",
        "_talking",
        "agreed",
        "id",
        "local",
        "nat",
        "origin",
        "policy",
        "signalled_host",
        "video",
    )

    def __init__(
        self,
        leg: int,
        inbound: bool,
        policy: AudioPolicy,
        nat: bool,
        signalled_host: str,
        origin: Origin,
        engine: MediaClient,
        silence: tuple[float | None, float | None],
        random: Random,
    ) -> None:
        """`silence`: seconds without RTP, in talk and on hold. `random`: where SRTP keys of ours come from."""
        self.id = leg
        self.policy = policy
        self.nat = nat
        self.signalled_host = signalled_host
        self.origin = origin
        self.local = MediaAddress(origin.host, 0, 0)
        """Where our SDP asks for media: the stream's address, once it is open."""
        self.agreed: AudioSession | None = None
        self.video: tuple[int, MediaAddress] | None = None
        """The stream of the leg's video and its address, while there is one (softswitch/video_streams.py)."""
        self._random = random
        self._inbound = inbound
        self._engine = engine
        self._silence = silence
        self._talking = False  # the call is answered: who should send has no reason to be silent
        self._branches: dict[str, AudioSession] | None = None  # early media by far end, of a forked INVITE
        self._offered: Offered | None = None  # our offer that waits for its answer
        self._pending: AudioOffer | None = None  # the peer's offer that waits for our answer

    # ---- from the peer ----------------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether an offer of the peer's waits for our answer."""
        return self._pending is not None

    def offered(self, sdp: bytes | None) -> AudioOffer | None:
        """The offer of an inbound leg's first request. Raises SdpError."""
        keys_allowed(self.policy)
        if sdp is None:
            return None
        self._pending = read_offer(sdp, self.policy)
        return self._pending

    def reoffered(self, sdp: bytes | None) -> AudioOffer | None:
        """A later offer; None where the peer asks for ours. Raises SdpError."""
        if sdp is None:
            self._pending = None
            return None
        offer = read_offer(sdp, self.policy)
        if self.agreed is not None and self.agreed.crypto is not None and not offer.crypto:
            raise SrtpRefused("A call with SRTP does not go on without")
        self._pending = offer
        return offer

    def withdrawn(self) -> None:
        """The peer's offer was taken back, or is refused."""
        self._pending = None

    def early_answer(self, sdp: bytes | None, branch: str, far_end: str, now: float) -> AudioSession | None:
        """The answer of a far end, `branch`, that has not taken the call yet; None: it brings none. `far_end`: the tag
        of the one that the dialog is with now. Raises SdpError."""
        if sdp is None or self._offered is None:
            return None
        agreed = read_answer(sdp, self._offered)
        branches = self._branches
        if branches is None:
            branches = self._branches = {}
        self._agree(agreed, far_end, now)
        branches[branch] = agreed
        return agreed

    def final_answer(self, sdp: bytes | None, far_end: str, now: float) -> AudioSession:
        """What was agreed with the far end that took the call: in its 200, or before it on its own branch. Raises
        SdpError."""
        self._talking = True
        early, branches, self._branches = self.agreed, self._branches, None
        if sdp is not None:
            agreed = read_answer(sdp, self._offer_sent())
        elif branches is not None and far_end in branches:
            # A forked INVITE: the far end heard last need not be the one that answers.
            agreed = branches[far_end]
        elif early is not None:
            agreed = early
        else:
            raise SdpError(488, "No answer to our offer")
        self._offered = None
        self._agree(agreed, far_end, now)
        if agreed == early:
            self._configure(agreed, now)
        return agreed

    def answered(self, sdp: bytes, far_end: str, now: float) -> AudioSession:
        """The answer to a later offer of ours. Raises SdpError."""
        self._agree(read_answer(sdp, self._offer_sent()), far_end, now)
        assert self.agreed is not None
        self._offered = None
        return self.agreed

    def refused(self) -> None:
        """Our offer was refused: what was agreed before stands."""
        self._offered = None

    def _offer_sent(self) -> Offered:
        if self._offered is None:
            raise SdpError(400, "Answer without an offer")
        return self._offered

    # ---- to the peer ------------------------------------------------------------------------------------

    def offer(self, codecs: tuple[PayloadType, ...], direction: str, video: Video | None = None) -> bytes:
        """The SDP of an offer. Raises SrtpRefused where it needs keys that it may not
        show."""
        policy = self.policy
        if self._inbound and policy.srtp == "optional":
            # In a 200 there is no second try: what every phone takes.
            policy = msgspec.structs.replace(policy, srtp="never")
        sdp, self._offered = make_offer(
            self.local,
            codecs,
            policy,
            direction,
            self.origin,
            self.agreed,
            random=self._random,
            pictures=self._pictures(video),
        )
        return sdp

    def answer(
        self, codecs: tuple[PayloadType, ...], direction: str, video: Video | None, far_end: str, now: float
    ) -> bytes:
        """The SDP that answers the pending offer."""
        assert self._pending is not None
        sdp, agreed = make_answer(
            self._pending,
            self.local,
            codecs,
            direction,
            self.origin,
            self.agreed,
            random=self._random,
            pictures=self._pictures(video),
        )
        self._pending = None
        self._agree(agreed, far_end, now)
        return sdp

    def _pictures(self, video: Video | None) -> Pictures | None:
        return Pictures(video, self.video[1]) if video is not None and self.video is not None else None

    @property
    def asked_audio(self) -> MediaAddress | None:
        """Where the peer wants the audio of an offer that has no answer yet."""
        return self._pending.remote if self._pending is not None else None

    @property
    def asked_video(self) -> MediaAddress | None:
        """Where the peer wants the video that it has asked for and has no answer to."""
        pending = self._pending
        return pending.video.remote if pending is not None and pending.video is not None else None

    @property
    def has_video(self) -> bool:
        """Whether video is agreed, or an offer of ours that has some waits for its answer."""
        offered, agreed = self._offered, self.agreed
        return (offered is not None and offered.video is not None) or (agreed is not None and agreed.video is not None)

    def lose_video(self) -> None:
        """Its stream is gone: what is offered next has keys of its own, since those of before were used with numbers
        that a new stream would use again (RFC 3711 9.1)."""
        self.video = None
        agreed = self.agreed
        if agreed is not None and agreed.video is not None:
            layout = tuple([agreed.video.refusal if line == VIDEO_LINE else line for line in agreed.layout])
            self.agreed = msgspec.structs.replace(agreed, video=None, layout=layout)

    def offers_plain(self, status: int) -> bool:
        """Whether a far end that answered the first INVITE with this status may take plain RTP, where SRTP was offered
        it and is not required; the next `offer` is of that."""
        sent = self._offered
        if self._inbound or self.policy.srtp != "optional" or status not in REFUSED_PROFILE:
            return False
        if self.agreed is not None or sent is None or not sent.crypto:
            return False
        self.policy = msgspec.structs.replace(self.policy, srtp="never")
        return True

    def offers_audio(self, status: int) -> bool:
        """Whether a far end that answered the first INVITE with this status may take audio alone, where video was
        offered it."""
        sent = self._offered
        if self._inbound or status not in REFUSED_PROFILE or self.agreed is not None:
            return False
        return sent is not None and sent.video is not None

    # ---- to the engine ----------------------------------------------------------------------------------

    def talk(self) -> None:
        """The call is answered: silence counts from what the engine is told next."""
        self._talking = True

    def configure(self, now: float) -> None:
        """Tell the engine once more what is agreed: silence counts now, or the stream is open anew at `local`."""
        if self.agreed is not None:
            self._configure(self.agreed, now)

    def _agree(self, session: AudioSession, far_end: str, now: float) -> None:
        """Keep what was agreed and tell the engine."""
        if session == self.agreed:
            return
        self.agreed = session
        if self._branches is not None:
            self._branches[far_end] = session  # an UPDATE of that far end
        self._configure(session, now)

    def _configure(self, session: AudioSession, now: float) -> None:
        if session.video is not None and self.video is not None:
            self._configure_video(self.video[0], session.video, now)
        agreed = session.codecs + session.dtmf
        formats = _formats(agreed)
        crypto = session.crypto
        self._engine.configure(
            self.id,
            StreamSettings(
                remote=session.remote,
                nat=self.nat,
                signalled_host=self.signalled_host,
                formats=formats,
                # RFC 3264 6.1: an answerer that chose its own numbers sends with those of the offer. Some do not.
                receives=() if session.receive in (agreed, ()) else _formats(session.receive) + formats,
                send=session.direction in _SENDS,
                receive=session.direction in _RECEIVES,
                fmtps=session.fmtps,
                tones=self.policy.digits in ("auto", "inband"),
                ptime=session.ptime,
                rtcp_mux=session.rtcp_mux,
                # Few telephones send anything before the answer, early media or not.
                silence_after=self._silence[session.direction != "sendrecv"] if self._talking else None,
                crypto_in=crypto.theirs if crypto is not None else None,
                crypto_out=crypto.ours if crypto is not None else None,
            ),
            now,
        )

    def _configure_video(self, stream: int, video: VideoSession, now: float) -> None:
        formats, receives = video.engine_formats()
        crypto = video.crypto
        self._engine.configure(
            stream,
            StreamSettings(
                remote=video.remote,
                nat=self.nat,
                signalled_host=self.signalled_host,
                formats=formats,
                receives=receives,
                send=video.direction in _SENDS,
                receive=video.direction in _RECEIVES,
                tones=False,
                rtcp_mux=video.rtcp_mux,
                crypto_in=crypto.theirs if crypto is not None else None,
                crypto_out=crypto.ours if crypto is not None else None,
                as_is=True,
            ),
            now,
        )


def _formats(payloads: tuple[PayloadType, ...]) -> tuple[Format, ...]:
    return tuple([(p.number, p.codec.name, p.codec.clock) for p in payloads])
