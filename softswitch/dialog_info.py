"""RFC 4235: `application/dialog-info+xml`, the body of the event package `dialog`. Full state always, so that a watcher
that has missed a document needs no other than the next.

    <dialog-info version="3" state="full" entity="sip:102@192.0.2.1">
      <dialog id="17" call-id="..." local-tag="..." remote-tag="..." direction="recipient">
        <state>early</state> <local>...</local> <remote>...</remote>

Call-ID and tags are told of what rings: whoever picks it up by an INVITE with Replaces (RFC 3891) needs them, and of a
call that is talked on nobody does. An idle resource is told of by one dialog that is terminated, since there are
telephones that leave the lamp as it is when they find no dialog at all.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from sip.uri import escape_user
from softswitch.caller_identity import shown_name
from softswitch.presence import Line, ResourceState
from softswitch.vocabulary import Party

PACKAGE: Final = "dialog"
CONTENT_TYPE: Final = "application/dialog-info+xml"

MAX_LINES: Final = 24
"""Dialogs in one document, those that ring first: no telephone shows more of one number, and a datagram has an end."""

ANONYMOUS: Final = "sip:anonymous@anonymous.invalid"
"""RFC 3323 4.1.1.3."""


def write(resource: str, host: str, version: int, state: ResourceState, parties: bool) -> bytes:
    """The document. `host`: as it stands in a URI, of the resource's and of all others. `parties`: whether the watcher
    may see who is at the other end; whoever withholds that is not told in any case."""
    entity = uri_of(resource, host)
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="full"'
        f" entity={quoteattr(entity)}>\n"
    )
    lines = sorted(state.lines, key=lambda line: line.phase == "confirmed")[:MAX_LINES]
    dialogs = [_dialog(line, entity, host, parties) for line in lines]
    if not dialogs:
        dialogs.append(f"<dialog id={_attribute(resource)}><state>terminated</state></dialog>\n")
    return (head + "".join(dialogs) + "</dialog-info>\n").encode("utf-8", "replace")


def uri_of(number: str, host: str) -> str:
    """The address of a number at us."""
    return f"sip:{escape_user(number)}@{host}"


def _dialog(line: Line, entity: str, host: str, parties: bool) -> str:
    attributes = f"id={_attribute(line.id)}"
    if line.phase != "confirmed":
        named = (("call-id", line.call_id), ("local-tag", line.local_tag), ("remote-tag", line.remote_tag))
        attributes += "".join([f" {name}={_attribute(value)}" for name, value in named if value])
    attributes += f' direction="{line.direction}"'
    # RFC 4235 4.1.6.2 and RFC 3840: a phone that holds renders nothing.
    rendering = '<param pname="+sip.rendering" pval="no"/>' if line.held else ""
    local = f"<local><identity>{escape(entity)}</identity><target uri={_attribute(entity)}>{rendering}</target></local>"
    remote = _remote(line.remote, host) if parties else ""
    return f"<dialog {attributes}><state>{line.phase}</state>{local}{remote}</dialog>\n"


def _remote(party: Party, host: str) -> str:
    if party.withheld or not party.number:
        uri, display = ANONYMOUS, ""
    else:
        uri, name = uri_of(party.number, host), shown_name(party.name)
        display = f" display={_attribute(name)}" if name else ""
    return f"<remote><identity{display}>{escape(uri)}</identity><target uri={_attribute(uri)}/></remote>"


def _attribute(value: str) -> str:
    return quoteattr(_legal(value))


def _legal(text: str) -> str:
    """XML 1.0 2.2: control characters may stand nowhere in a document, not even escaped."""
    return text if text.isprintable() else "".join([each if each.isprintable() else "?" for each in text])
