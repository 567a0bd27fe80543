"""Which transaction a request belongs to: RFC 3261 section 17.2.3, for peers of RFC 3261 and of RFC 2543.

A key is one string, so that what lingers keeps one small object and not the parts of a message. The parts are
joined by a line end, which none of them can hold.

Responses are simpler (17.1.3): the branch of the top Via, which we made, and the method of CSeq; see `Stack`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sip.effects import TRANSPORTS
from sip.ids import MAGIC_COOKIE

if TYPE_CHECKING:
    from sip.headers import Via
    from sip.message import Request

# RFC 3261 8.1.1.7: the "magic cookie". Tokens are compared without regard to case (7.3.1).
MAGIC: Final = MAGIC_COOKIE.lower()

_DEFAULT_PORTS: Final = {transport.via: transport.default_port for transport in TRANSPORTS.values()}


def has_magic(via: Via) -> bool:
    """Whether the branch identifies the transaction.

    RFC 4475 3.1.2.17 (badbranch): the cookie with nothing after it identifies nothing, whatever it promises;
    such a request is matched as those of RFC 2543 are.
    """
    branch = via.branch
    return len(branch) > len(MAGIC) and (branch.startswith(MAGIC_COOKIE) or branch[: len(MAGIC)].lower() == MAGIC)


def server_key(request: Request, method: str | None = None) -> str:
    """The key of the transaction that `request` begins or repeats; of ACK and CANCEL with `method` "INVITE": acts on.

    17.2.3: "1. the branch parameter in the request is the same as the one in the top Via header field of the
    request that created the transaction, and 2. the sent-by value in the top Via of the request is equal to
    the one in the request that created the transaction, and 3. the method of the request matches the one that
    created the transaction, except for ACK, where the method of the request that created the transaction is
    INVITE."

    9.2 for CANCEL: the matching procedures are applied "assuming the request method is anything but CANCEL or
    ACK".
    """
    via = request.via
    if has_magic(via):
        port = via.port or _DEFAULT_PORTS.get(via.transport, 5060)
        return f"{via.branch}\n{via.host}\n{port}\n".lower() + (method or request.method)
    return _old_key(request, request.to_tag, method or request.method)


def ack_keys(request: Request) -> tuple[str, ...]:
    """Keys under which the INVITE of an ACK may be found, likeliest first.

    Of RFC 2543 peers the ACK has the To tag of our response, while the INVITE had none, or the dialog's in a
    re-INVITE. For the first the caller must compare the tag: 17.2.3: "the To tag of the ACK matches the To
    tag of the response sent by the server transaction".
    """
    if has_magic(request.via):
        return (server_key(request, "INVITE"),)
    return (_old_key(request, "", "INVITE"), _old_key(request, request.to_tag, "INVITE"))


def merge_key(request: Request) -> str:
    """What a request that came by two ways has in common (8.2.2.2): From tag, Call-ID and CSeq."""
    cseq = request.cseq
    return f"{request.from_tag}\n{request.call_id}\n{cseq.number}\n{cseq.method}"


def _old_key(request: Request, to_tag: str, method: str) -> str:
    # 17.2.3: "The INVITE request matches a transaction if the Request-URI, To tag, From tag, Call-ID, CSeq,
    # and top Via header field match those of the INVITE request which created the transaction." The Via
    # without what we ourselves wrote into it (received, and a value of rport).
    via = request.via
    port = via.port or _DEFAULT_PORTS.get(via.transport, 5060)
    sent_by = f"{via.transport} {via.host.lower()} {port} {via.branch}"
    return f"{request.uri}\n{to_tag}\n{request.from_tag}\n{request.call_id}\n{request.cseq.number}\n{sent_by}\n{method}"
