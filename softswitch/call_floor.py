"""Who is in a call, and who of them hears whom.

    talkers       A, B and, in a conference of the call, more: they hear each other
    aside         those whom one of the talkers has left for a consultation: one of them hears music, several talk on
    supervisors   each listens to the talkers, is heard by one of them (whisper) or by all (barge)
    holders       talkers who hold the others by command: nobody hears them, nor do they hear anybody
    listeners     talkers who are not heard: those whom one of the others pages

Two talkers and nobody else are bridged, so that the engine relays what it need not decode; all else is a room with a
matrix (`media.audio_commands.SetRoom`). One function states it all anew after every change (`_mix`), and one says who
is to hear music (`_tune`).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

import msgspec

from media.audio_commands import CloseRoom, Detect, Music, Play, PlayEnded, SetRoom, StopPlay
from media.codec import transcodable
from media.negotiate import AudioOffer, AudioPolicy, AudioSession, as_offer
from softswitch.contact import Contact
from softswitch.holding import HOLDS, Hearing, hearing
from softswitch.vocabulary import AnyEffect, Audio, Bridge, Endpoint, Party, Unbridge

WAITING_MUSIC = "default"
"""What somebody hears who waits in a call where no class of music is set for it."""

SupervisionMode = Literal["listen", "whisper", "barge"]


class State(Enum):
    """Where a call stands; the picture is in `softswitch.call`."""

    ROUTING = auto()
    HUNTING = auto()
    PAGING = auto()
    OFFERING = auto()
    TALKING = auto()
    PARKED = auto()
    ECHO = auto()
    ANNOUNCING = auto()
    CONFERRING = auto()
    ASKING = auto()
    ENDING = auto()


class OutLeg:
    """A leg of the call other than A. `party`: who is on it, where it has called; None: the one who was called.
    `offer`: what it has offered, while we have not answered it."""

    __slots__ = ("endpoint", "offer", "party", "session", "status")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.session: AudioSession | None = None
        self.status = 0
        self.party: Party | None = None
        self.offer: AudioOffer | None = None


class Supervision(msgspec.Struct, frozen=True, gc=False):
    """What a supervisor does: `target`, the leg whose call it is in, hears it alone in a whisper."""

    target: int
    mode: SupervisionMode


class CallFloor:
    """The part of a `Call` that knows its legs and lets them hear each other."""

    __slots__ = (
        "_a_endpoint",
        "_a_policy",
        "_a_session",
        "_along",
        "_aside",
        "_early",
        "_effects",
        "_holders",
        "_listeners",
        "_listening",
        "_music",
        "_offer",
        "_others",
        "_out",
        "_rooms",
        "_supervisors",
        "a",
        "b",
        "contact",
        "state",
    )

    _a_endpoint: Endpoint  # who A is, as `OutLeg.endpoint` says of the others

    def __init__(self, contact: Contact, leg: int, offer: AudioOffer | None, policy: AudioPolicy) -> None:
        self.contact = contact
        self.a = leg
        self.b: int | None = None
        self.state = State.ROUTING
        self._offer = offer
        self._a_policy = policy
        self._a_session: AudioSession | None = None
        self._out: dict[int, OutLeg] = {}
        self._early: int | None = None  # the leg whose early media A hears
        self._others: list[int] = []  # those who talk along with A and B
        self._aside: list[int] = []
        self._supervisors: dict[int, Supervision] = {}
        self._holders: set[int] = set()
        self._listeners: set[int] = set()
        self._rooms: dict[str, SetRoom] = {}  # as stated last, of the talkers and of those aside
        self._effects: list[AnyEffect] = []
        self._listening: set[int] = set()  # legs whose tones are listened for
        self._along: set[int] = set()  # legs that were offered a direction which another leg had asked for
        self._music: dict[int, int] = {}  # plays by the leg that hears them while it is held

    # ---- who is there -----------------------------------------------------------------------------------

    @property
    def talkers(self) -> list[int]:
        """A and B, and who talks along with them. A alone while others are called for it, or where it is alone."""
        first = [leg for leg in (self.a, self.b) if leg]
        return [*first, *self._others]

    @property
    def consults(self) -> bool:
        """Somebody waits aside."""
        return bool(self._aside)

    @property
    def _conference(self) -> bool:
        """More than two talk, or may at any moment: what each wants of its media concerns no other one."""
        return bool(self._others)

    def holds(self, leg: int) -> bool:
        """Whether it holds the others by command."""
        return leg in self._holders

    def partner(self, leg: int) -> int | None:
        """The leg that this one talks to, where that is one and no more: after the answer, or in early media."""
        b = self.b if self.b is not None else self._early
        if b is None or self._conference:
            return None
        return b if leg == self.a else self.a if leg == b else None

    def _session_of(self, leg: int | None) -> AudioSession | None:
        if leg == self.a:
            return self._a_session
        out = self._out.get(leg) if leg is not None else None
        return out.session if out is not None else None

    def _policy_of(self, leg: int) -> AudioPolicy:
        return self._a_policy if leg == self.a else self._out[leg].endpoint.policy

    def _endpoint_of(self, leg: int) -> Endpoint:
        return self._a_endpoint if leg == self.a else self._out[leg].endpoint

    def _hears(self, leg: int) -> bool:
        """Whether the engine can make what this leg is to hear, and mix what it says."""
        session = self._session_of(leg)
        return session is not None and transcodable(session.codecs[0].codec)

    def _new_id(self) -> int:
        """An id that no leg, play, room or recording has."""
        raise NotImplementedError

    def _put_first(self, leg: int) -> None:
        """This leg becomes A, whom others are called for; A stays one of the others, unless it is gone."""
        if leg == self.a:
            return
        out = self._out.pop(leg)
        assert out.session is not None
        if self.a:
            before = OutLeg(self._a_endpoint)
            before.session, before.status, before.party = self._a_session, 200, self._a_party()
            self._out[self.a] = before
            if self.b == leg:
                self.b = self.a
        elif self.b == leg:
            self.b = None
        self.a = leg
        self._a_endpoint, self._a_policy, self._a_session = out.endpoint, out.endpoint.policy, out.session
        self._take_party(out.party)
        self._offer = as_offer(out.session, out.endpoint.policy)

    def _a_party(self) -> Party | None:
        """As `OutLeg.party`, of A."""
        raise NotImplementedError

    def _take_party(self, party: Party | None) -> None:
        """A is another: as `OutLeg.party` says of it."""
        raise NotImplementedError

    def _seat(self, members: list[int]) -> None:
        """These, two or more, are the talkers from now on."""
        if self.a not in members:
            self._put_first(members[0])
        rest = [leg for leg in members if leg != self.a]
        self.b, self._others = rest[0], rest[1:]
        self._holders &= set(members)

    # ---- who hears whom ---------------------------------------------------------------------------------

    def _join(self, leg: int) -> None:
        """Let A and this leg hear each other, as their sessions now stand."""
        if leg == self.b:
            self._mix()
        else:
            self._effects.append(Bridge(self.a, leg))
        self._listen(leg)

    def _mix(self, asker: int = 0, asked: str = "") -> None:
        """Have the engine let everybody hear whom they are to hear. `asked`: the direction that leg `asker` has asked
        for just now."""
        talkers = self.talkers
        members = [*talkers, *self._supervisors]
        two = len(talkers) == 2 and not self._conference and not self._supervisors
        if self.state is State.TALKING and self.b is not None and two:
            held = self._holders.intersection(talkers)
            self._effects.append(Unbridge(self.a) if held else Bridge(self.a, self.b))
            self._close_room("talk")
        elif len(members) > 1:
            silent = [leg for leg in talkers if self._asked(leg, asker, asked) in HOLDS] if self._conference else []
            silent += [leg for leg in talkers if leg in self._holders and leg not in silent]
            if self._listeners:
                self._state_room("talk", members, self._audible(members, silent), 0.0)
            else:
                self._state_room("talk", members, self._gains(members, silent))
        else:
            self._close_room("talk")
        if len(self._aside) > 1:
            self._state_room("aside", self._aside, ())
        else:
            self._close_room("aside")

    def _gains(self, members: list[int], silent: list[int]) -> tuple[tuple[int, int, float], ...]:
        """(listener, talker, 0) of everybody who is not heard."""
        gains = [(ear, mouth, 0.0) for mouth in silent for ear in members if ear != mouth]
        gains += [(ear, mouth, 0.0) for ear in self._holders.intersection(members) for mouth in members if ear != mouth]
        for mouth, how in self._supervisors.items():
            if how.mode != "barge":
                ears = [ear for ear in members if ear != mouth and (how.mode == "listen" or ear != how.target)]
                gains += [(ear, mouth, 0.0) for ear in ears]
        return tuple(dict.fromkeys(gains))

    def _audible(self, members: list[int], silent: list[int]) -> tuple[tuple[int, int, float], ...]:
        """(listener, talker, 1) of everybody who is heard, where few are: of all others there would be n * n."""
        mouths = [leg for leg in self.talkers if leg not in self._listeners and leg not in silent]
        return tuple([(ear, mouth, 1.0) for mouth in mouths for ear in members if ear != mouth])

    def _state_room(
        self, name: str, members: list[int], gains: tuple[tuple[int, int, float], ...], gain: float = 1.0
    ) -> None:
        before = self._rooms.get(name)
        number = self._new_id() if before is None else before.room
        room = self._rooms[name] = SetRoom(number, tuple(members), gain, gains)
        if room != before:
            self._effects.append(Audio(room))

    def _close_room(self, name: str) -> None:
        room = self._rooms.pop(name, None)
        if room is not None:
            self._effects.append(Audio(CloseRoom(room.room)))

    def _mix_anew(self) -> None:
        """The engine has lost a stream of the call, which is open anew."""
        self._rooms_forgotten()
        self._mix()
        self._tune()

    def _rooms_forgotten(self) -> None:
        for name, room in self._rooms.items():
            self._rooms[name] = SetRoom(room.room, ())

    def _listen(self, leg: int) -> None:
        """Listen for the digits of A and this leg."""
        for each in (self.a, leg):
            # Where the owner says that digits come as tones, they are listened for, and made into events for a leg that
            # has those; else tones are audio like any other.
            if each not in self._listening and self._policy_of(each).digits == "inband":
                self._listening.add(each)
                self._effects.append(Audio(Detect(each, dtmf=True)))

    # ---- hold -------------------------------------------------------------------------------------------

    def _music_for(self, leg: int) -> str:
        """The class of music that a leg hears while it is held, "": none."""
        raise NotImplementedError

    def _apart(self, leg: int) -> bool:
        """Whether this leg hears music while its partner holds it, and is left alone otherwise."""
        if self.state is not State.TALKING or leg in self._along:
            return False
        return self._hears(leg) and bool(self._music_for(leg))

    def _asked(self, leg: int, asker: int, asked: str) -> str:
        """The direction that a leg wants: `asked` of `asker`, which has just said so; of others what stands."""
        if leg == asker and asked:
            return asked
        session = self._session_of(leg)
        return "sendrecv" if session is None else session.peer_direction

    def _tune(self, asker: int = 0, asked: str = "") -> None:
        """Music for whom is held, and only for them. `asked`: the direction that leg `asker` has asked for just now."""
        wanted = self._music_now(asker, asked)
        for leg in [leg for leg in self._music if leg not in wanted]:
            self._effects.append(Audio(StopPlay(self._music.pop(leg))))
        for leg, name in wanted.items():
            if leg not in self._music:
                play = self._music[leg] = self._new_id()
                self._effects.append(Audio(Play(play, (Music(name),), stream=leg)))

    def _music_now(self, asker: int, asked: str) -> dict[int, str]:
        """Who is to hear music, and which."""
        waiting = self._aside if len(self._aside) == 1 else []
        if self.state is State.PARKED:
            waiting = [self.a]
        wanted = {leg: self._music_for(leg) or WAITING_MUSIC for leg in waiting if self._hears(leg)}
        a, b = self.a, self.b
        if self.state is not State.TALKING or b is None or self._conference:
            return wanted
        ways = {leg: self._asked(leg, asker, asked) for leg in (a, b)}
        for leg, other in ((a, b), (b, a)):
            if other in self._holders:
                if leg not in self._holders and ways[leg] not in HOLDS and self._hears(leg):
                    wanted[leg] = self._music_for(leg) or WAITING_MUSIC
                continue
            name = self._music_for(leg) if self._apart(leg) else ""
            if hearing(ways[leg], ways[other], bool(name)) is Hearing.MUSIC:
                wanted[leg] = name
        return wanted

    def _music_ended(self, event: PlayEnded) -> None:
        """Music of ours: where its media process is gone it begins again with the stream."""
        for leg in [leg for leg, play in self._music.items() if play == event.play]:
            del self._music[leg]

    def _note_hold(self, now: float, session: AudioSession, asker: int = 0, asked: str = "") -> None:
        """What the talkers do. Whether one holds the other: as each has asked where holds are not carried, else as
        `session`, the one that was agreed last, has it."""
        if self.state is not State.TALKING:
            return
        if self._aside:
            kind = "consult"
        elif self._conference:
            kind = "conference"
        elif self._holders.intersection(self.talkers):
            kind = "hold"
        elif self.b is not None and (self._apart(self.a) or self._apart(self.b)):
            held = any(self._asked(leg, asker, asked) in HOLDS for leg in (self.a, self.b))
            kind = "hold" if held else "talk"
        else:
            kind = "talk" if session.direction == "sendrecv" else "hold"
        self.contact.enter(kind, now)
