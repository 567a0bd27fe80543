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
from softswitch.settings.loader import load
from softswitch.settings.models import Settings
from softswitch.settings.schema import MODELINE, SCHEMA_FILE, json_schema, schema_text
from softswitch.settings.sections import SECTIONS
from tests import shipped

ROOT = Path(__file__).parents[3]
FILES = ["agents", "dialplan", "extensions", "queues", "skills", "softswitch", "trunks"]
"""Of the default configuration."""


def test_the_committed_schema_is_current() -> None:
    committed = (ROOT / "config" / SCHEMA_FILE).read_text("utf-8")
    assert committed == schema_text(), "run: softswitch schema --write"


def test_every_file_of_the_default_configuration_points_to_it() -> None:
    files = sorted(shipped.CONFIG.glob("*.yaml"))
    assert [path.stem for path in files] == FILES
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
    assert "id" not in definitions["Agent"]["properties"]
    assert "name" not in definitions["Queue"]["properties"]
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
    manual = (ROOT / "docs" / "configuration.md").read_text("utf-8")
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


def test_the_examples_of_the_manual_are_one_valid_configuration(tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    assert len(examples) >= 4
    for n, example in enumerate(examples):
        (tmp_path / f"{n}.yaml").write_text(example)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "welcome.wav").write_bytes(b"")
    (tmp_path / "more.yaml").write_text("trunks: {second-provider: {gateways: [192.0.2.2]}}\n")
    loaded = load(tmp_path)
    assert loaded.warnings == []
    assert len(loaded.settings.dialplan) == 3


def test_the_commented_examples_of_the_default_configuration_are_valid(tmp_path: Path) -> None:
    """Taking away `# ` in front of an example, as the files say, gives a working configuration."""
    for name in FILES:
        lines = (shipped.CONFIG / f"{name}.yaml").read_text("utf-8").splitlines()
        # Examples are indented, or are whole sections; remarks on the files themselves are neither.
        opened = [re.sub(r"^( +)# (?=[ \-a-z\"#])|^# (?=[a-z_]+:$|  [a-z]+: \{)", r"\1", line) for line in lines]
        kept = [line for line in opened if not re.match(r" +[A-Z]", line) and not re.match(r" +#", line)]
        (tmp_path / f"{name}.yaml").write_text("\n".join(kept) + "\n")
    loaded = load(tmp_path)
    assert list(loaded.settings.trunks) == ["provider"]
    assert loaded.settings.extensions["101"].name == "Reception"
    assert loaded.settings.sip.advertise == "203.0.113.7"
    assert [len(context.routes) for context in loaded.settings.dialplan.values()] == [8, 1]
    assert [*loaded.settings.ring_groups, *loaded.settings.parking, *loaded.settings.conferences] == [
        "sales",
        "main",
        "board",
    ]
    assert list(loaded.settings.agents) == ["anna", "ben", "102", "103", "104"]
    support = loaded.settings.queues["support"]
    assert (len(support.relax), len(support.widen), len(support.limits), support.hours) == (2, 1, 3, "office")
