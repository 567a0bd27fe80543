"""Registrar: RFC 3261 section 10.3, RFC 3327 (Path), RFC 5626 (instances), NAT, restart, clock jumps."""

from __future__ import annotations

import re

import pytest

from sip.binding import BindingRemoved, BindingStored
from sip.effects import Flow, Target
from sip.message import Request, Response
from sip.parser import parse
from sip.registrar import COMPACT_FROM, Registrar, RegistrarSettings

PHONE = "192.0.2.9"
UDP = Flow("udp", ("192.0.2.1", 5060), (PHONE, 5060), 0)
TCP = Flow("tcp", ("192.0.2.1", 5060), (PHONE, 40000), 7)
WALL = 1_700_000_000.0


def register_request(
    *contacts: str,
    expires: str | None = "3600",
    call_id: str = "c1",
    cseq: int = 1,
    extra: tuple[str, ...] = (),
) -> Request:
    lines = [
        "REGISTER sip:192.0.2.1 SIP/2.0",
        f"Via: SIP/2.0/UDP {PHONE}:5060;branch=z9hG4bK{call_id}{cseq}",
        "Max-Forwards: 70",
        "From: <sip:101@192.0.2.1>;tag=f1",
        "To: <sip:101@192.0.2.1>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        *[f"Contact: {contact}" for contact in contacts],
        *([f"Expires: {expires}"] if expires is not None else []),
        *extra,
        "Content-Length: 0",
        "",
        "",
    ]
    request = parse("\r\n".join(lines).encode())
    assert isinstance(request, Request)
    return request


class Desk:
    """A registrar with one address of record, and a count of CSeq."""

    def __init__(self, **settings: int) -> None:
        self.registrar = Registrar(RegistrarSettings(**settings))
        self.cseq = 0

    def register(
        self,
        *contacts: str,
        flow: Flow = UDP,
        now: float = 0.0,
        wall: float = WALL,
        cseq: int | None = None,
        max_contacts: int | None = None,
        **rest: object,
    ) -> Response:
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        request = register_request(*contacts, cseq=cseq, **rest)  # type: ignore[arg-type]
        return self.registrar.register("101", request, flow, now, wall, max_contacts=max_contacts, to_tag="t")

    def uris(self, now: float = 0.0) -> list[str]:
        return [binding.uri for binding in self.registrar.lookup("101", now)]


def contacts_of(response: Response) -> dict[str, int]:
    """Contact URI -> expires, as the 200 enumerates them."""
    listed = {}
    for value in response.values("Contact"):
        found = re.fullmatch(r"<([^>]+)>.*;expires=([0-9]+)", value)
        assert found, value
        listed[found[1]] = int(found[2])
    return listed


A = f"<sip:101@{PHONE}>"
B = f"<sip:101@{PHONE}:5070>"


def test_rfc3261_10_3_item_8_200_enumerates_all_bindings_with_expires() -> None:
    """10.3: "The response MUST contain Contact header field values enumerating all current bindings"."""
    desk = Desk()
    desk.register(A, now=0.0)
    response = desk.register(B + ";expires=600", now=100.0)
    assert response.status == 200
    assert contacts_of(response) == {f"sip:101@{PHONE}": 3500, f"sip:101@{PHONE}:5070": 600}
    assert response.get("Date") == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert response.to_tag == "t"


def test_a_query_lists_and_changes_nothing() -> None:
    desk = Desk()
    desk.register(A)
    desk.registrar.changes.clear()
    response = desk.register(expires=None, now=10.0)
    assert contacts_of(response) == {f"sip:101@{PHONE}": 3590}
    assert desk.registrar.changes == []


def test_expires_param_over_header_over_default() -> None:
    """10.3 item 7: expires parameter, else the Expires header, else a locally configured default."""
    desk = Desk(default_expires=1800)
    assert contacts_of(desk.register(A + ";expires=120", expires="600"))[f"sip:101@{PHONE}"] == 120
    assert contacts_of(desk.register(A, expires="600"))[f"sip:101@{PHONE}"] == 600
    assert contacts_of(desk.register(A, expires=None))[f"sip:101@{PHONE}"] == 1800


def test_the_quick_refresh_obeys_the_contacts_own_expires() -> None:
    desk = Desk()
    for now in (0.0, 50.0):
        response = desk.register(A + ";expires=120", expires="600", now=now)
        assert contacts_of(response) == {f"sip:101@{PHONE}": 120}


@pytest.mark.parametrize("written", ["abc", "-5", "1e3", "3600.5"])
def test_rfc3261_10_2_1_1_malformed_expires_is_3600(written: str) -> None:
    """10.2.1.1: "Malformed values SHOULD be treated as equivalent to 3600."."""
    desk = Desk(default_expires=60)
    assert contacts_of(desk.register(A, expires=written)) == {f"sip:101@{PHONE}": 3600}


def test_huge_expires_is_cut_to_the_maximum() -> None:
    desk = Desk(max_expires=7200)
    assert contacts_of(desk.register(A, expires="9" * 400)) == {f"sip:101@{PHONE}": 7200}


def test_423_names_min_expires_and_changes_nothing() -> None:
    """10.3 item 7: 423 "MUST contain a Min-Expires header field"."""
    desk = Desk(min_expires=60)
    response = desk.register(A, expires="59")
    assert (response.status, response.get("Min-Expires")) == (423, "60")
    assert desk.uris() == []
    assert desk.register(A, expires="60").status == 200


def test_zero_is_never_too_brief() -> None:
    desk = Desk(min_expires=60)
    desk.register(A)
    assert desk.register(A, expires="0").status == 200
    assert desk.uris() == []


def test_unregister_one_of_two() -> None:
    desk = Desk()
    desk.register(A, B)
    assert contacts_of(desk.register(A + ";expires=0")) == {f"sip:101@{PHONE}:5070": 3600}
    assert BindingRemoved("101", f"sip:101@{PHONE}") in desk.registrar.changes


def test_star_removes_all() -> None:
    desk = Desk()
    desk.register(A, B)
    assert contacts_of(desk.register("*", expires="0")) == {}
    assert len(desk.registrar) == 0


@pytest.mark.parametrize(
    ("contacts", "expires"),
    [(("*",), "60"), (("*",), None), (("*", A), "0"), ((A, "*"), "0"), ((f"{A}, *",), "0"), (("*",), "x")],
)
def test_rfc3261_10_3_item_6_star_alone_and_expires_zero(contacts: tuple[str, ...], expires: str | None) -> None:
    """10.3 item 6: otherwise "the server MUST return a 400 (Invalid Request)"."""
    desk = Desk()
    desk.register(A)
    assert desk.register(*contacts, expires=expires).status == 400
    assert desk.uris() == [f"sip:101@{PHONE}"]


def test_older_cseq_of_the_same_call_id_is_refused() -> None:
    """10.3 item 7: the update is made only if the CSeq is higher; "If not, the update MUST be aborted"."""
    desk = Desk()
    desk.register(A, cseq=5)
    for cseq in (5, 4):
        assert desk.register(A, cseq=cseq, expires="0").status == 500
        assert desk.register("*", cseq=cseq, expires="0").status == 500
    assert desk.uris() == [f"sip:101@{PHONE}"]
    assert desk.register(A, cseq=1, call_id="other", expires="0").status == 200
    assert desk.uris() == []


def test_one_bad_contact_changes_nothing() -> None:
    """10.3: "either all of the contact modifications succeed or none"."""
    desk = Desk(max_contacts=2)
    desk.register(A)
    desk.registrar.changes.clear()
    for contacts, status in (
        ((A + ";expires=0", "<mailto:x@y.example>"), 400),
        ((A + ";expires=0", B + ";q=2"), 400),
        ((A + ";expires=0", B + ";q=0.5555"), 400),
        ((A + ";expires=0", "<sip:bad"), 400),
        ((A + ";expires=0", B + ";expires=3"), 423),
        ((B, "<sip:101@192.0.2.10>"), 403),
    ):
        assert desk.register(*contacts).status == status
        assert desk.uris() == [f"sip:101@{PHONE}"]
        assert desk.registrar.changes == []


def test_the_same_contact_twice_in_one_request() -> None:
    desk = Desk()
    assert contacts_of(desk.register(A + ";expires=60", A + ";expires=120")) == {f"sip:101@{PHONE}": 120}
    assert contacts_of(desk.register(B, B + ";expires=0")) == {f"sip:101@{PHONE}": 120}


def test_contacts_are_the_same_by_uri_rules() -> None:
    """RFC 3261 19.1.4: escapes, case of the host and order of parameters do not matter; a port does."""
    desk = Desk()
    desk.register("<sip:%31%301@PHONE.example;b=2;a=1>")
    assert len(contacts_of(desk.register("<sip:101@phone.EXAMPLE;a=1;b=2>"))) == 1
    assert len(contacts_of(desk.register("<sip:101@phone.example:5060;a=1;b=2>"))) == 2


def test_lookup_by_q_then_by_freshness() -> None:
    desk = Desk()
    desk.register("<sip:a@192.0.2.9>;q=0.5", "<sip:b@192.0.2.9>;q=1.0", "<sip:c@192.0.2.9>", "<sip:d@192.0.2.9>;q=0")
    desk.register("<sip:c@192.0.2.9>", now=1.0)
    assert [uri[4] for uri in desk.uris(2.0)] == ["c", "b", "a", "d"]


def test_contact_parameters_are_kept_and_shown() -> None:
    desk = Desk()
    response = desk.register(f'{A};q=0.7;methods="INVITE,BYE";+sip.instance="<urn:uuid:1>";audio')
    assert response.get("Contact") == (
        f'<sip:101@{PHONE}>;methods="INVITE,BYE";+sip.instance="<urn:uuid:1>";audio;q=0.7;expires=3600'
    )


def test_expiry_on_time_and_not_before() -> None:
    desk = Desk()
    desk.register(A, expires="60")
    assert desk.registrar.next_deadline() == 60.0
    assert desk.registrar.expire(59.9) == []
    assert desk.uris(59.9) != []
    assert desk.uris(60.0) == []
    assert [binding.uri for binding in desk.registrar.expire(60.0)] == [f"sip:101@{PHONE}"]
    assert desk.registrar.changes[-1] == BindingRemoved("101", f"sip:101@{PHONE}")
    assert desk.registrar.next_deadline() is None


def test_a_refresh_moves_expiry_either_way() -> None:
    desk = Desk()
    desk.register(A, expires="60")
    desk.register(A, expires="600", now=30.0)
    assert desk.registrar.expire(61.0) == []
    assert desk.uris(629.0) != []
    desk.register(A, expires="60", now=100.0)
    assert [binding.uri for binding in desk.registrar.expire(160.0)] == [f"sip:101@{PHONE}"]


def test_the_heap_does_not_grow_with_registering_and_unregistering() -> None:
    desk = Desk()
    for _ in range(4 * COMPACT_FROM):
        desk.register(A)
        desk.register(A, expires="0")
    assert len(desk.registrar._heap) <= COMPACT_FROM + 2
    desk.register(A, now=1.0)
    assert len(desk.registrar.expire(3601.0)) == 1


def test_wall_clock_jumps_expire_nothing() -> None:
    """Monotonic time alone rules while the switch runs."""
    desk = Desk()
    desk.register(A, expires="600", wall=WALL)
    response = desk.register(B, now=10.0, wall=WALL + 3600.0)
    assert contacts_of(response)[f"sip:101@{PHONE}"] == 590
    response = desk.register(B, now=20.0, wall=WALL - 3600.0)
    assert contacts_of(response)[f"sip:101@{PHONE}"] == 580
    assert desk.registrar.expire(20.0) == []
    assert desk.registrar.snapshot(20.0, WALL - 3600.0)[0].expires_at == WALL - 3600.0 + 580.0


def test_max_contacts_403_and_dead_ones_give_way() -> None:
    desk = Desk(max_contacts=2)
    desk.register(A, B)
    third = "<sip:101@192.0.2.10>"
    assert desk.register(third).status == 403
    assert desk.register(A).status == 200
    desk.registrar.set_reachable("101", f"sip:101@{PHONE}:5070", False)
    assert contacts_of(desk.register(third)) == {f"sip:101@{PHONE}": 3600, "sip:101@192.0.2.10": 3600}
    assert BindingRemoved("101", f"sip:101@{PHONE}:5070") in desk.registrar.changes


def test_a_limit_of_its_own_and_one_lowered_later() -> None:
    desk = Desk(max_contacts=1)
    assert desk.register(A, B, max_contacts=2).status == 200
    assert desk.register(A).status == 200
    assert desk.register("<sip:x@192.0.2.9>").status == 403


def test_no_more_bindings_than_can_be_held() -> None:
    desk = Desk(max_bindings=1)
    desk.register(A)
    response = desk.register(B)
    assert (response.status, response.get("Retry-After")) == (503, "120")
    assert desk.register(A).status == 200


def test_too_many_contacts_in_one_request() -> None:
    desk = Desk()
    assert desk.register(*[f"<sip:x{i}@{PHONE}>;expires=0" for i in range(65)]).status == 403


def test_rfc3327_5_3_path_is_stored_and_echoed_when_supported() -> None:
    """RFC 3327 5.3: the registrar stores the path with the contact and copies it into the 200."""
    path = ("Path: <sip:edge1.example;lr>, <sip:edge2.example;lr>", "Path: <sip:edge3.example;lr>")
    desk = Desk()
    response = desk.register(A, extra=(*path, "Supported: path, gruu"))
    assert response.values("Path") == ["<sip:edge1.example;lr>", "<sip:edge2.example;lr>", "<sip:edge3.example;lr>"]
    (binding,) = desk.registrar.lookup("101", 0.0)
    assert binding.path == ("<sip:edge1.example;lr>", "<sip:edge2.example;lr>", "<sip:edge3.example;lr>")
    assert desk.register(A, extra=path).get("Path") is None
    desk.register(A)
    (binding,) = desk.registrar.lookup("101", 0.0)
    assert binding.path == ()


@pytest.mark.parametrize("path", ["<sip:bad", "<tel:+1>", ",".join(["<sip:e.example;lr>"] * 9), f"<sip:{'e' * 600}>"])
def test_a_bad_path_is_refused(path: str) -> None:
    desk = Desk()
    assert desk.register(A, extra=(f"Path: {path}",)).status == 400
    assert len(desk.registrar) == 0


def test_a_contact_too_long_to_keep_is_refused() -> None:
    assert Desk().register(f"<sip:{'x' * 600}@192.0.2.9>").status == 400


def test_rfc5626_6_same_instance_and_reg_id_replace_the_binding() -> None:
    """RFC 5626 6: a device that returns from another address replaces its own flow."""
    device = ';+sip.instance="<urn:uuid:1>";reg-id=1'
    desk = Desk()
    desk.register(f"<sip:101@10.0.0.5:1111>{device}", call_id="boot1")
    desk.registrar.changes.clear()
    response = desk.register(f"<sip:101@10.0.0.5:2222>{device}", call_id="boot2")
    assert list(contacts_of(response)) == ["sip:101@10.0.0.5:2222"]
    removed, stored = desk.registrar.changes
    assert removed == BindingRemoved("101", "sip:101@10.0.0.5:1111")
    assert isinstance(stored, BindingStored)
    assert len(contacts_of(desk.register(f"<sip:101@10.0.0.5:3333>{device[:-1]}2"))) == 2


@pytest.mark.parametrize(
    ("contact", "flow", "destination"),
    [
        # the contact is where it comes from: its own port
        (f"<sip:101@{PHONE}:5060>", UDP, UDP),
        (f"<sip:101@{PHONE}>", UDP, UDP),
        (f"<sip:101@{PHONE}:5070>", UDP, Target("udp", PHONE, 5070)),
        (f"<sip:101@{PHONE}:5070;transport=tcp>", UDP, Target("tcp", PHONE, 5070)),
        # behind NAT: where it came from
        ("<sip:101@10.0.0.5:5060>", UDP, UDP),
        ("<sip:101@phone.local>", UDP, UDP),
        # a stream: back over it
        (f"<sip:101@{PHONE}:5060;transport=tcp>", TCP, TCP),
        ("<sip:101@10.0.0.5:5060;transport=tcp>", TCP, TCP),
    ],
)
def test_destination(contact: str, flow: Flow, destination: object) -> None:
    desk = Desk()
    desk.register(contact, flow=flow)
    (binding,) = desk.registrar.lookup("101", 0.0)
    assert binding.destination == destination


def test_with_a_path_the_proxy_is_the_next_hop() -> None:
    desk = Desk()
    desk.register("<sip:101@10.0.0.5>", extra=(f"Path: <sip:{PHONE}:5080;lr>",))
    (binding,) = desk.registrar.lookup("101", 0.0)
    assert binding.destination == Target("udp", PHONE, 5080)
    desk.register("<sip:101@10.0.0.5>", extra=("Path: <sip:10.9.9.9;lr>",))
    (binding,) = desk.registrar.lookup("101", 0.0)
    assert binding.destination == UDP


def test_a_lost_connection_makes_only_what_it_alone_leads_to_unreachable() -> None:
    desk = Desk()
    desk.register("<sip:nat@10.0.0.5;transport=tcp>", f"<sip:plain@{PHONE}:5060;transport=tcp>", flow=TCP)
    desk.register("<sip:other@10.0.0.5>", flow=UDP)
    assert [binding.uri for binding in desk.registrar.connection_lost(7)] == ["sip:nat@10.0.0.5;transport=tcp"]
    assert desk.uris() == [f"sip:plain@{PHONE}:5060;transport=tcp", "sip:other@10.0.0.5"]
    assert desk.registrar.lookup("101", 0.0)[0].destination == Target("tcp", PHONE, 5060)
    assert desk.registrar.connection_lost(7) == []
    # registers again over another connection
    back = TCP._replace(connection=8, remote=(PHONE, 40001))
    desk.register("<sip:nat@10.0.0.5;transport=tcp>", flow=back, now=1.0)
    assert desk.registrar.lookup("101", 1.0)[0].destination == back


def test_a_binding_moved_to_another_connection_survives_the_loss_of_the_first() -> None:
    desk = Desk()
    contact = "<sip:nat@10.0.0.5;transport=tcp>"
    desk.register(contact, flow=TCP)
    desk.register(contact, flow=TCP._replace(connection=8))
    assert desk.registrar.connection_lost(7) == []
    assert len(desk.uris()) == 1


def test_the_quick_refresh_does_not_hide_a_new_address() -> None:
    desk = Desk()
    contact = "<sip:101@10.0.0.5>"
    desk.register(contact)
    moved = UDP._replace(remote=("198.51.100.7", 1024))
    desk.register(contact, flow=moved)
    (binding,) = desk.registrar.lookup("101", 0.0)
    assert binding.destination == moved


def test_a_refresh_under_another_call_id_is_newer_whatever_its_cseq() -> None:
    """RFC 3261 10.3 item 7: "If the Call-ID value in the existing binding differs from the Call-ID value in the
    request, the binding MUST be ... updated"; "If they are the same, the registrar compares the CSeq value"."""
    registrar = Registrar(RegistrarSettings())
    for call_id, cseq, agent in (("c1", 9, "P/1"), ("c2", 3, "P/2")):
        request = register_request(A, call_id=call_id, cseq=cseq, extra=(f"User-Agent: {agent}",))
        assert registrar.register("101", request, UDP, 0.0, WALL).status == 200
    (binding,) = registrar.lookup("101", 0.0)
    assert (binding.call_id, binding.cseq, binding.user_agent) == ("c2", 3, "P/2")
    assert len(registrar) == 1
    stored = registrar.changes[-1]
    assert isinstance(stored, BindingStored)
    assert (stored.record.call_id, stored.record.cseq, stored.again) == ("c2", 3, True)
    old = registrar.register("101", register_request(A, call_id="c2", cseq=3), UDP, 0.0, WALL)
    assert old.status == 500


def test_a_refresh_brings_a_dead_contact_back() -> None:
    desk = Desk()
    desk.register(A)
    desk.registrar.set_reachable("101", f"sip:101@{PHONE}", False)
    assert desk.uris() == []
    desk.register(A)
    assert desk.uris() == [f"sip:101@{PHONE}"]


def test_bindings_survive_a_restart() -> None:
    """Monotonic time begins anew; what counts is the wall clock and what was stored."""
    before = Desk()
    before.register(f'{A};q=0.3;+sip.instance="<urn:uuid:1>"', expires="600", now=5000.0, extra=("User-Agent: P",))
    before.register("<sip:101@10.0.0.5;transport=tcp>", flow=TCP, now=5000.0, call_id="c2")
    stored = {change.record for change in before.registrar.changes if isinstance(change, BindingStored)}
    assert set(before.registrar.snapshot(5000.0, WALL)) == stored

    after = Desk()
    assert after.registrar.restore(before.registrar.snapshot(5000.0, WALL), 3.0, WALL + 60.0) == 2
    (binding,) = after.registrar.lookup("101", 3.0)
    assert (binding.uri, binding.q, binding.expires_at, binding.user_agent) == (f"sip:101@{PHONE}", 0.3, 543.0, "P")
    assert binding.destination == UDP
    # its connection is gone, and nothing else leads through the NAT
    assert len(after.registrar.bindings("101", 3.0)) == 2
    assert after.register(A, cseq=1, now=4.0).status == 500
    assert after.register(A, cseq=2, now=4.0).status == 200
    assert [binding.uri for binding in after.registrar.expire(3604.0)] == [
        "sip:101@10.0.0.5;transport=tcp",
        f"sip:101@{PHONE}",
    ]


def test_restore_drops_what_has_run_out_and_bounds_what_a_clock_set_back_would_prolong() -> None:
    before = Desk()
    before.register(A, expires="600")
    records = before.registrar.snapshot(0.0, WALL)
    late = Registrar(RegistrarSettings())
    assert late.restore(records, 0.0, WALL + 601.0) == 0
    assert late.changes == [BindingRemoved("101", f"sip:101@{PHONE}")]
    back = Registrar(RegistrarSettings(max_expires=7200))
    assert back.restore(records, 0.0, WALL - 1e6) == 1
    assert back.next_deadline() == 7200.0


def test_changes_tell_what_to_store() -> None:
    desk = Desk()
    desk.register(A, expires="600", now=10.0)
    (change,) = desk.registrar.changes
    assert isinstance(change, BindingStored)
    record = change.record
    assert (record.aor, record.contact, record.expires_at) == ("101", f"sip:101@{PHONE}", WALL + 600.0)
    assert (record.transport, record.remote_host, record.remote_port) == ("udp", PHONE, 5060)
    assert (record.call_id, record.cseq) == ("c1", 1)


def test_remove_an_address_of_record() -> None:
    desk = Desk()
    desk.register(A, B)
    desk.registrar.remove("101")
    desk.registrar.remove("102")
    assert len(desk.registrar) == 0
    assert desk.registrar.changes[-1] == BindingRemoved("101", f"sip:101@{PHONE}:5070")


def test_the_response_reads_back() -> None:
    """What we write is read back by our own parser, whatever the contact held."""
    desk = Desk()
    response = desk.register('"Ev\\"il" <sip:%22x%0d%0a@[2001:db8::1]:5070;transport=TCP?Subject=%0d%0aX>;q=0.123')
    again = parse(response.encode())
    assert isinstance(again, Response)
    (contact,) = again.contacts
    assert (contact.uri.host, contact.uri.port, contact.params["q"]) == ("2001:db8::1", 5070, "0.123")
