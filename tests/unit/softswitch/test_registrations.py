"""Registrations: REGISTER from request to response, what dialling gets, keep-alive, restart, reload."""

from __future__ import annotations

from sip.binding import BindingRemoved, BindingStored
from sip.digest import Credentials, DigestClient
from sip.effects import Flow, Target
from sip.ids import Ids
from sip.message import Request, Response
from sip.parser import parse
from sip.registrar import RegistrarSettings
from softswitch.admission import Admission, AdmissionSettings, ExtensionAccount
from softswitch.qualify import Qualify, QualifySettings
from softswitch.registrations import ContactPlace, ContactTarget, Registrations
from softswitch.trunks import TrunkConfig

PHONE = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 0)
TCP = Flow("tcp", ("192.0.2.1", 5060), ("192.0.2.9", 40000), 7)
WALL = 1_700_000_000.0
ALICE = ExtensionAccount(extension="101", password="wonderland")
BOB = ExtensionAccount(extension="102", password="builder", max_contacts=1)


class Bench:
    """One switch and its phones."""

    def __init__(self, *accounts: ExtensionAccount) -> None:
        self.admission = Admission(AdmissionSettings(), Ids(3))
        self.admission.configure(
            accounts or (ALICE, BOB), [TrunkConfig(name="t", inbound="address", sources=("192.0.2.0/24",))]
        )
        self.registrations = Registrations(RegistrarSettings(), self.admission, Ids(4))
        self.contacts: Qualify[ContactPlace] = Qualify(QualifySettings(failures=1), Ids(5))
        self.cseq = 0

    def send(self, user: str, contact: str, flow: Flow, now: float, authorization: str | None, *extra: str) -> Response:
        self.cseq += 1
        lines = [
            "REGISTER sip:pbx.example SIP/2.0",
            f"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{self.cseq}",
            f"From: <sip:{user}@pbx.example>;tag=f1",
            f"To: <sip:{user}@pbx.example>",
            f"Call-ID: {user}",
            f"CSeq: {self.cseq} REGISTER",
            f"Contact: {contact}",
            *([f"Authorization: {authorization}"] if authorization is not None else []),
            *extra,
            "Content-Length: 0",
            "",
            "",
        ]
        request = parse("\r\n".join(lines).encode())
        assert isinstance(request, Request)
        return self.registrations.handle_register(request, flow, now, WALL + now)

    def register(
        self,
        account: ExtensionAccount = ALICE,
        contact: str = "<sip:101@192.0.2.9:5060>",
        flow: Flow = PHONE,
        now: float = 0.0,
        user: str = "",
        extra: tuple[str, ...] = (),
    ) -> Response:
        user = user or account.extension
        challenge = self.send(user, contact, flow, now, None)
        if challenge.status != 401:
            return challenge
        credentials = Credentials(account.login, account.password)
        answer = DigestClient(Ids(6)).answer(challenge.headers, "REGISTER", "sip:pbx.example", credentials)
        assert answer is not None
        return self.send(user, contact, flow, now, answer[1], *extra)

    def watched(self, now: float = 0.0) -> list[ContactPlace]:
        self.registrations.watch(self.contacts, now)
        return self.contacts.places()


def test_challenged_then_bound() -> None:
    bench = Bench()
    challenge = bench.send("101", "<sip:101@192.0.2.9>", PHONE, 0.0, None)
    assert (challenge.status, len(challenge.values("WWW-Authenticate")), challenge.to_tag != "") == (401, 2, True)
    assert bench.registrations.targets("101", 0.0) == []
    response = bench.register()
    assert (response.status, response.get("Contact")) == (200, "<sip:101@192.0.2.9:5060>;expires=3600")
    assert response.to_tag
    assert bench.registrations.targets("101", 0.0) == [
        ContactTarget("sip:101@192.0.2.9:5060", PHONE, (), False, "192.0.2.9")
    ]
    assert bench.registrations.targets("101", 3600.0) == []
    assert bench.registrations.targets("102", 0.0) == []


def test_nobody_binds_anothers_address_of_record() -> None:
    bench = Bench()
    assert bench.register(ALICE, user="102").status == 403
    assert len(bench.registrations) == 0


def test_a_wrong_password_binds_nothing() -> None:
    bench = Bench()
    assert bench.register(ExtensionAccount(extension="101", password="guess")).status == 401
    assert bench.register(ExtensionAccount(extension="999", password="guess")).status == 401
    assert (len(bench.registrations), bench.registrations.changes) == (0, [])


def test_the_accounts_own_limit_of_contacts() -> None:
    bench = Bench()
    assert bench.register(BOB, "<sip:102@192.0.2.9>").status == 200
    assert bench.register(BOB, "<sip:102@192.0.2.10>").status == 403


def test_targets_in_order_of_q_with_nat_path_and_host() -> None:
    bench = Bench()
    bench.register(contact="<sip:a@10.0.0.5:5062>;q=0.2")
    bench.register(contact="<sip:b@192.0.2.9:5070>;q=0.9", extra=("Path: <sip:192.0.2.9:5080;lr>",))
    bench.register(contact="<sip:c@10.0.0.7;transport=tcp>;q=0.5", flow=TCP)
    assert bench.registrations.targets("101", 0.0) == [
        ContactTarget(
            "sip:b@192.0.2.9:5070", Target("udp", "192.0.2.9", 5080), ("<sip:192.0.2.9:5080;lr>",), False, "192.0.2.9"
        ),
        ContactTarget("sip:c@10.0.0.7;transport=tcp", TCP, (), True, "192.0.2.9"),
        ContactTarget("sip:a@10.0.0.5:5062", PHONE, (), True, "192.0.2.9"),
    ]


def test_nat_by_setting() -> None:
    """ "yes": always where it comes from; "no": always where it says it is."""
    where: dict[str, list[object]] = {
        "yes": [PHONE, PHONE, PHONE],
        "no": [Target("udp", "192.0.2.9", 5070), Target("tcp", "10.0.0.5", 5060), None],
        "auto": [Target("udp", "192.0.2.9", 5070), PHONE, PHONE],
    }
    contacts = (
        "<sip:101@192.0.2.9:5070>;q=0.9",
        "<sip:101@10.0.0.5;transport=tcp>;q=0.5",
        "<sip:101@phone.example>;q=0.1",
    )
    for nat, destinations in where.items():
        account = ExtensionAccount(extension="101", password="x", nat=nat)  # type: ignore[arg-type]
        bench = Bench(account)
        for contact in contacts:
            bench.register(account, contact)
        assert [target.destination for target in bench.registrations.targets("101", 0.0)] == destinations


def test_rfc3261_19_1_1_no_headers_nor_method_in_the_request_uri() -> None:
    bench = Bench()
    bench.register(contact="<sip:101@192.0.2.9:5060;method=BYE;x=1?Route=evil>")
    (target,) = bench.registrations.targets("101", 0.0)
    assert target.uri == "sip:101@192.0.2.9:5060;x=1"


def test_the_keep_alive_follows_the_bindings() -> None:
    bench = Bench()
    bench.register()
    place = ("101", "sip:101@192.0.2.9:5060")
    assert bench.watched() == [place]
    (ping,) = bench.contacts.due(60.0)
    assert (ping.place, ping.target.uri, ping.target.destination) == (place, "sip:101@192.0.2.9:5060", PHONE)

    bench.contacts.failed(ping.id, 92.0)
    for change in bench.contacts.changes:
        bench.registrations.health(change.place, change.reachable)
    assert bench.registrations.targets("101", 92.0) == []
    assert bench.registrations.status(92.0, bench.contacts)[0].reachable is False

    # it registers again: called again, and asked at once
    bench.register(now=93.0)
    assert bench.registrations.targets("101", 93.0) != []
    bench.watched(93.0)
    (ping,) = bench.contacts.due(93.0)
    bench.contacts.answered(ping.id, 200, 0.025, 93.1)
    assert bench.registrations.status(94.0, bench.contacts)[0].rtt == 0.025

    bench.register(contact="<sip:101@192.0.2.9:5060>;expires=0", now=95.0)
    assert bench.watched(95.0) == []


def test_expired_contacts_are_not_asked_any_more() -> None:
    bench = Bench()
    bench.register()
    bench.watched()
    assert bench.registrations.next_deadline() == 3600.0
    bench.registrations.expire(3600.0)
    assert bench.watched(3600.0) == []
    assert bench.registrations.changes[-1] == BindingRemoved("101", "sip:101@192.0.2.9:5060")
    assert len(bench.registrations) == 0


def test_a_lost_connection_takes_its_contacts_out() -> None:
    bench = Bench()
    bench.register(contact="<sip:101@10.0.0.7;transport=tcp>", flow=TCP)
    assert len(bench.watched()) == 1
    bench.registrations.connection_lost(TCP, 1.0)
    assert bench.registrations.targets("101", 1.0) == []
    assert bench.watched(1.0) == []
    bench.register(contact="<sip:101@10.0.0.7;transport=tcp>", flow=TCP._replace(connection=8), now=2.0)
    assert len(bench.registrations.targets("101", 2.0)) == 1
    assert len(bench.watched(2.0)) == 1


def test_restart() -> None:
    bench = Bench()
    bench.register()
    bench.register(BOB, "<sip:102@192.0.2.9>")
    stored = [change.record for change in bench.registrations.changes if isinstance(change, BindingStored)]
    assert bench.registrations.snapshot(0.0, WALL) == stored
    after = Bench(ALICE)
    assert after.registrations.restore(stored, 500.0, WALL + 60.0) == 1
    assert [target.uri for target in after.registrations.targets("101", 500.0)] == ["sip:101@192.0.2.9:5060"]
    # an extension that is gone meanwhile is taken out of the store
    assert after.registrations.changes == [BindingRemoved("102", "sip:102@192.0.2.9")]
    assert after.watched(500.0) == [("101", "sip:101@192.0.2.9:5060")]
    # and its phone can't be locked out by its neighbours
    for number in range(40):
        after.register(ExtensionAccount(extension=f"x{number}", password="guess"), now=501.0)
    assert after.register(now=502.0).status == 200


def test_reload_drops_those_who_are_gone_or_have_another_password() -> None:
    bench = Bench()
    assert bench.registrations.restore([], 0.0, WALL) == 0
    bench.register()
    bench.register(BOB, "<sip:102@192.0.2.9>")
    bench.watched()
    bench.admission.configure([ALICE, BOB], [])
    bench.registrations.configure(RegistrarSettings(max_expires=600))
    assert len(bench.registrations) == 2
    bench.admission.configure([ExtensionAccount(extension="101", password="new")], [])
    bench.registrations.configure(RegistrarSettings())
    assert len(bench.registrations) == 0
    assert bench.watched() == []


def test_status_lines() -> None:
    bench = Bench()
    bench.register(contact="<sip:101@10.0.0.5>;q=0.5", extra=("User-Agent: Phone/1.0",), now=100.0)
    (line,) = bench.registrations.status(160.0)
    assert (line.extension, line.contact, line.source, line.transport) == (
        "101",
        "sip:101@10.0.0.5",
        "192.0.2.9:5060",
        "udp",
    )
    assert (line.nat, line.reachable, line.rtt, line.expires_in, line.q) == (True, True, None, 3540.0, 0.5)
    assert line.user_agent == "Phone/1.0"


def test_a_register_that_cannot_be_read_is_answered() -> None:
    bench = Bench()
    bench.register()
    response = bench.register(contact="<sip:")
    assert response.status == 400
    assert len(bench.registrations) == 1
