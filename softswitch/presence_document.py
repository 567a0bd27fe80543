"""RFC 3863 (PIDF) with RFC 4480's activities: `application/pidf+xml`, the body of the event package `presence`.

`open` is an extension that can be called; one that is not registered, or whose phones do not answer, is `closed`. Who
talks is `on-the-phone`. RFC 4480 has no word for "do not disturb": that is `busy`, with a note in plain words.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from softswitch.dialog_info import uri_of
from softswitch.presence import ResourceState

PACKAGE: Final = "presence"
CONTENT_TYPE: Final = "application/pidf+xml"

_NOTES: Final = {
    "talking": "On the phone",
    "held": "On the phone",
    "ringing": "Ringing",
    "calling": "Calling",
    "unreachable": "Not registered",
    "do not disturb": "Do not disturb",
}


def write(resource: str, host: str, state: ResourceState) -> bytes:
    """The document. `host`: of the resource's URI, as it stands there."""
    entity = uri_of(resource, host)
    activities = []
    if state.do_not_disturb:
        activities.append("<rpid:busy/>")
    if state.talking:
        activities.append("<rpid:on-the-phone/>")
    note = _NOTES.get(state.summary, "")
    # The schema of RFC 3863 4.4 has tuples first, then notes, then what other namespaces bring.
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"'
        f' xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity={quoteattr(entity)}>\n'
        f'<tuple id="line"><status><basic>{"open" if state.reachable else "closed"}</basic></status>'
        f"<contact>{escape(entity)}</contact></tuple>\n"
        + (f"<note>{escape(note)}</note>\n" if note else "")
        + (f'<dm:person id="user"><rpid:activities>{"".join(activities)}</rpid:activities></dm:person>\n')
        * bool(activities)
        + "</presence>\n"
    ).encode("utf-8", "replace")
