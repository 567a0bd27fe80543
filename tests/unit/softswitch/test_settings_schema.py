"""The JSON Schema: the committed one is current, files point to it, and it knows what the models know."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from softswitch.cli import make_app
from softswitch.settings.fields import Section
from softswitch.settings.models import Settings
from softswitch.settings.schema import MODELINE, SCHEMA_FILE, json_schema, schema_text
from softswitch.settings.sections import SECTIONS

CONFIG = Path(__file__).parents[3] / "config"


def test_the_committed_schema_is_current() -> None:
    committed = (CONFIG / SCHEMA_FILE).read_text("utf-8")
    assert committed == schema_text(), "run: softswitch schema --write"


def test_every_file_of_the_default_configuration_points_to_it() -> None:
    files = [path for path in CONFIG.glob("*.yaml") if path.name != "secrets.yaml"]
    assert {path.name for path in files} == {"softswitch.yaml", "extensions.yaml", "trunks.yaml", "dialplan.yaml"}
    for path in files:
        assert path.read_text("utf-8").startswith(MODELINE)


def test_it_has_every_section_and_refuses_unknown_keys() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(SECTIONS)
    assert schema["additionalProperties"] is False
    for name, definition in schema["$defs"].items():
        if definition.get("type") == "object":
            assert definition["additionalProperties"] is False, name


def test_numbers_and_names_are_keys_not_fields() -> None:
    definitions = json_schema()["$defs"]
    assert "number" not in definitions["Extension"]["properties"]
    assert "name" not in definitions["Trunk"]["properties"]
    assert "required" not in definitions["Extension"]


def test_every_reference_leads_somewhere() -> None:
    text = schema_text()
    definitions = json.loads(text)["$defs"]
    for name in set(re.findall(r'"#/\$defs/([^"]+)"', text)):
        assert name in definitions


def _sections(model: type[Section], seen: set[type[Section]]) -> set[type[Section]]:
    if model not in seen:
        seen.add(model)
        for field in model.model_fields.values():
            waiting: list[Any] = [field.annotation]
            while waiting:
                kind = waiting.pop()
                if isinstance(kind, type) and issubclass(kind, Section):
                    _sections(kind, seen)
                waiting += getattr(kind, "__args__", ())
    return seen


def test_every_setting_is_documented() -> None:
    models = _sections(Settings, set())
    assert len(models) > 20
    for model in models:
        assert model.__doc__, model
        for name, field in model.model_fields.items():
            inner = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
            assert field.description or inner, f"{model.__name__}.{name}"


def test_every_setting_stands_in_the_manual() -> None:
    manual = (CONFIG.parent / "docs" / "configuration.md").read_text("utf-8")
    for model in _sections(Settings, set()):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in manual, f"{model.__name__}.{name}"


def test_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = CliRunner().invoke(make_app(), ["schema"])
    assert (printed.exit_code, printed.stdout) == (0, schema_text())
    written = CliRunner().invoke(make_app(), ["schema", "--write", "--config", str(tmp_path)])
    assert written.exit_code == 0
    assert (tmp_path / SCHEMA_FILE).read_text("utf-8") == schema_text()


def test_a_schema_that_can_not_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "schema").write_text("a file where the directory should be")
    result = CliRunner().invoke(make_app(), ["schema", "--write", "--config", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"{tmp_path}/schema: File exists"]


@pytest.mark.parametrize("name", ["rtp_ports", "listen", "silence_hangup"])
def test_hints_come_with_an_example_or_a_text(name: str) -> None:
    definitions = json_schema()["$defs"]
    found = [model["properties"][name] for model in definitions.values() if name in model.get("properties", {})]
    assert found
    assert all("description" in field for field in found)
