"""Which session an INVITE with Replaces or Join means (RFC 3891 3, RFC 3911 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sip.errors import SipError
from sip.invite import InviteSession
from sip.session_core import State

if TYPE_CHECKING:
    from sip.dialog import DialogId
    from sip.transfer_headers import DialogName, Join, Replaces


def match_dialog(
    dialogs: Mapping[DialogId, InviteSession], replaces: Replaces | None, join: Join | None
) -> InviteSession | None:
    """The session of the dialog that is named; None when neither names one, or there is none.

    SipError where the RFCs leave no choice. Whether the sender may do it is not looked at.
    """
    if replaces is not None and join is not None:
        # RFC 3891 3: 400 for Replaces beside a header of contradictory semantics; RFC 3911 4 names these two.
        raise SipError(400, "Replaces and Join together")
    name: DialogName | None = join if replaces is None else replaces
    if name is None:
        return None
    session = find_dialog(dialogs, name)
    if session is None:
        return None
    if session.over:
        # RFC 3891 3, RFC 3911 4: a dialog that has already terminated is declined with 603.
        raise SipError(603, "Decline")
    early = session.state is State.CALLING or session.state is State.EARLY
    if early and session.role == "uas":
        # RFC 3891 3, RFC 3911 4: an early dialog that was not initiated by this UA counts as none: 481.
        raise SipError(481, "Call/Transaction Does Not Exist")
    if replaces is not None and replaces.early_only and not early:
        # RFC 3891 3: early-only against a confirmed dialog is 486, whatever the dialog is of.
        raise SipError(486, "Busy Here")
    return session


def find_dialog(dialogs: Mapping[DialogId, InviteSession], name: DialogName) -> InviteSession | None:
    """The session of a dialog as its peer's peer names it, whatever has become of it; None where there is none.

    RFC 3891 3: to-tag is compared with the local tag, from-tag with the remote one.
    """
    session = dialogs.get((name.call_id, name.to_tag, name.from_tag))
    if session is None and name.from_tag == "0":
        # RFC 3891 6.1: a tag of zero matches none too, that of a peer of RFC 2543; ours is never missing
        session = dialogs.get((name.call_id, name.to_tag, ""))
    return session
