"""Warnings of `softswitch check` about groups that nobody is in and parking slots that nobody can dial."""

from __future__ import annotations

from pathlib import Path

import pytest

from softswitch.settings.loader import load

ROUTES = "dialplan: {internal: {routes: [{to: _1XX, dial: '{number}'}, %s]}}\n"
OFFICE = ROUTES % "{to: '*43', answer_and_echo: true}"


def warnings(tmp_path: Path, text: str) -> list[str]:
    """Each with line and column, without the name of the file."""
    (tmp_path / "a.yaml").write_text(text)
    return [str(each).partition("a.yaml:")[2] for each in load(tmp_path).warnings]


def test_a_misspelt_group_that_is_supervised(tmp_path: Path) -> None:
    text = """
extensions:
  "101": {groups: sales}
  "102": {groups: [sales, support]}
  "103": {supervises: [support, salse]}
  "104": {supervises: warehouse}
"""
    assert warnings(tmp_path, OFFICE + text) == [
        "6:33: extensions.103.supervises[1]: no extension is in group 'salse': did you mean 'sales'?",
        "7:23: extensions.104.supervises: no extension is in group 'warehouse': "
        "expected a name that extensions have in their 'groups'",
    ]


def test_a_group_that_a_class_or_a_range_names_is_told_once(tmp_path: Path) -> None:
    text = """
classes:
  boss: {supervises: [salse]}
extensions:
  101-103: {groups: sales, class: boss}
  104-105: {supervises: support}
"""
    found = warnings(tmp_path, OFFICE + text)
    assert [each.partition(": ")[0] for each in found] == ["4:23", "7:25"]
    unused = warnings(tmp_path, OFFICE + text.replace(", class: boss", ""))
    assert [each.partition(": ")[0] for each in unused] == ["7:25", "4:23"], "also where nobody is of that class yet"


def test_a_group_of_one_that_is_nearly_another(tmp_path: Path) -> None:
    text = """
extensions:
  101-102: {groups: [sales, desk-1]}
  "103": {groups: salse}
  "104": {groups: [sale, desk-2]}
  "105": {supervises: sale}
  "106": {groups: warehouse}
"""
    assert warnings(tmp_path, OFFICE + text) == [
        "5:19: extensions.103.groups: no other extension is in group 'salse': did you mean 'sales'?"
    ], "'sale' is supervised, so it is meant; numbers tell groups apart"


LOT = "parking: {lot: {slots: 701-703}}\n"


@pytest.mark.parametrize(
    "route",
    [
        "{to: _70X, retrieve: '{number}'}",
        "{retrieve: '{number}'}",
        "{to: '_*70X', strip: 1, retrieve: '{number}'}",
        "{to: '9', retrieve: '701'}, {to: '8', retrieve: '702'}, {to: '7', retrieve: '703'}",
        "{to: '7', dial: '101', on_busy: {retrieve: '{caller}'}}",
    ],
)
def test_a_lot_that_calls_can_be_taken_from(tmp_path: Path, route: str) -> None:
    assert warnings(tmp_path, LOT + "extensions: {'101': {}}\n" + ROUTES % route) == []


@pytest.mark.parametrize(
    ("route", "what"),
    [
        ("{to: '700', park: lot}", "its slots"),
        ("{to: _8XX, retrieve: '{number}'}", "its slots"),
        ("{to: '8', retrieve: '801'}", "its slots"),
        ("{to: ['701', '702'], retrieve: '{number}'}", "slot '703'"),
        ("{to: '7', retrieve: '701'}", "slot '702' and 1 more"),
    ],
)
def test_a_lot_whose_slots_nobody_can_dial(tmp_path: Path, route: str, what: str) -> None:
    assert warnings(tmp_path, LOT + "extensions: {'101': {}}\n" + ROUTES % route) == [
        f"1:24: parking.lot.slots: no route leads to {what}, so nobody can take a call from there: expected 'retrieve'"
    ]


def test_a_ring_group_may_lead_to_a_slot(tmp_path: Path) -> None:
    text = LOT.replace("701-703", "'701'") + "extensions: {'101': {}}\n" + ROUTES % "{to: '5', ring_group: all}"
    assert len(warnings(tmp_path, text + "ring_groups: {all: {members: '101'}}\n")) == 1
    assert warnings(tmp_path, text + "ring_groups: {all: {members: '101', on_busy: {retrieve: '701'}}}\n") == []
