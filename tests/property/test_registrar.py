"""The registrar against a plain model of RFC 3261 10.3, and its own books."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip.binding import BindingRemoved, BindingStored
from sip.effects import Flow
from sip.message import Request
from sip.registrar import Registrar, RegistrarSettings

WALL = 1_700_000_000.0
SETTINGS = RegistrarSettings(min_expires=60, max_expires=600, max_contacts=3)
PORTS = st.integers(5060, 5064)
LIFETIMES = st.sampled_from([0, 30, 60, 300, 10_000])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("register"),
            st.lists(st.tuples(PORTS, LIFETIMES), min_size=1, max_size=3),
            st.sampled_from(["a", "b"]),  # Call-ID
            st.integers(1, 6),  # CSeq
            st.integers(0, 2),  # connection
        ),
        st.tuples(st.just("star"), st.sampled_from(["a", "b"]), st.integers(1, 6)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 59.0, 60.0, 301.0, 601.0])),
        st.tuples(st.just("lost"), st.integers(1, 2)),
    ),
    max_size=25,
)


def request(contacts: list[str], expires: str | None, call_id: str, cseq: int) -> Request:
    headers = [("Call-ID", call_id), ("CSeq", f"{cseq} REGISTER"), ("To", "<sip:1@h>")]
    headers += [("Contact", contact) for contact in contacts]
    if expires is not None:
        headers.append(("Expires", expires))
    return Request("REGISTER", "sip:h", headers)


class Model:
    """uri -> (expires at, Call-ID, CSeq), by the text of 10.3 and nothing else."""

    def __init__(self) -> None:
        self.bound: dict[str, tuple[float, str, int]] = {}

    def register(self, contacts: list[tuple[str, int]], call_id: str, cseq: int, now: float) -> int:
        copy = {uri: state for uri, state in self.bound.items() if state[0] > now}
        mine: set[str] = set()
        for uri, lifetime in contacts:
            if 0 < lifetime < SETTINGS.min_expires:
                return 423
            if uri in copy and uri not in mine and copy[uri][1] == call_id and cseq <= copy[uri][2]:
                return 500
            if lifetime == 0:
                copy.pop(uri, None)
                mine.discard(uri)
            else:
                copy[uri] = (now + min(lifetime, SETTINGS.max_expires), call_id, cseq)
                mine.add(uri)
        if len(copy) > SETTINGS.max_contacts:
            return 403
        self.bound = copy
        return 200

    def star(self, call_id: str, cseq: int, now: float) -> int:
        if any(state[1] == call_id and cseq <= state[2] for state in self.bound.values() if state[0] > now):
            return 500
        self.bound = {}
        return 200


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_registrar_does_what_the_rfc_says(steps: list[tuple[object, ...]]) -> None:
    registrar, model, now = Registrar(SETTINGS), Model(), 0.0
    store: dict[str, float] = {}
    for step in steps:
        match step:
            case ("register", contacts, str(call_id), int(cseq), int(connection)):
                flow = Flow("tcp" if connection else "udp", ("h", 5060), ("192.0.2.9", 5060), connection)
                named = [(f"sip:1@192.0.2.9:{port}", lifetime) for port, lifetime in contacts]  # type: ignore[attr-defined]
                values = [f"<{uri}>;expires={lifetime}" for uri, lifetime in named]
                response = registrar.register("1", request(values, None, call_id, cseq), flow, now, WALL + now)
                assert response.status == model.register(named, call_id, cseq, now)
            case ("star", str(call_id), int(cseq)):
                registrar.expire(now)
                asked = request(["*"], "0", call_id, cseq)
                response = registrar.register("1", asked, Flow("udp", ("h", 1), ("i", 1), 0), now, WALL + now)
                assert response.status == model.star(call_id, cseq, now)
            case ("wait", float(seconds)):
                now += seconds
                registrar.expire(now)
            case ("lost", int(connection)):
                registrar.connection_lost(connection)
        for change in registrar.changes:
            if isinstance(change, BindingStored):
                store[change.record.contact] = change.record.expires_at
            else:
                assert isinstance(change, BindingRemoved)
                del store[change.contact]
        registrar.changes.clear()

        alive = {uri: state[0] for uri, state in model.bound.items() if state[0] > now}
        assert {binding.uri: binding.expires_at for binding in registrar.bindings("1", now)} == alive
        # the store, kept by the changes alone, holds the same and can bring it back
        assert {uri: at for uri, at in store.items() if at > WALL + now} == {
            uri: WALL + at for uri, at in alive.items()
        }
        again = Registrar(SETTINGS)
        assert again.restore(registrar.snapshot(now, WALL + now), 0.0, WALL + now) == len(alive)
        # every binding has its place in the heap, or would live for ever
        assert registrar.next_deadline() is not None or not alive
    registrar.expire(now + SETTINGS.max_expires)
    assert (len(registrar), registrar.aors(), registrar.next_deadline()) == (0, [], None)
    assert registrar._by_connection == {}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=3), st.one_of(st.none(), st.text(max_size=12)))
def test_whatever_the_contact_the_answer_is_an_answer(contacts: list[str], expires: str | None) -> None:
    registrar = Registrar(SETTINGS)
    flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 0)
    response = registrar.register("1", request(contacts, expires, "a", 1), flow, 0.0, WALL)
    assert response.status in (200, 400, 403, 423)
    assert response.status == 200 or len(registrar) == 0
