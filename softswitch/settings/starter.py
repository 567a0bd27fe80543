"""A complete configuration from a few answers: what `softswitch init` writes.

Two trunks, where they are asked for: one matched by its source addresses, whose calls reach the same routes
as the extensions', and one for each gateway that a route names.
"""

from __future__ import annotations

from typing import NamedTuple

from softswitch.dialplan.patterns import read_pattern
from softswitch.settings.fields import (
    AddressRule,
    HostPort,
    PortRange,
    read_address_rule,
    read_host_port,
    read_listen,
    read_port_range,
)
from softswitch.settings.schema import MODELINE

MAX_STARTER_EXTENSIONS = 19_999
# SIPp sends the audio of all its calls from one address; each of them then needs a port pair of its own.
DEFAULT_RTP_PORTS = "10000-19999"

SIPP_USERS_FILE = "sipp-users.csv"
GITIGNORE = f"# Passwords and run-time state.\nsecrets.yaml\n{SIPP_USERS_FILE}\nvar/\n"


class StarterRoute(NamedTuple):
    """Numbers matching `pattern` go to `gateway`."""

    pattern: str
    gateway: HostPort


class Plan(NamedTuple):
    """What to write. `extensions` are the numbers, rising and without gaps."""

    extensions: list[str]
    sip: HostPort
    rtp_ports: PortRange
    trunks: tuple[AddressRule, ...]
    routes: tuple[StarterRoute, ...]


def read_plan(extensions: int, sip: str, rtp_ports: str, trunks: list[str], routes: list[str]) -> Plan:
    """The answers as given on the command line; ValueError names the option that is wrong and what was
    expected."""
    if not 1 <= extensions <= MAX_STARTER_EXTENSIONS:
        raise ValueError(f"--extensions {extensions}: expected 1 to {MAX_STARTER_EXTENSIONS}")
    try:
        listen = read_listen(f"udp:{sip}")
    except ValueError:
        raise ValueError(f"--sip {sip!r}: expected ADDRESS or ADDRESS:PORT, such as 192.0.2.1:5060") from None
    first = 101 if extensions <= 99 else 1001 if extensions <= 999 else 10001
    try:
        ports = read_port_range(rtp_ports)
    except ValueError as problem:
        raise ValueError(f"--rtp-ports: {problem}") from None
    return Plan(
        [str(number) for number in range(first, first + extensions)],
        HostPort(listen.host, listen.port),
        ports,
        tuple(_read_trunk(text) for text in dict.fromkeys(trunks)),
        tuple(_read_route(text) for text in dict.fromkeys(routes)),
    )


def _read_trunk(text: str) -> AddressRule:
    try:
        return read_address_rule(text)
    except ValueError as problem:
        raise ValueError(f"--trunk {text!r}: {problem}; expected ADDRESS, ADDRESS/LENGTH or ADDRESS:PORT") from None


def _read_route(text: str) -> StarterRoute:
    pattern, equals, gateway = text.rpartition("=")
    if not equals:
        raise ValueError(f"--route {text!r}: expected PATTERN=ADDRESS:PORT, such as _9.=192.0.2.1:5060")
    try:
        read_pattern(pattern)
        return StarterRoute(pattern, read_host_port(gateway))
    except ValueError as problem:
        raise ValueError(f"--route {text!r}: {problem}") from None


def files(plan: Plan, passwords: dict[str, str]) -> dict[str, str]:
    """The text of each file by its name. Those with passwords in them are `secrets.yaml` and
    `sipp-users.csv`."""
    secrets = "".join(f'    "{number}": "{passwords[number]}"\n' for number in plan.extensions)
    return {
        "softswitch.yaml": _switch(plan),
        "extensions.yaml": _extensions(plan),
        "trunks.yaml": _trunks(plan),
        "dialplan.yaml": _dialplan(plan),
        "secrets.yaml": "# Passwords in clear text: keep this file from others' eyes.\n"
        f"secrets:\n  extensions:\n{secrets}",
        SIPP_USERS_FILE: sipp_users(plan, passwords),
        ".gitignore": GITIGNORE,
    }


def sipp_users(plan: Plan, passwords: dict[str, str]) -> str:
    """SIPp's injection file: field0 user name, field1 the digest answer, field2 domain."""
    domain = reachable_host(plan.sip.host, "::1" if ":" in plan.sip.host else "127.0.0.1")
    lines = [
        f"{number};[authentication username={number} password={passwords[number]}];{domain}"
        for number in plan.extensions
    ]
    return "SEQUENTIAL\n" + "\n".join(lines) + "\n"


def reachable_host(listening: str, instead: str) -> str:
    """The host to put into a URI, in brackets where it is IPv6: a wildcard address is no destination."""
    host = instead if listening in ("0.0.0.0", "::") else listening
    return f"[{host}]" if ":" in host else host


def _address(where: HostPort) -> str:
    host = f"[{where.host}]" if ":" in where.host else where.host
    return host if where.port is None else f"{host}:{where.port}"


def _switch(plan: Plan) -> str:
    return f"""{MODELINE}
sip:
  listen:
    - udp:{_address(plan.sip)}
    - tcp:{_address(plan.sip)}
  # SIPp and baresip 1.0 give up at a challenge that is not MD5. Without this line SHA-256 is offered first.
  algorithms: [MD5]
  limits:
    # A load tester sends everything from one address. Take this line away before strangers can reach the switch.
    requests_per_source: none

media:
  rtp_ports: {plan.rtp_ports.low}-{plan.rtp_ports.high}
"""


def _extensions(plan: Plan) -> str:
    first, last = plan.extensions[0], plan.extensions[-1]
    key = f'"{first}"' if first == last else f"{first}-{last}"
    return f"""{MODELINE}#
# Passwords are in secrets.yaml.

extensions:
  {key}:
    name: Extension {{number}}
    context: internal
"""


def _gateways(plan: Plan) -> dict[HostPort, str]:
    """A trunk name for each gateway that a route leads to."""
    gateways = dict.fromkeys(route.gateway for route in plan.routes)
    return {gateway: f"outside-{n}" if n > 1 else "outside" for n, gateway in enumerate(gateways, 1)}


def _trunks(plan: Plan) -> str:
    text = MODELINE + "\ntrunks:\n"
    if plan.trunks:
        text += (
            "  # Calls from these addresses are taken without a password and may dial whatever extensions may dial.\n"
        )
        text += "  peers:\n    context: from-trunk\n    options_interval: none\n    inbound:\n      addresses:\n"
        text += "".join(f'        - "{rule}"\n' for rule in plan.trunks)
    for gateway, name in _gateways(plan).items():
        text += f'  {name}:\n    gateways:\n      - "{_address(gateway)}"\n'
        text += "    options_interval: none   # a load tester may not expect OPTIONS; 60s shows whether it is alive\n"
    return text


def _dialplan(plan: Plan) -> str:
    pattern = "_" + plan.extensions[0][0] + "X" * (len(plan.extensions[0]) - 1)
    text = f"{MODELINE}\ndialplan:\n"
    if plan.trunks:
        text += "  from-trunk:\n    include: internal\n\n"
    text += "  internal:\n    routes:\n"
    for route in plan.routes:
        quoted = route.pattern.replace("\\", "\\\\").replace('"', '\\"')
        text += f'      - to: "{quoted}"\n        dial: {{trunk: {_gateways(plan)[route.gateway]}}}\n'
    return (
        text
        + f"""      - name: extensions
        to: {pattern}
        dial: "{{number}}"
      - name: echo test
        to: "*43"
        answer_and_echo: true
"""
    )
