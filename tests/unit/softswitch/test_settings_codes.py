"""Feature codes, PINs and what a class of service says of both: what is read, and what is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from softswitch import wiring
from softswitch.cli import make_app
from softswitch.feature_codes import DIALLED, IN_CALL, Dialled
from softswitch.settings.code_models import FeatureCodes, InCallCodes
from softswitch.settings.loader import Loaded, load
from tests import shipped

PLAN = "dialplan: {internal: {routes: [{to: _1XX, dial: '{number}'}]}}\n"


def loaded(tmp_path: Path, text: str, secrets: str = "") -> Loaded:
    (tmp_path / "a.yaml").write_text(text)
    if secrets:
        (tmp_path / "secrets.yaml").write_text(secrets)
        (tmp_path / "secrets.yaml").chmod(0o600)
    return load(tmp_path)


def warnings(tmp_path: Path, text: str) -> list[str]:
    return [f"{each.key}: {each.message}" for each in loaded(tmp_path, text).warnings]


def test_every_action_can_be_given_a_code() -> None:
    assert set(FeatureCodes.model_fields) == {*DIALLED, "in_call"}
    own = {name.rstrip("_") for name in InCallCodes.model_fields if not name.endswith("_timeout")} - {"park_lot"}
    assert own == set(IN_CALL)


def test_codes_as_the_switch_wants_them(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "feature_codes: {dnd_on: '*78', dnd_off: none, forward_busy_on: '*90', in_call: {record: '*1', return: '*0', "
        "digit_timeout: 2s}}\nextensions: {101: {password: abcd}}\n" + PLAN,
    ).settings
    assert settings.feature_codes.codes == {"dnd_on": "*78", "forward_busy_on": "*90"}
    assert wiring.entries(settings).codes.find("*90102") == Dialled("forward_busy_on", "102")
    table = wiring.call_codes(settings)
    assert (table.codes, table.digit_timeout, table.number_timeout) == ({"record": "*1", "return": "*0"}, 2.0, 4.0)


def test_without_the_section_there_are_none(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "extensions: {101: {password: abcd}}\nfeature_codes:\n" + PLAN).settings
    assert settings.feature_codes.codes == {}
    assert wiring.call_codes(settings).codes == {}


def test_the_shipped_ones() -> None:
    codes = load(shipped.CONFIG).settings.feature_codes.codes
    assert codes["dnd_on"] == "*78"
    assert codes["forward_always_on"] == "*72"
    assert not {"listen", "whisper", "barge"} & codes.keys()


def test_a_class_says_who_may_use_codes_and_for_what_a_pin_is_wanted(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "classes:\n"
        "  lobby: {codes: none, pin_for: [international, premium]}\n"
        "  desk: {codes: [all, listen]}\n"
        "defaults: {extension: {class: lobby, password: abcd}}\n"
        "extensions:\n"
        "  101: {}\n"
        "  102: {pin_for: []}\n"
        "  103: {class: desk, pin: '1379'}\n" + PLAN,
        "secrets: {pins: {101: '2580', '199': '1111'}}\n",
    ).settings
    entries = wiring.entries(settings).extensions
    assert {number: each.codes for number, each in entries.items()} == {
        "101": {"none"},
        "102": {"none"},
        "103": {"all", "listen"},
    }
    assert wiring.pins(settings) == {"101": "2580", "103": "1379"}
    terms = wiring.toll_settings(settings).terms
    assert {holder: each.pin_for for holder, each in terms.items()} == {"extension:101": {"international", "premium"}}
    assert "2580" not in repr(settings)


def test_a_pin_that_is_wanted_and_not_there_is_warned_of(tmp_path: Path) -> None:
    text = "classes: {lobby: {pin_for: international}}\nextensions: {101-103: {password: abcd, class: lobby}}\n" + PLAN
    assert warnings(tmp_path, text) == [
        "classes.lobby.pin_for: extension 101 has no 'pin' to be asked for: such calls are barred"
    ]
    text = "extensions: {101: {password: abcd}}\ndialplan: {internal: {routes: [{dial: '101', pin: yes}]}}\n"
    assert warnings(tmp_path, text) == [
        "dialplan.internal.routes[0]: no extension has a 'pin': nobody can call by this"
    ]


@pytest.mark.parametrize("pin", ["0000", "1234", "8901", "9876", "1010101"])
def test_easy_pins_are_warned_of_and_not_repeated(tmp_path: Path, pin: str) -> None:
    text = f"extensions: {{'1010101': {{password: abcd, pin: '{pin}'}}}}\ndialplan: {{internal: {{routes: []}}}}\n"
    [warning] = loaded(tmp_path, text).warnings
    assert warning.message.startswith("easily guessed")
    assert pin not in warning.message


def test_a_route_behind_a_code_is_warned_of(tmp_path: Path) -> None:
    text = (
        "feature_codes: {dnd_on: '*78', forward_always_on: '*72'}\nextensions: {101: {password: abcd}}\n"
        "dialplan: {internal: {routes: [{to: ['*78', '*72100', '*79'], answer_and_echo: true}, "
        "{to: _*7X, dial: '101'}]}}\n"
    )
    assert warnings(tmp_path, text) == [
        "dialplan.internal.routes[0].to: extensions never get here: '*78' is the feature code dnd_on",
        "dialplan.internal.routes[0].to: extensions never get here: '*72100' is the feature code forward_always_on",
    ]


@pytest.mark.parametrize(
    ("in_call", "lots", "told"),
    [
        ("{park: '*5'}", "{main: {slots: '701'}}", ""),
        ("{park: '*5', park_lot: main}", "{main: {slots: '701'}, side: {slots: '702'}}", ""),
        ("{park_lot: main}", "{main: {slots: '701'}, side: {slots: '702'}}", ""),
        ("{park: none}", "{}", ""),
        (
            "{park: '*5'}",
            "{}",
            "a.yaml:1:33: feature_codes.in_call.park: no parking lot is set, so the code is always refused: "
            "expected one in 'parking'",
        ),
        (
            "{park: '*5'}",
            "{side: {slots: '702'}, main: {slots: '701'}}",
            "a.yaml:1:33: feature_codes.in_call.park: there are several parking lots, so the code is always refused: "
            "expected 'park_lot', which is one of main, side",
        ),
    ],
)
def test_a_park_code_that_can_never_work_is_warned_of(tmp_path: Path, in_call: str, lots: str, told: str) -> None:
    text = (
        f"feature_codes: {{in_call: {in_call}}}\nparking: {lots}\nextensions: {{101: {{password: abcd}}}}\n"
        "dialplan: {internal: {routes: [{to: _7XX, retrieve: '{number}'}]}}\n"
    )
    assert [str(each).rpartition("/")[2] for each in loaded(tmp_path, text).warnings] == ([told] if told else [])


def test_check_tells_of_codes_and_pins(tmp_path: Path) -> None:
    loaded(
        tmp_path,
        "feature_codes: {forward_always_on: '*72'}\n"
        "extensions: {101: {password: abcd, pin: '2580', pin_for: premium}}\n"
        "trunks: {north: {gateways: [192.0.2.1]}}\n"
        "dialplan: {internal: {routes: [{to: '9', dial: '101', pin: yes}, "
        "{to: _0., strip: 1, dial: {trunk: north}}]}}\n",
    )

    def told(number: str) -> str:
        arguments = ["check", "-c", str(tmp_path), "--route", f"internal:{number}", "--from", "101"]
        return CliRunner().invoke(make_app(), arguments).stdout

    assert told("*72101").startswith("dialled by an extension, the feature code forward_always_on with '101'; else:\n")
    assert told("9").endswith("dial extension '101', with a PIN\n")
    assert told("00900123").endswith("  through trunk 'north' extension 101 is asked for its PIN: class 'premium'\n")
    assert "barred through trunk 'north' for extension 101" in told("00044123")
