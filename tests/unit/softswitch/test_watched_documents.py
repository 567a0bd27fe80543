"""What watchers are told, read back: RFC 4235, RFC 3863 with RFC 4480, RFC 3842."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch import dialog_info, message_summary, presence_document
from softswitch.features import FeatureChange
from softswitch.message_summary import Counts, MailboxRefused, SetMailboxes
from softswitch.presence import Line, ResourceState
from softswitch.vocabulary import Party

NS = "{urn:ietf:params:xml:ns:dialog-info}"
PIDF = "{urn:ietf:params:xml:ns:pidf}"
PERSON = "{urn:ietf:params:xml:ns:pidf:data-model}person"
RPID = "{urn:ietf:params:xml:ns:pidf:rpid}"
HOST = "192.0.2.1"

RINGING = Line("7", "early", "recipient", Party("0301234", 'A "B" <&>'), "id@x", "theirs", "ours")


def dialog_document(*lines: Line, parties: bool = True, version: int = 3) -> ElementTree.Element:
    return ElementTree.fromstring(dialog_info.write("102", HOST, version, ResourceState(lines), parties))


def check_dialog_info(document: ElementTree.Element) -> None:
    """The schema of RFC 4235 4.3, as far as it concerns what we write."""
    assert document.tag == f"{NS}dialog-info"
    assert set(document.attrib) == {"version", "state", "entity"}
    assert re.fullmatch(r"[0-9]+", document.attrib["version"])
    assert document.attrib["state"] in ("full", "partial")
    for dialog in document:
        assert dialog.tag == f"{NS}dialog"
        assert dialog.get("id")
        assert set(dialog.attrib) <= {"id", "call-id", "local-tag", "remote-tag", "direction"}
        assert dialog.get("direction") in (None, "initiator", "recipient")
        order = [child.tag.removeprefix(NS) for child in dialog]
        assert order in (["state"], ["state", "local"], ["state", "local", "remote"])
        assert dialog[0].text in ("trying", "proceeding", "early", "confirmed", "terminated")
        for participant in dialog[1:]:
            assert [child.tag.removeprefix(NS) for child in participant] == ["identity", "target"]
            assert set(participant[0].attrib) <= {"display"}
            assert set(participant[1].attrib) == {"uri"}
            for param in participant[1]:
                assert param.tag == f"{NS}param"
                assert set(param.attrib) == {"pname", "pval"}


def test_a_dialog_that_rings() -> None:
    document = dialog_document(RINGING)
    check_dialog_info(document)
    assert document.attrib == {"version": "3", "state": "full", "entity": f"sip:102@{HOST}"}
    [dialog] = document
    assert dialog.attrib == {
        "id": "7",
        "call-id": "id@x",
        "local-tag": "theirs",
        "remote-tag": "ours",
        "direction": "recipient",
    }
    identity = dialog.find(f"{NS}remote/{NS}identity")
    assert identity is not None
    assert (identity.text, identity.get("display")) == (f"sip:0301234@{HOST}", 'A "B" <&>')
    assert [each.text for each in dialog.findall(f"{NS}local/{NS}identity")] == [f"sip:102@{HOST}"]


def test_idle_is_one_dialog_that_has_ended() -> None:
    document = dialog_document()
    check_dialog_info(document)
    assert [(dialog.get("id"), dialog[0].text) for dialog in document] == [("102", "terminated")]


def test_what_is_not_told() -> None:
    """No party where the watcher may not see it or it withholds its number; no tags of an established call."""
    withheld = Line("7", "confirmed", "recipient", Party("0301234", "Ann", withheld=True), "id", "theirs", "ours")
    nobody = Line("8", "trying", "initiator", Party(""))
    document = dialog_document(withheld, nobody)
    check_dialog_info(document)
    text = ElementTree.tostring(document, "unicode")
    assert "0301234" not in text
    assert "Ann" not in text
    assert text.count("anonymous.invalid") == 4
    # What rings comes first
    assert [dialog.attrib for dialog in document] == [
        {"id": "8", "direction": "initiator"},
        {"id": "7", "direction": "recipient"},
    ]
    assert not dialog_document(RINGING, parties=False).findall(f".//{NS}remote")


def test_a_phone_that_holds_renders_nothing() -> None:
    document = dialog_document(Line("7", "confirmed", "initiator", Party("103"), held=True))
    check_dialog_info(document)
    assert [each.attrib for each in document.iter(f"{NS}param")] == [{"pname": "+sip.rendering", "pval": "no"}]


def test_so_many_dialogs_and_no_more() -> None:
    lines = [Line(str(each), "confirmed", "recipient", Party("1")) for each in range(100)]
    document = dialog_document(*lines, RINGING)
    assert len(document) == dialog_info.MAX_LINES
    assert document[0].get("id") == "7"


@given(number=st.text(max_size=40), name=st.text(max_size=40), call_id=st.text(max_size=40), resource=st.text())
def test_whatever_a_peer_sends_the_document_can_be_read(number: str, name: str, call_id: str, resource: str) -> None:
    line = Line("1", "early", "recipient", Party(number, name), call_id, call_id, call_id)
    document = ElementTree.fromstring(dialog_info.write(resource, HOST, 0, ResourceState((line,)), True))
    check_dialog_info(document)
    assert len(document) == 1
    ElementTree.fromstring(presence_document.write(resource, HOST, ResourceState((line,))))


@pytest.mark.parametrize(
    ("state", "basic", "activities", "note"),
    [
        (ResourceState(), "open", [], None),
        (ResourceState(reachable=False), "closed", [], "Not registered"),
        (ResourceState(do_not_disturb=True), "open", ["busy"], "Do not disturb"),
        (ResourceState((RINGING,)), "open", [], "Ringing"),
        (
            ResourceState((Line("1", "confirmed", "initiator", Party("1")),), do_not_disturb=True),
            "open",
            ["busy", "on-the-phone"],
            "On the phone",
        ),
    ],
)
def test_presence(state: ResourceState, basic: str, activities: list[str], note: str | None) -> None:
    """RFC 3863 4.4: tuples with an id and a status, then notes, then elements of other namespaces."""
    document = ElementTree.fromstring(presence_document.write("102", HOST, state))
    assert (document.tag, document.attrib) == (f"{PIDF}presence", {"entity": f"sip:102@{HOST}"})
    assert [each.tag for each in document] == [
        f"{PIDF}tuple",
        *[f"{PIDF}note"] * (note is not None),
        *[PERSON] * bool(activities),
    ]
    assert re.fullmatch("[A-Za-z_][A-Za-z0-9_.-]*", document[0].attrib["id"])  # xs:ID
    assert document.findtext(f"{PIDF}tuple/{PIDF}status/{PIDF}basic") == basic
    assert document.findtext(f"{PIDF}note") == note
    assert [each.tag for each in document.findall(f"{PERSON}/{RPID}activities/*")] == [RPID + a for a in activities]


@pytest.mark.parametrize(("counts", "waiting"), [(Counts(0, 4), "no"), (Counts(2, 0), "yes")])
def test_message_summary(counts: Counts, waiting: str) -> None:
    """RFC 3842 5.2: message-summary = msg-status-line CRLF [msg-account CRLF] [*(msg-summary-line CRLF)...]"""
    body = message_summary.write("101", HOST, counts).decode()
    assert body.split("\r\n") == [
        f"Messages-Waiting: {waiting}",
        f"Message-Account: sip:101@{HOST}",
        f"Voice-Message: {counts.new}/{counts.old} (0/0)",
        "",
    ]


def test_mailboxes() -> None:
    mailboxes = SetMailboxes({"101": 0, "102": 0}.keys())
    mailboxes.set("101", 0, 0)
    assert mailboxes.changes == []
    mailboxes.set("101", 2, 1)
    mailboxes.set("101", 2, 1)
    mailboxes.set("102", 1, 0)
    assert mailboxes.changes == [FeatureChange("101", "mailbox", "2/1"), FeatureChange("102", "mailbox", "1/0")]
    mailboxes.changes.clear()
    mailboxes.configure(["101"])
    assert mailboxes.changes == [FeatureChange("102", "mailbox", None)]
    assert (mailboxes.counts("101"), mailboxes.counts("102")) == (Counts(2, 1), Counts())
    for bad in (-1, 10_000):
        with pytest.raises(MailboxRefused, match="expected 0 to 9999"):
            mailboxes.set("101", bad, 0)
    with pytest.raises(MailboxRefused, match="no extension '102'"):
        mailboxes.set("102", 1, 1)


def test_mailboxes_restored() -> None:
    mailboxes = SetMailboxes(["101", "102"])
    mailboxes.restore(
        [FeatureChange(each, "mailbox", value) for each, value in (("101", "3/4"), ("102", "x"), ("9", "1/1"))]
    )
    assert mailboxes.counts("101") == Counts(3, 4)
    assert [(each.extension, each.value) for each in mailboxes.changes] == [("102", None), ("9", None)]
