"""The JSON Schema of a configuration file, for editors: completion, hints and red lines while typing.

One schema serves every file of the directory, for each may hold any section. Editors find it through the
first line: `# yaml-language-server: $schema=schema/softswitch.json`.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema

from softswitch.conference.settings import ConferenceRoom
from softswitch.settings.acd_models import AgentGroup, OpeningHours, Skill, Team
from softswitch.settings.agent_models import Agent
from softswitch.settings.barring_models import Barring
from softswitch.settings.call_models import ParkingLot, Transfers
from softswitch.settings.code_models import FeatureCodes
from softswitch.settings.fields import Section
from softswitch.settings.media_models import MediaSettings
from softswitch.settings.models import ClassOfService, Extension, ServerSettings, Settings, SipSettings
from softswitch.settings.queue_models import Queue
from softswitch.settings.trunk_models import Trunk

SCHEMA_FILE = "schema/softswitch.json"  # below the configuration directory
MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"


class Defaults(Section):
    """What extensions, trunks, agents and queues have where they do not say otherwise."""

    extension: Extension | None = None
    """For every extension."""
    trunk: Trunk | None = None
    """For every trunk."""
    agent: Agent | None = None
    """For every agent."""
    queue: Queue | None = None
    """For every queue."""


class TrunkSecret(Section):
    """Passwords of one trunk."""

    account: str | None = None
    """The one we answer its challenges with."""
    inbound: str | None = None
    """The one it calls us with."""


class ConferencePins(Section):
    """PINs of one room."""

    pin: str | None = None
    """That of guests."""
    host_pin: str | None = None
    """That of hosts."""


class Secrets(Section):
    """Passwords, for a file that only its owner may read."""

    extensions: dict[str, str] = {}
    """By number."""
    trunks: dict[str, str | TrunkSecret] = {}
    """By name; a plain password is that of `account`."""
    pins: dict[str, str] = {}
    """PINs of extensions, by number."""
    conferences: dict[str, str | ConferencePins] = {}
    """PINs of rooms, by name; a plain one is that of guests."""


class ConfigFile(Section):
    """A file of the configuration directory: any of the sections, each of them spread over as many files as
    wanted."""

    server: ServerSettings | None = None
    sip: SipSettings | None = None
    media: MediaSettings | None = None
    defaults: Defaults | None = None
    barring: Barring | None = None
    classes: dict[str, ClassOfService | None] | None = None
    """Classes of service by name."""
    extensions: dict[str, Extension | None] | None = None
    """By number, or by a range of numbers such as 101-110."""
    trunks: dict[str, Trunk | None] | None = None
    """By name."""
    feature_codes: FeatureCodes | None = None
    """Codes that extensions dial."""
    ring_groups: dict[str, Any] | None = Field(None)
    """Ring groups by name."""
    paging: dict[str, Any] | None = Field(None)
    """Paging groups by name."""
    conferences: dict[str, ConferenceRoom | None] | None = None
    """Conference rooms by name."""
    parking: dict[str, ParkingLot | None] | None = None
    """Parking lots by name."""
    transfers: Transfers | None = None
    dialplan: dict[str, Any] | None = Field(None)
    """Contexts by name."""
    skills: dict[str, Skill | str | None] | None = None
    """Skills of agents by name, with what they are, for people."""
    teams: dict[str, Team | None] | None = None
    """Teams by name: agents and queues of different ones never meet."""
    agent_groups: dict[str, AgentGroup | None] | None = None
    """Groups of agents by name."""
    agents: dict[str, Agent | None] | None = None
    """By name or number, or by a range of numbers such as 201-240."""
    queues: dict[str, Queue | None] | None = None
    """By name."""
    hours: dict[str, OpeningHours] | None = None
    """Opening hours by name."""
    secrets: Secrets | None = None


class _Generator(GenerateJsonSchema):
    """Leaves out defaults that are models or pairs of values: their own fields and texts tell them."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        default = schema.get("default")
        if isinstance(default, BaseModel) or (
            isinstance(default, tuple) and default and not isinstance(default[0], str)
        ):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema() -> dict[str, Any]:
    """The schema as a JSON value."""
    schema = ConfigFile.model_json_schema(mode="validation", schema_generator=_Generator)
    whole = Settings.model_json_schema(mode="validation", schema_generator=_Generator)
    schema["$defs"] |= whole["$defs"]
    for name in ("ring_groups", "paging", "dialplan"):
        schema["properties"][name] = whole["properties"][name]
    for name, own in (("Extension", "number"), ("Trunk", "name"), ("Agent", "id"), ("Queue", "name")):
        # The number and the name are the keys themselves; and what `defaults` gives need not be written
        # again.
        definition = schema["$defs"][name]
        del definition["properties"][own]
        definition.pop("required", None)
    for name in schema["properties"]:
        # A section whose entries are all commented out is null, and that is fine.
        section = schema["properties"][name]
        if "anyOf" not in section:
            schema["properties"][name] = {"anyOf": [section, {"type": "null"}]}
    schema["patternProperties"] = {"^x-": {"description": "Your own, for anchors."}}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "softswitch configuration"
    return schema


def schema_text() -> str:
    """The schema as it is kept in `config/schema/`."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
