"""Keep-alive on the whole switch: who does not answer OPTIONS is skipped, and who comes back is called again."""

from __future__ import annotations

from sip.message import Request
from sip.ua_events import RequestArrived, SessionFailed
from tests.virtual.network import World, settings

QUALIFY = {"qualify": {"interval": 30, "retry": 10, "failures": 2}}


def test_a_dead_contact_is_skipped_until_it_answers_again() -> None:
    world = World(settings(sip=QUALIFY))
    ann, ben = world.phone("101"), world.phone("102")
    world.run(60.0)
    assert ben.got("OPTIONS")
    assert len(world.switch.registrations.targets("102", world.now)) == 1
    del world.link.nodes[ben.host]
    world.run(180.0)
    assert world.switch.registrations.targets("102", world.now) == []
    ann.dial("102")
    world.run(0.5)
    assert ann.last(SessionFailed).status == 480
    world.link.nodes[ben.host] = ben
    world.run(120.0)
    assert len(world.switch.registrations.targets("102", world.now)) == 1
    [row] = [
        row for row in world.switch.registrations.status(world.now, world.switch.contacts) if row.extension == "102"
    ]
    assert row.reachable
    assert row.rtt is not None
    assert 0.015 < row.rtt < 0.025


def test_a_dead_gateway_is_not_tried_first() -> None:
    world = World(settings(trunks={"north": {"options_interval": 30}}, sip=QUALIFY))
    ann, second = world.phone("101"), world.gateway("192.0.2.52")
    world.run(180.0)
    [north] = [each for each in world.switch.trunks.status(world.now) if each.name == "north"]
    assert [each.reachable for each in north.gateways] == [False, True]
    ann.dial("0123")
    world.run(0.1)
    assert second.invited()


def test_rfc3261_10_3_an_expired_binding_is_gone_and_no_longer_asked() -> None:
    world = World(settings(sip=QUALIFY | {"registration": {"min": 60, "default": 60, "max": 60}}))
    ben = world.phone("102")
    world.run(61.0)
    assert world.switch.registrations.targets("102", world.now) == []
    assert world.switch.contacts.places() == []
    asked = len(ben.got("OPTIONS"))
    world.run(120.0)
    assert len(ben.got("OPTIONS")) == asked


def test_registration_at_a_trunk_is_made_refreshed_and_taken_back() -> None:
    account = {
        "account": {"username": "we", "password": "secret"},
        "register": {"registrar": "192.0.2.51:5060", "transport": "udp", "expires": 120},
    }
    world = World(settings(trunks={"north": account}))
    registrar = world.gateway("192.0.2.51")
    seen: list[Request] = []

    def answer(event: object, now: float) -> None:
        if isinstance(event, RequestArrived) and event.request.method == "REGISTER":
            seen.append(event.request)
            expires = event.request.get("Expires") or "120"
            contact = f"{event.request.get('Contact')};expires={expires}"
            registrar.ua.reply(event.transaction, 200, None, (("Contact", contact),), now)

    registrar.on_event = answer  # type: ignore[assignment]
    world.run(10.0)
    assert len(seen) == 1
    [status] = world.switch.trunk_registrations.status(world.now)
    assert str(status.state) == "registered"
    world.run(200.0)
    assert len(seen) >= 2
    assert {request.call_id for request in seen} == {seen[0].call_id}  # RFC 3261 10.2: the same Call-ID
    world.switch.drain(world.now)
    world.link.settle()
    world.run(1.0)
    assert seen[-1].get("Expires") == "0" or "expires=0" in (seen[-1].get("Contact") or "")
    assert not world.switch.saying_goodbye()


def test_a_reload_forgets_gateways_that_are_gone() -> None:
    world = World(settings(trunks={"north": {"options_interval": 30}}))
    world.run(1.0)
    assert len([place for place in world.switch.gateways.places() if place[0] == "north"]) == 2
    fresh = settings(trunks={"north": {"gateways": ["192.0.2.53"], "options_interval": 30}})
    world.switch.configure(fresh, world.now)
    assert [label for name, label in world.switch.gateways.places() if name == "north"] == ["192.0.2.53:5060/udp"]
