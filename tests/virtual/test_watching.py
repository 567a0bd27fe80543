"""Busy lamps, presence and messages waiting, on the whole switch: what a watching phone is told, and when."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Digit
from sip.ua_events import SessionAnswered
from softswitch.call_commands import Park
from softswitch.features import FeatureChange
from softswitch.message_summary import MailboxRefused
from softswitch.subscriptions import PACE
from tests.virtual.network import Phone, World, settings
from tests.virtual.watchers import DIALOG_INFO, PIDF, RPID, Watcher, replaces


class Office:
    """104 watches 102, whom 101 calls."""

    def __init__(self, **sections: Any) -> None:
        self.world = World(settings(**sections))
        self.ann: Phone = self.world.phone("101")
        self.ben: Phone = self.world.phone("102")
        self.watcher = Watcher(self.world, "104")
        self.world.run(1.0)

    def over(self, calls: int) -> None:
        """All lamps out, and nothing is left."""
        for lamp in self.watcher.lamps.values():
            if lamp.status == 200 and lamp.told and not lamp.last.state.over:
                lamp.subscribe(0)
                assert lamp.last.state.over
        self.world.assert_over(calls)
        assert not self.world.node.ua.usages.dialogs
        assert not len(self.world.switch.subscriptions)
        assert not len(self.world.switch.presence)


def test_a_lamp_through_a_call() -> None:
    office = Office()
    world, ann, ben = office.world, office.ann, office.ben
    lamp, callers = office.watcher.watch("102"), office.watcher.watch("101")
    assert lamp.response.status == 200
    assert lamp.response.get("Expires") == "600"
    assert lamp.last.request.get("Event") == "dialog"
    assert lamp.last.request.get("Content-Type") == "application/dialog-info+xml"
    assert lamp.last.xml.get("entity") == "sip:102@192.0.2.1"
    assert (lamp.last.version, lamp.phases) == (0, ["terminated"])
    session = ann.dial("102")
    world.run(0.5)
    assert (lamp.phases, callers.phases) == (["trying"], ["trying"])
    ben.ring()
    world.run(0.5)
    assert (lamp.phases, callers.phases) == (["early"], ["early"])
    [dialog] = lamp.last.dialogs
    invite = ben.invited()
    assert (dialog.get("direction"), dialog.get("call-id")) == ("recipient", invite.call_id)
    # Seen from 102: INVITE with Replaces names the dialog by them (RFC 3891 3)
    assert (dialog.get("local-tag"), dialog.get("remote-tag")) == (ben.called().local_tag, invite.from_tag)
    assert lamp.last.remote() == ["sip:101@192.0.2.1"]
    assert callers.last.dialogs[0].get("direction") == "initiator"
    assert callers.last.remote() == ["sip:102@192.0.2.1"]
    ben.answer()
    world.run(0.5)
    assert (lamp.phases, callers.phases, lamp.last.held) == (["confirmed"], ["confirmed"], False)
    assert lamp.last.dialogs[0].get("call-id") is None
    ben.do(ben.called().offer, ben.sdp(direction="sendonly"))
    world.run(0.5)
    ann.do(session.answer, ann.sdp(direction="recvonly"))
    world.run(0.5)
    assert (lamp.last.held, callers.last.held) == (True, False)
    ben.do(ben.called().offer, ben.sdp())
    world.run(0.5)
    ann.do(session.answer, ann.sdp())
    world.run(0.5)
    assert not lamp.last.held
    ann.do(session.hangup)
    world.run(0.5)
    assert (lamp.phases, callers.phases) == (["terminated"], ["terminated"])
    assert [each.version for each in lamp.told] == list(range(len(lamp.told)))
    office.over(1)


def test_what_rings_is_picked_up_by_what_the_lamp_says() -> None:
    """RFC 3891: Call-ID and tags of the document name the dialog, and the watcher has the call."""
    office = Office(extensions={"104": {"pick_up": "all"}})
    world, watcher = office.world, office.watcher
    lamp, callers = watcher.watch("102"), watcher.watch("101")
    office.ann.dial("102")
    world.run(0.5)
    office.ben.ring()
    world.run(0.5)
    [dialog] = lamp.last.dialogs
    session = watcher.dial("102", headers=(("Replaces", replaces(dialog)),))
    world.run(1.0)
    assert watcher.of(SessionAnswered)
    assert office.ben.got("CANCEL")
    assert (lamp.phases, callers.phases) == (["terminated"], ["confirmed"])
    assert callers.last.remote() == ["sip:104@192.0.2.1"]
    watcher.do(session.hangup)
    world.run(1.0)
    assert callers.phases == ["terminated"]


def test_a_parking_slot() -> None:
    """Idle, then somebody who waits, then idle again; a lot that is taken away ends its subscriptions."""
    office = Office(parking={"lot": {"slots": ["701", "702"]}})
    world, watcher = office.world, office.watcher
    lamp, free = watcher.watch("701"), watcher.watch("702")
    assert (lamp.response.status, lamp.phases) == (200, ["terminated"])
    session = world.establish(office.ann, office.ben)
    [contact] = world.runtime.calls
    world.runtime.command(Park(contact, "102"), world.now)
    world.run(1.0)
    assert (lamp.phases, lamp.last.held, lamp.last.remote()) == (["confirmed"], True, ["sip:101@192.0.2.1"])
    assert len(free.told) == 1
    office.ann.do(session.hangup)
    world.run(1.0)
    assert lamp.phases == ["terminated"]
    world.switch.configure(settings(), world.now)
    world.run(0.5)
    assert (lamp.last.state.reason, free.last.state.reason) == ("noresource", "noresource")
    assert watcher.watch("701").response.status == 404


ROOM_ROUTES = [{"to": "_80X", "answer_and_conference": "board"}, {"to": "_1XX", "dial": "{number}"}]


def test_a_conference() -> None:
    """Idle, then somebody is let in, then idle again; by whichever number it is dialled. Who is asked for the PIN is no
    meeting, and nobody's name is told."""
    office = Office(conferences={"board": {"pin": "4711"}}, dialplan={"internal": {"routes": ROOM_ROUTES}})
    world, watcher = office.world, office.watcher
    lamp, other = watcher.watch("800"), watcher.watch("801")
    assert (lamp.response.status, lamp.phases, other.phases) == (200, ["terminated"], ["terminated"])
    assert lamp.last.xml.get("entity") == "sip:800@192.0.2.1"
    guest = office.ann.dial("800")
    world.run(1.0)
    [leg] = world.runtime.rooms.members("board")
    assert len(lamp.told) == 1
    for digit in "4711#":
        world.media.events.append(Digit(leg, digit, 100, "rfc4733"))
        world.link.settle()
    world.run(1.0)
    assert (lamp.phases, other.phases) == (["confirmed"], ["confirmed"])
    assert lamp.last.remote() == ["sip:anonymous@anonymous.invalid"]
    office.ann.do(guest.hangup)
    world.run(1.0)
    assert lamp.phases == other.phases == ["terminated"]
    world.switch.configure(settings(), world.now)
    world.run(0.5)
    assert lamp.last.state.reason == "noresource"
    assert watcher.watch("802").response.status == 404
    world.run(0.1)
    assert not world.switch.presence.is_set("conference:board")


@pytest.mark.parametrize(("watch", "status"), [(["board"], 200), (["102"], 403), ("all", 200)])
def test_who_may_watch_a_conference(watch: Any, status: int) -> None:
    office = Office(
        conferences={"board": {}},
        dialplan={"internal": {"routes": ROOM_ROUTES}},
        extensions={"104": {"watch": watch}},
    )
    assert office.watcher.watch("800").response.status == status
    office.world.run(0.1)
    assert office.world.switch.presence.is_set("conference:board") == (status == 200)


def test_a_conference_has_no_other_name() -> None:
    """Whom no number leads there, it is not watched by: neither by its name nor by what it is kept under."""
    office = Office(
        conferences={"board": {}},
        dialplan={"internal": {"routes": ROOM_ROUTES}, "lobby": {"routes": [{"to": "_1XX", "dial": "{number}"}]}},
        extensions={"103": {"context": "lobby"}},
    )
    guest = Watcher(office.world, "103")
    office.world.run(0.5)
    assert office.watcher.watch("800").response.status == 200
    assert [guest.watch(each).response.status for each in ("800", "board", "conference%3Aboard")] == [404] * 3


def test_rooms_that_nobody_watches_any_more_are_forgotten() -> None:
    office = Office(dialplan={"internal": {"routes": [{"to": "_8XX", "answer_and_conference": "{number}"}]}})
    for number in range(800, 805):
        lamp = office.watcher.watch(str(number))
        lamp.subscribe(0)
        office.world.run(1.0)
    office.watcher.watch("899")
    office.world.run(1.0)
    left = [number for number in range(800, 900) if office.world.switch.presence.is_set(f"conference:{number}")]
    assert left == [899]


def test_of_many_changes_the_last_one_is_told_and_not_too_often() -> None:
    """At most a NOTIFY in PACE seconds; a state that has come back is none that is told."""
    office = Office()
    lamp = office.watcher.watch("102")
    office.world.run(1.0)
    before = len(lamp.told)
    for _ in range(3):
        session = office.ann.dial("102")
        office.world.run(0.04)
        office.ann.do(session.hangup)
        office.world.run(0.02)
    office.world.run(1.0)
    assert lamp.phases == ["terminated"]
    moments = [each.at for each in lamp.told[before:]]
    assert len(moments) == 2
    assert moments[1] - moments[0] >= PACE - 1e-9
    office.over(3)


def test_whoever_withholds_the_number_is_not_shown() -> None:
    office = Office()
    lamp = office.watcher.watch("102")
    office.ann.dial("102", headers=(("Privacy", "id"),))
    office.world.run(0.2)
    office.ben.ring()
    office.world.run(0.5)
    assert lamp.phases == ["early"]
    assert lamp.last.remote() == ["sip:anonymous@anonymous.invalid"]
    assert b"101" not in lamp.last.request.body
    assert b"Phone" not in lamp.last.request.body


def test_the_other_end_is_not_shown_to_whom_it_is_not_to_be() -> None:
    office = Office(extensions={"104": {"watch_parties": False}})
    lamp = office.watcher.watch("102")
    office.ann.dial("102")
    office.world.run(0.5)
    assert lamp.phases == ["trying"]
    assert not lamp.last.remote()
    assert b"101" not in lamp.last.request.body
    office.world.switch.configure(settings(), office.world.now)
    office.world.run(0.5)
    assert lamp.last.remote() == ["sip:101@192.0.2.1"]


def test_presence() -> None:
    """RFC 3863 and 4480: open or closed, on the phone, busy."""
    office = Office()
    world = office.world
    lamp, absent = office.watcher.watch("102", "presence"), office.watcher.watch("103", "presence", 3600)

    def seen(which: Any) -> tuple[str | None, list[str]]:
        document = which.last.xml
        found = document.find(f"{PIDF}tuple/{PIDF}status/{PIDF}basic")
        activities = document.find(f".//{RPID}activities")
        return found.text, [] if activities is None else [each.tag.removeprefix(RPID) for each in activities]

    assert lamp.last.request.get("Content-Type") == "application/pidf+xml"
    assert (seen(lamp), seen(absent)) == (("open", []), ("closed", []))
    session = world.establish(office.ann, office.ben)
    assert seen(lamp) == ("open", ["on-the-phone"])
    world.switch.set_feature("102", "dnd", "on")
    world.run(0.5)
    assert seen(lamp) == ("open", ["busy", "on-the-phone"])
    office.ann.do(session.hangup)
    world.run(0.5)
    assert seen(lamp) == ("open", ["busy"])
    world.switch.set_feature("102", "dnd", None)
    world.phone("103")
    world.run(0.5)
    assert (seen(lamp), seen(absent)) == (("open", []), ("open", []))
    lamp.subscribe(0)
    absent.subscribe(7200)
    world.run(3500.0)
    absent.subscribe(7200)
    world.run(3500.0)
    absent.subscribe(7200)
    world.run(400.0)  # the binding of 103 has run out
    assert seen(absent) == ("closed", [])


def test_messages_waiting() -> None:
    """RFC 3842; of others only where they are named in `watch`."""
    office = Office(extensions={"103": {"watch": "101"}})
    world = office.world
    lamp = office.watcher.watch("", "message-summary")
    assert lamp.last.request.body == (
        b"Messages-Waiting: no\r\nMessage-Account: sip:104@192.0.2.1\r\nVoice-Message: 0/0 (0/0)\r\n"
    )
    world.switch.set_mailbox("104", 2, 5)
    world.run(0.5)
    assert b"Messages-Waiting: yes\r\n" in lamp.last.request.body
    assert b"Voice-Message: 2/5 (0/0)\r\n" in lamp.last.request.body
    assert office.watcher.watch("101", "message-summary").response.status == 403
    other = Watcher(world, "103")
    assert other.watch("101", "message-summary").response.status == 200
    assert other.watch("104", "message-summary").response.status == 403
    with pytest.raises(MailboxRefused, match="there is no extension '999'"):
        world.switch.set_mailbox("999", 1, 1)


def test_counts_of_messages_outlive_a_restart() -> None:
    world = World()
    written: list[FeatureChange] = []
    world.switch.write_feature = written.append
    world.switch.set_mailbox("101", 3, 0)
    world.switch.set_feature("101", "dnd", "on")
    world.switch.set_mailbox("102", 1, 0)
    world.switch.set_mailbox("102", 0, 0)
    stored = {(each.extension, each.feature): each for each in written if each.value is not None}
    later = World()
    later.switch.start(settings(), (), later.now, [stored["101", "mailbox"], stored["101", "dnd"]])
    assert later.switch.mailboxes.counts("101").new == 3
    assert later.switch.features.of("101") == {"dnd": "on"}
    assert written[-1] == FeatureChange("102", "mailbox", None)


def test_who_may_watch_whom() -> None:
    groups = {"sales": {"members": ["103", {"trunk": "north"}]}}
    wide = {"watch": "all"}
    office = Office(
        ring_groups=groups,
        dialplan={"internal": {"routes": []}, "lobby": {"routes": []}},
        extensions={
            "101": {"context": "lobby"},
            "103": wide,
            "104": {"watch": ["102", "sales"]},
            "105": {},
        },
    )
    watcher, wide_awake, plain = office.watcher, Watcher(office.world, "103"), Watcher(office.world, "105")
    status = {number: watcher.watch(number).response.status for number in ("101", "102", "103", "104", "999", "05")}
    assert status == {"101": 403, "102": 200, "103": 200, "104": 200, "999": 404, "05": 404}
    assert {wide_awake.watch(number).response.status for number in ("101", "102", "105")} == {200}
    assert [plain.watch(number).response.status for number in ("101", "102", "105")] == [403, 200, 200]


def test_who_is_not_known_is_challenged_and_a_trunk_is_refused() -> None:
    office = Office()
    stranger = office.watcher.watch("102", user="")
    assert stranger.response.status == 401
    assert stranger.response.has("WWW-Authenticate")
    assert not stranger.told
    trunk = Watcher.__new__(Watcher)
    Phone.__init__(trunk, office.world, "192.0.2.60", "gateway", office.ann.ua.settings)
    trunk.lamps = {}
    assert trunk.watch("102", user="").response.status == 403


def test_what_is_asked_wrongly() -> None:
    """RFC 6665 4.2.1.1: 489 with Allow-Events, 423 with Min-Expires; 406 for whom our documents are none."""
    watcher = Office().watcher
    unknown = watcher.watch("102", "call-info").response
    assert (unknown.status, unknown.get("Allow-Events")) == (489, "refer, dialog, presence, message-summary")
    brief = watcher.watch("102", expires=20).response
    assert (brief.status, brief.get("Min-Expires")) == (423, "60")
    blind = watcher.watch("102", more=(("Accept", "text/plain"),)).response
    assert (blind.status, blind.get("Accept")) == (406, "application/dialog-info+xml")
    assert watcher.watch("102", more=(("Accept", "text/plain, application/*"),)).response.status == 200
    assert watcher.watch("102", expires=100_000).response.get("Expires") == "3600"
    assert watcher.watch("102", expires=None).response.get("Expires") == "3600"


def test_expiry_refresh_and_fetch() -> None:
    office = Office()
    lamp = office.watcher.watch("102", expires=100)
    office.world.run(90.0)
    lamp.subscribe(100)
    assert [each.version for each in lamp.told] == [0, 1]
    office.world.run(105.0)
    assert lamp.last.state.over
    assert lamp.last.state.reason == "timeout"
    once = office.watcher.watch("102", expires=0)
    assert once.response.status == 200
    assert once.states == ["terminated"]
    assert once.phases == ["terminated"]
    office.over(0)


def test_limits() -> None:
    sip = {"subscriptions": {"per_extension": 2, "total": 3}}
    office = Office(sip=sip)
    lamps = [office.watcher.watch(number) for number in ("101", "102", "103")]
    assert [lamp.response.status for lamp in lamps] == [200, 200, 403]
    lamps[0].subscribe(0)
    assert office.watcher.watch("103").response.status == 200
    other = Watcher(office.world, "103")
    assert [other.watch(number).response.status for number in ("101", "102")] == [200, 503]


@pytest.mark.parametrize(("status", "after"), [(481, 1.0), (0, 40.0)])
def test_a_watcher_that_is_gone_is_forgotten(status: int, after: float) -> None:
    """RFC 6665 4.2.2: 481, or no answer at all."""
    office = Office()
    lamp = office.watcher.watch("102")
    lamp.status = status
    session = office.ann.dial("102")
    office.world.run(after)
    assert not len(office.world.switch.subscriptions)
    assert office.world.switch.subscriptions.counters["watchers lost"] == 1
    office.ann.do(session.hangup)
    office.over(1)


def test_a_reload_ends_what_may_be_no_more() -> None:
    office = Office(extensions={"105": {}, "106": {}})
    watcher, other = office.watcher, Watcher(office.world, "105")
    gone, refused, stays = watcher.watch("106"), watcher.watch("101"), watcher.watch("102")
    moved = other.watch("102")
    fresh = settings(extensions={"104": {"watch": "102"}, "105": {"password": "another one"}})
    office.world.switch.configure(fresh, office.world.now)
    office.world.run(0.5)
    assert (gone.last.state.state, gone.last.state.reason) == ("terminated", "noresource")
    assert (refused.last.state.state, refused.last.state.reason) == ("terminated", "rejected")
    assert (moved.last.state.state, moved.last.state.reason) == ("terminated", "deactivated")
    assert stays.states == ["active"]
    without = settings()
    extensions = {number: each for number, each in without.extensions.items() if number != "104"}
    office.world.switch.configure(without.model_copy(update={"extensions": extensions}), office.world.now)
    office.world.run(0.5)
    assert (stays.last.state.state, stays.last.state.reason) == ("terminated", "rejected")
    assert not len(office.world.switch.subscriptions)


def test_a_drain_sends_the_watchers_on() -> None:
    office = Office()
    lamp = office.watcher.watch("102")
    office.world.switch.drain(office.world.now)
    assert office.world.switch.saying_goodbye()
    office.world.run(0.5)
    assert (lamp.last.state.state, lamp.last.state.reason) == ("terminated", "deactivated")
    assert not office.world.switch.saying_goodbye()
    assert office.watcher.watch("102").response.status == 503


def test_a_watcher_on_a_connection_is_told_over_it() -> None:
    world = World()
    watcher, ben = Watcher(world, "104", transport="tcp"), world.phone("102")
    lamp = watcher.watch("102")
    ben.dial("101")
    world.run(1.0)
    assert lamp.phases in (["trying"], ["terminated"])
    assert {each.request.via.transport for each in lamp.told} == {"TCP"}


def test_what_is_no_extension_can_be_watched_once_somebody_tells_of_it() -> None:
    office = Office()
    presence = office.world.switch.presence
    assert office.watcher.watch("701").response.status == 404
    state = presence.state("102", office.world.now)
    presence.set("701", state)
    watcher = office.watcher
    assert watcher.watch("701").response.status == 403
    everything = Office(extensions={"104": {"watch": "all"}})
    everything.world.switch.presence.set("701", state)
    assert everything.watcher.watch("701").phases == ["terminated"]


def test_status_tells_who_watches() -> None:
    office = Office()
    office.watcher.watch("102")
    office.watcher.watch("", "message-summary")
    rows = office.world.switch.subscriptions.status(office.world.now)
    assert [(row.watcher, row.package, row.resource, row.state, row.source) for row in rows] == [
        ("104", "dialog", "102", "idle", "192.0.2.104:5060"),
        ("104", "message-summary", "104", "0 new, 0 old", "192.0.2.104:5060"),
    ]
    assert 599.0 < rows[0].expires_in <= 600.0


def test_dialogs_have_what_the_schema_demands() -> None:
    """RFC 4235 4.1: `version`, `state` and `entity` of the document, `id` of each dialog, its state first."""
    office = Office()
    lamp = office.watcher.watch("102")
    office.world.establish(office.ann, office.ben)
    for told in lamp.told:
        assert set(told.xml.attrib) == {"version", "state", "entity"}
        assert told.xml.get("state") == "full"
        for dialog in told.dialogs:
            assert dialog.get("id")
            assert dialog[0].tag == f"{DIALOG_INFO}state"
