"""pydantic's errors, said in the words of a configuration file: place, key path, what is wrong, what was
expected."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from softswitch.dialplan.patterns import VARIABLES
from softswitch.settings.columns import within
from softswitch.settings.yaml_tree import Mapping, Node, Problem, Scalar, Sequence, place, place_of_key
from softswitch.spelling import meant, suggestion

MAX_SHOWN = 40  # characters of a wrong value that are repeated in its message
_SECRET_KEYS = frozenset(("password", "database_url", "secret", "pin", "host_pin"))


def problems_of(
    error: ValidationError, model: type[BaseModel], root: Mapping, unread: Collection[str] = ()
) -> list[Problem]:
    """One problem for each thing that is wrong; what several extensions inherit from one place is told
    once. `unread`: sections of which something could not be read, so that nothing is missing for certain."""
    found: dict[tuple[object, str], Problem] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and _long_enough(detail, root):
            continue
        if unread and _may_be_unread(detail, root, unread):
            continue
        problem = _problem_of(detail, model, root)
        found.setdefault((problem.mark, problem.message), problem)
    return list(found.values())


def _long_enough(detail: Any, root: Mapping) -> bool:
    """True for a list that is only short because its wrong entries were not counted: each of them is told
    by itself."""
    _, node = place(root, detail["loc"])
    return isinstance(node, Sequence) and len(node.items) >= int(detail["ctx"]["min_length"])


def _may_be_unread(detail: Any, root: Mapping, unread: Collection[str]) -> bool:
    """Whether a mapping lacks something that may stand where we could not read: in another file's part of the section,
    or, for extensions, trunks, agents and queues, in `defaults`."""
    path: tuple[str | int, ...] = detail["loc"]
    if detail["type"] == "missing":
        path = path[:-1]
    elif detail["type"] not in ("value_error", "at_value") or not isinstance(place(root, path)[1], Mapping):
        return False
    if path and path[0] in ("extensions", "trunks", "agents", "queues"):
        # Mappings are overlaid by those of `defaults` key by key, lists are not.
        return "defaults" in unread and not any(isinstance(part, int) for part in path)
    return len(path) == 1 and path[0] in unread


def unknown_key(key: str, known: list[str]) -> str:
    """The message for a key that does not exist."""
    return f"unknown key{suggestion(key, known, 'expected one of ' + ', '.join(sorted(known)))}"


def at_value(message: str, *path: str | int) -> PydanticCustomError:
    """The error of a model whose values don't go together, told at the one of them that `path` leads to."""
    return PydanticCustomError("at_value", "{message}", {"message": message, "path": path})


def at_column(message: str, column: int) -> PydanticCustomError:
    """The error of a text that has a grammar of its own: where in it the slip is, counted from 1."""
    return PydanticCustomError("at_column", "{message}", {"message": message, "column": column})


def unknown_name(kind: str, name: str, known: list[str]) -> str:
    """The message for a reference that leads nowhere."""
    expected = f"expected the name of {'an' if kind[0] in 'aeiou' else 'a'} {kind} that exists"
    # A number that is nearly another one is as likely to be meant.
    return f"unknown {kind} {name!r}{suggestion(name, [] if name.isdigit() else known, expected)}"


def _problem_of(detail: Any, model: type[BaseModel], root: Mapping) -> Problem:
    path: tuple[str | int, ...] = detail["loc"]
    kind: str = detail["type"]
    context: dict[str, Any] = detail.get("ctx") or {}
    if kind == "missing":
        mark, node = place(root, path[:-1])
        return Problem(mark, node.key, f"missing key {path[-1]!r}")
    if kind == "extra_forbidden":
        mark, key = place_of_key(root, path)
        known = [name for owner in _models_at(model, path[:-1]) for name in _keys_of(owner)]
        return Problem(mark, key, unknown_key(str(path[-1]), known))
    if kind == "needs_dial":
        mark, key = place_of_key(root, (*path, context["key"]))
        return Problem(mark, key, detail["msg"])
    if kind == "at_value":
        mark, node = place(root, (*path, *context["path"]))
        return Problem(mark, node.key, context["message"])
    if kind == "at_column":
        mark, node = place(root, path)
        return Problem(within(node, context["column"], mark), node.key, context["message"])
    mark, node = place(root, path)
    if path and path[-1] == "[key]":  # of a mapping whose keys are the operator's own
        mark, key = place_of_key(root, path[:-1])
        node = Scalar(mark, key, str(path[-2]))
    secret = any(part in _SECRET_KEYS for part in path)
    if isinstance(node, Mapping) and (variable := _unquoted_variable(node)):
        return Problem(mark, node.key, f'expected quotes: "{{{variable}}}"')
    return Problem(mark, node.key, _message(kind, context, detail["msg"], node, secret, detail["input"]))


WANTED_MAPPING = "expected a mapping (KEY: VALUE, with a space after the colon)"


def _unquoted_variable(node: Mapping) -> str:
    """The name in a bare `{number}`, which YAML takes for a mapping; "" for anything else."""
    if len(node.entries) != 1:
        return ""
    [(name, entry)] = node.entries.items()
    return name if name in VARIABLES and isinstance(entry.node, Scalar) and entry.node.null else ""


_WANTED = {
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "dict_type": WANTED_MAPPING,
    "model_type": WANTED_MAPPING,
    "model_attributes_type": WANTED_MAPPING,
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "path_type": "expected a path",
}

_PATTERN_WORDS = {
    "[0-9]{0,6}$": "a country code such as +49",
    "{1,32}$": "letters, digits and * # + _ . -, at most 32",
    "{0,32}$": "letters, digits and * # + _ . -, at most 32",
    "^[0-9*#]$": "a key of a telephone, 0 to 9, * or #",
    "._-]{0,63}$": "a letter, and behind it letters, digits and . _ -, at most 64 characters",
    "_.-]{0,63}$": "letters, digits and . _ -, at most 64, a letter or digit first",
    "{0,63}$": "a name of letters, digits, _ and -, at most 64",
}


_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
    "string_too_short": ("min_length", "at least"),
    "string_too_long": ("max_length", "at most"),
    "too_short": ("min_length", "at least"),
    "too_long": ("max_length", "at most"),
}


def _message(kind: str, context: dict[str, Any], message: str, node: Node, secret: bool, detail_input: object) -> str:
    """What is wrong and what was expected. The text as written is repeated where it is short and not a
    `secret`."""
    given = node.text if isinstance(node, Scalar) and not node.null and not secret else ""
    shown = f" instead of {given!r}" if given and len(given) <= MAX_SHOWN else ""
    if kind == "value_error":
        return str(context.get("error", message))
    if kind == "literal_error":
        words = str(context["expected"])
        choices = [word for word in words.replace(" or ", ", ").split(", ") if word]
        close = meant(given, [choice.strip("'") for choice in choices])
        return f"expected {words}{shown}" + (f": did you mean {close[0]!r}?" if close else "")
    if kind in _WANTED:
        return _WANTED[kind] + (shown or instead(node))
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        words = next(
            (text for end, text in _PATTERN_WORDS.items() if pattern.endswith(end)), f"text matching {pattern}"
        )
        return f"expected {words}{shown}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        limit = context[name]
        if isinstance(limit, float) and limit.is_integer():
            limit = int(limit)
        unit = ""
        if isinstance(detail_input, float) and not name.endswith("_length"):
            # Only durations are numbers already when they are compared.
            unit = " second" if limit == 1 else " seconds"
        if name.endswith("_length"):
            unit = " character" if isinstance(node, Scalar) else " entry" if limit == 1 else " entrie"
            unit += "" if limit == 1 else "s"
            shown = ""
        return f"expected {words} {limit}{unit}{shown}"
    return message[0].lower() + message[1:] + shown


def instead(node: Node) -> str:
    """What is there, where it is of another kind than what was expected. Texts are not repeated: they may be secret."""
    if isinstance(node, Sequence):
        return " instead of a list"
    return " instead of a mapping" if isinstance(node, Mapping) else ""


def _keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of `model` as written; `number` and `name` of what is a key itself are not written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """The models that may stand at `path`, so that their keys can be suggested."""
    types: list[Any] = [model]
    for part in path:
        following: list[Any] = []
        for kind in types:
            following += _inner(kind, part)
        types = following or types  # a part that leads nowhere names a branch of a union
    return [kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _inner(kind: Any, part: str | int) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part == (field.alias or name):
                return list(_flat(field.annotation))
        return []
    origin = get_origin(kind)
    arguments = get_args(kind)
    if origin is dict:
        return list(_flat(arguments[1]))
    if origin in (tuple, list) and isinstance(part, int):
        return list(_flat(arguments[0]))
    return []


def _flat(annotation: Any) -> Iterator[Any]:
    """The plain types in an annotation: without Annotated, the members of unions one by one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _flat(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _flat(member)
    else:
        yield annotation
