"""Paging groups in the dialplan, what `check` says of them, and the headers that have a telephone answer by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from media.audio_commands import Tone
from sip.grammar import TOKEN
from softswitch import auto_answer
from softswitch.cli.check import describe
from softswitch.dialplan.decision import UNALLOCATED, Page, Reject
from softswitch.dialplan.group_models import MAX_PAGED, MAX_TALKING, PagingGroup
from softswitch.dialplan.routing import Dialplan
from softswitch.hunt import MAX_LEGS_AT_ONCE
from softswitch.settings.loader import load
from softswitch.settings.models import Settings

EXTENSIONS = ("101", "102", "103")


def decided(group: str = "office", **paging: Any) -> Any:
    """What 500 leads to."""
    written = Settings.model_validate(
        {"paging": paging, "dialplan": {"internal": {"routes": [{"to": "500", "page": group, "name": "all"}]}}}
    )
    return Dialplan(written.dialplan, EXTENSIONS, paging=written.paging).route("internal", "500", "0301", "")


def test_a_page_with_what_is_set_by_itself() -> None:
    page = decided(office={"members": ["101", "199", "102", "101"]})
    assert page == Page("office", ("101", "102"), False, Tone("beep"), 60.0, 10.0, True, "all")


def test_a_page_with_all_that_can_be_set() -> None:
    page = decided(
        office={
            "members": "103",
            "mode": "two-way",
            "tone": "ringback",
            "timeout": "5m",
            "ring_time": "3s",
            "skip_busy": False,
        }
    )
    assert page == Page("office", ("103",), True, Tone("ringback", seconds=1.0), 300.0, 3.0, False, "all")
    assert decided(office={"members": ["101"], "tone": "none"}).tone is None


@pytest.mark.parametrize(("group", "members"), [("office", ["199"]), ("gone", ["101"])])
def test_a_page_of_nobody_is_no_number(group: str, members: list[str]) -> None:
    assert decided(group, office={"members": members}) == Reject(UNALLOCATED, route="all")


def test_members_are_bounded() -> None:
    numbers = [str(number) for number in range(1000, 1000 + MAX_PAGED)]
    assert len(PagingGroup(members=tuple(numbers)).members) == MAX_PAGED == MAX_LEGS_AT_ONCE
    assert len(PagingGroup(members=tuple(numbers[:MAX_TALKING]), mode="two-way").members) == MAX_TALKING
    with pytest.raises(ValidationError, match="at most 64"):
        PagingGroup(members=(*numbers, "2000"))
    with pytest.raises(ValidationError, match="at most 15 members with 'mode: two-way' instead of 16"):
        PagingGroup(members=tuple(numbers[: MAX_TALKING + 1]), mode="two-way")


def test_a_page_in_words() -> None:
    one_way, two_way = (decided(office={"members": ["101", "102"], "mode": mode}) for mode in ("one-way", "two-way"))
    assert describe(one_way) == ["page 'office', at most 60 s: extension '101', extension '102' hear the caller"]
    assert describe(two_way) == ["page 'office', at most 60 s: extension '101', extension '102' hear each other"]


def test_a_class_of_service_gives_the_right_to_intercom(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(
        "classes: {boss: {may_intercom: all}}\n"
        'extensions: {"101": {class: boss}, "102": {class: boss, may_intercom: none}, "103": {}}\n'
        "dialplan: {internal: {routes: []}}\n"
    )
    extensions = load(tmp_path).settings.extensions
    assert [extensions[number].may_intercom for number in EXTENSIONS] == ["all", "none", "groups"]


def test_rfc5373_answer_mode_and_what_vendors_read() -> None:
    """`Answer-Mode: Auto`, and no Require: a telephone that does not know it rings."""
    every = auto_answer.headers("all")
    assert ("Answer-Mode", "Auto") in every
    for style in get_args(auto_answer.Style):
        headers = auto_answer.headers(style)
        assert headers
        assert "Require" not in dict(headers)
        assert set(headers) <= set(every) or style == "ring-answer"
        assert all("\r" not in value and "\n" not in value for _, value in headers)


def test_rfc3261_25_1_call_info_and_alert_info_are_well_formed() -> None:
    """`LAQUOT absoluteURI RAQUOT *( SEMI generic-param )`."""
    for name, value in auto_answer.headers("all"):
        if name == "Answer-Mode":
            continue
        uri, *parameters = value.split(";")
        assert (uri[0], uri[-1]) == ("<", ">")
        assert all(TOKEN.fullmatch(part) for each in parameters for part in each.split("="))
