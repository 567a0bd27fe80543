"""Which scenarios of `sipp_scenarios/` meet which across the switch, and what the switch is told for it.

All cases run at the same time against one switch, each with numbers, ports and a trunk of its own, so that the whole
takes no longer than the slowest (the session refresh, 50 s).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness.capture import Capture
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, Switch

CALLERS, CALLED, PHONES, STRANGER = "127.0.0.21", "127.0.0.31", "127.0.0.51", "127.0.0.99"


@dataclass(frozen=True)
class Case:
    """A caller's scenario, and those of the called side: one gateway of the case's trunk each, tried in this order."""

    uac: str
    uas: tuple[str, ...] = ()
    transport: str = "udp"
    called_transport: str = "udp"
    caller_host: str = CALLERS
    trunk: str = ""  # further YAML of the trunk
    number: str = ""  # dialled; by default that of the case's own trunk
    users: tuple[str, ...] = ()  # extensions of the users file
    password: str = ""  # a wrong one
    options: tuple[str, ...] = ()
    receive_timeout: float = 12.0
    seconds: float = 60.0
    untouched: tuple[str, ...] = ()  # gateways that must not be called
    repeated: tuple[str, int] = ("", 0)  # a line that the caller must have received at least so often
    called_repeated: tuple[str, int] = ("", 0)  # the same of the called side
    record: tuple[str, str] | None = ("16", "caller")  # cause and ended_by of the call record; None: there is none

    def __str__(self) -> str:
        words = [self.uac, *self.uas]
        if self.transport == "tcp" or self.called_transport == "tcp":
            words.append(f"{self.transport}-{self.called_transport}")
        if self.password:
            words.append("wrong" if self.users[0] != "199" else "unknown")
        return "+".join(words)


# Between the starts of two cases, lest a hundred processes that start at once delay each other past T1 (0.5 s).
STAGGER = 0.1
ONE_SECOND = ("-d", "1000")
CASES = (
    # those that take long begin first
    Case("uac_session_refreshed", ("uas_talk",), receive_timeout=60, seconds=80),
    Case(
        "uac_no_ack",
        ("uas_call",),
        receive_timeout=45,
        seconds=70,
        repeated=("SIP/2.0 200 OK", 9),
        record=("102", "caller"),
    ),
    Case("uac_hold_hanging", ("uas_hanging_reinvite",), receive_timeout=45, seconds=70),
    Case("uac_call", ("dead", "uas_call"), options=ONE_SECOND, receive_timeout=45, seconds=70),
    # calls
    Case("uac_call", ("uas_call",), options=ONE_SECOND),
    Case("uac_call", ("uas_call",), transport="tcp", options=ONE_SECOND),
    Case("uac_call", ("uas_call",), called_transport="tcp", options=ONE_SECOND),
    Case("uac_call", ("uas_late_offer",), options=ONE_SECOND),
    Case("uac_call", ("uas_ack_again",), options=ONE_SECOND, called_repeated=("CSeq: [0-9]+ ACK", 2)),
    Case("uac_call_bye_by_called", ("uas_bye",), record=("16", "callee")),
    Case("uac_call_bye_by_called", ("uas_bye",), transport="tcp", called_transport="tcp", record=("16", "callee")),
    Case("uac_call_auth", ("uas_call",), caller_host=PHONES, users=("101",), options=ONE_SECOND),
    Case("uac_call_auth", ("uas_call",), caller_host=PHONES, users=("101",), transport="tcp", options=ONE_SECOND),
    # feature codes, PINs
    Case("uac_code", caller_host=PHONES, users=("106",), number="*78", record=("16", "switch")),
    Case("uac_code", caller_host=PHONES, users=("106",), number="*73", transport="tcp", record=("16", "switch")),
    Case("uac_pin", ("uas_call",), caller_host=PHONES, users=("107",), options=ONE_SECOND),
    # early media, reliable provisionals
    Case("uac_early_media", ("uas_early_media",)),
    Case("uac_prack", ("uas_prack",)),
    Case("uac_prack", ("uas_call",)),
    Case("uac_call", ("uas_prack",), options=ONE_SECOND),
    # changes in the call
    Case("uac_hold", ("uas_hold",)),
    Case("uac_hold", ("uas_hold",), transport="tcp", called_transport="tcp"),
    Case("uac_held", ("uas_reinvite",)),
    Case("uac_late_offer", ("uas_late_offer",)),
    Case("uac_late_offer", ("uas_call",)),
    Case("uac_late_reinvite", ("uas_talk",)),
    Case("uac_update", ("uas_talk",)),
    Case("uac_update_early", ("uas_early_update",)),
    Case("uac_reinvite", ("uas_talk",)),
    Case("uac_reinvite", ("uas_glare",)),
    Case("uac_glare", ("uas_reinvite",)),
    # given up
    Case("uac_cancel_at_once", ("uas_slow",), options=("-default_behaviors", "all,-abortunexp")),
    Case("uac_cancel_trying", ("uas_slow",)),
    Case("uac_cancel_ringing", ("uas_cancelled",)),
    Case("uac_cancel_ringing", ("uas_cancelled",), transport="tcp", called_transport="tcp"),
    Case("uac_cancel_ringing", ("uas_cancel_crossed",)),
    Case("uac_cancel_answered", ("uas_call",)),
    # not answered
    Case("uac_busy", ("uas_busy",), record=("17", "switch")),
    Case("uac_no_answer", ("uas_cancelled",), trunk="ring_timeout: 2s", record=("19", "switch")),
    Case("uac_not_found", number="77777", record=("3", "switch")),
    Case("uac_no_codec", untouched=("uas_call",), record=None),
    Case("uac_forbidden", caller_host=STRANGER, untouched=("uas_call",), record=None),
    # failover
    Case("uac_call", ("uas_503", "uas_call"), options=ONE_SECOND),
    # OPTIONS
    Case("uac_options"),
    Case("uac_options", transport="tcp"),
    # session timers
    Case("uac_session_timer", ("uas_talk",)),
    Case("uac_session_too_small", untouched=("uas_call",), record=None),
    # registration
    Case("register", caller_host=PHONES, users=("102",)),
    Case("register", caller_host=PHONES, users=("103",), transport="tcp"),
    Case("register_star", caller_host=PHONES, users=("104",)),
    Case("register_brief", caller_host=PHONES, users=("104",)),
    Case("register_wrong", caller_host="127.0.0.52", users=("105",), password="not-the-password"),
    Case("register_wrong", caller_host="127.0.0.53", users=("199",), password="not-the-password"),
)


BY_EXTENSION = frozenset({"uac_call_auth", "uac_code", "uac_pin"})


def _by_extension(index: int) -> bool:
    return CASES[index].uac in BY_EXTENSION


class CaseRuns:
    """The chosen cases against one switch; `result(i)` waits for one and raises what went wrong with it."""

    def __init__(self, directory: Path, chosen: Collection[int]) -> None:
        self._directory = directory
        self._chosen = chosen
        self._errors: dict[int, BaseException] = {}
        self._ports = {i: free_ports(4, CALLED) for i in range(len(CASES))}
        # Extensions dial in the context that `softswitch init` makes.
        routes = [
            f"{self._number(i)}={CALLED}:{self._ports[i]}"
            for i in range(len(CASES))
            if _by_extension(i) and CASES[i].uas
        ]
        self.switch = Switch(directory, extensions=20, routes=routes, extra=self._settings())
        self.capture = Capture(directory / "cases.pcapng", f"port {self.switch.port}")
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(len(CASES))]

    def start(self) -> None:
        self.capture.__enter__()
        self.switch.start()
        for index in sorted(self._chosen):
            self._threads[index].start()
            time.sleep(STAGGER)

    def result(self, index: int) -> None:
        self._threads[index].join(CASES[index].seconds + 60)
        if index in self._errors:
            raise self._errors[index]
        assert not self._threads[index].is_alive(), f"{CASES[index]} never ended"

    def last_answer(self, uac: str) -> list[tuple[str, list[str]]]:
        """Status line and header names of the last message received in each case of this scenario."""
        found = []
        for index in (i for i in self._chosen if CASES[i].uac == uac):
            self._threads[index].join(CASES[index].seconds)
            (log,) = (self._directory / f"case{index}").glob("*.msg")
            message = log.read_text().split("message received")[-1].split("\n\n")[1].split("\n")
            found.append((message[0], [line.partition(":")[0] for line in message[1:]]))
        return found

    def expected_records(self) -> list[tuple[str, str, str]]:
        """(dialled, cause, ended by) of the call records that all cases leave."""
        return sorted(
            (case.number or self._number(i), *case.record)
            for i, case in enumerate(CASES)
            if case.record is not None and not case.uac.startswith(("register", "uac_options"))
        )

    def join(self) -> None:
        """Waits until no case runs any more, however they ended."""
        for index in self._chosen:
            self._threads[index].join(150)

    def _settings(self) -> str:
        trunks = ["  callers:", f"    inbound: {{addresses: [{CALLERS}]}}", "    context: cases"]
        routes = []
        for i, case in enumerate(CASES):
            called = [*case.uas, *case.untouched]
            if not called or _by_extension(i):
                continue
            prefix = "tcp:" if case.called_transport == "tcp" else ""
            places = [
                f"{{host: {CALLED}, port: {self._ports[i] + n}, transport: {prefix[:-1] or 'udp'}, priority: {n}}}"
                for n in range(len(called))
            ]
            trunks += [f"  case{i}:", f"    gateways: [{', '.join(places)}]", "    options_interval: none"]
            trunks += [f"    {case.trunk}"] if case.trunk else []
            routes.append(f'      - {{name: case{i}, to: "{self._number(i)}", dial: {{trunk: case{i}}}}}')
        lines = ["dialplan:", "  cases:", "    routes:", *routes, "trunks:", *trunks]
        guarded = [self._number(i) for i, case in enumerate(CASES) if case.uac == "uac_pin"]
        lines += [
            "feature_codes: {dnd_on: '*78', forward_always_off: '*73'}",
            f"barring: {{classes: {{guarded: {guarded}}}}}",
        ]
        lines += ["extensions: {'107': {pin: '2580', pin_for: guarded}}"]
        return FOR_SIPP + "\n".join(lines).replace("context: internal", "context: cases") + "\n"

    @staticmethod
    def _number(index: int) -> str:
        return f"9{index:03}"

    def _run(self, index: int) -> None:
        started: list[Sipp] = []
        try:
            self._play(index, CASES[index], started)
        except (AssertionError, OSError) as error:
            self._errors[index] = error
        finally:
            for each in started:
                each.kill()

    def _play(self, index: int, case: Case, started: list[Sipp]) -> None:
        directory = self._directory / f"case{index}"
        directory.mkdir()
        called = [
            self._called(directory, index, n, name, case)
            for n, name in enumerate((*case.uas, *case.untouched))
            if name != "dead"
        ]
        started += called
        number = case.number or self._number(index)
        users = self.switch.users_file(*case.users, password=case.password) if case.users else None
        auth = ("-auth_uri", f"{number}@{self.switch.address}") if _by_extension(index) else ()
        caller = Sipp(
            directory,
            case.uac,
            (case.caller_host, free_ports(1, case.caller_host)),
            self.switch.address,
            service=number,
            users=users,
            transport=case.transport,
            media_port=6000 + 4 * index,
            receive_timeout=case.receive_timeout,
            options=(*case.options, *auth),
        )
        started.append(caller)
        caller.finish(case.seconds)
        caller.check_repeated(*case.repeated)
        for n, each in enumerate(called):
            if n < len(case.uas) - case.uas.count("dead"):
                each.finish(15)
                each.check_repeated(*case.called_repeated)
            else:
                assert "INVITE" not in each.messages(), f"{case}: {each.scenario} must not be called"

    def _called(self, directory: Path, index: int, n: int, name: str, case: Case) -> Sipp:
        return Sipp(
            directory,
            name,
            (CALLED, self._ports[index] + n),
            transport=case.called_transport,
            media_port=7000 + 4 * (index * 2 + n),
            receive_timeout=case.seconds,
        )
