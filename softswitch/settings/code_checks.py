"""Feature codes and PINs, held against the rest of the settings: what is allowed but hardly meant, as warnings."""

from __future__ import annotations

from collections.abc import Iterator

from softswitch.dialplan.models import Action
from softswitch.feature_codes import FeatureCodes
from softswitch.settings.models import Settings
from softswitch.settings.yaml_tree import Mapping, Mark, Problem, place

_RISING = "01234567890123456789"
_REFUSED = "so the code is always refused: expected"


def code_warnings(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Routes behind a code, a code that parks nowhere, PINs that are wanted and lack, or that everybody would try."""
    yield from _hidden_routes(settings, root)
    yield from _parked_nowhere(settings, root)
    yield from _missing_pins(settings, root)
    yield from _weak_pins(settings, root)


def _hidden_routes(settings: Settings, root: Mapping) -> Iterator[Problem]:
    codes = FeatureCodes(settings.feature_codes.codes)
    for name, context in settings.dialplan.items():
        for index, route in enumerate(context.routes):
            for pattern in route.to or ():
                found = codes.find(pattern) if pattern[:1] in ("*", "#") else None
                if found is not None:
                    mark, node = place(root, ("dialplan", name, "routes", index, "to"))
                    yield Problem(
                        mark, node.key, f"extensions never get here: {pattern!r} is the feature code {found.action}"
                    )


def _parked_nowhere(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Who dials the code hears an error tone, and not why."""
    codes, lots = settings.feature_codes.in_call, settings.parking
    if codes.park is None or codes.park_lot is not None or len(lots) == 1:
        return
    mark, node = place(root, ("feature_codes", "in_call", "park"))
    if lots:
        what = f"there are several parking lots, {_REFUSED} 'park_lot', which is one of {', '.join(sorted(lots))}"
    else:
        what = f"no parking lot is set, {_REFUSED} one in 'parking'"
    yield Problem(mark, node.key, what)


def _missing_pins(settings: Settings, root: Mapping) -> Iterator[Problem]:
    told: set[Mark] = set()
    for number, extension in settings.extensions.items():
        if extension.pin_for and extension.pin is None:
            mark, node = place(root, ("extensions", number, "pin_for"))
            if mark not in told:
                told.add(mark)
                yield Problem(mark, node.key, f"extension {number} has no 'pin' to be asked for: such calls are barred")
    if any(extension.pin is not None for extension in settings.extensions.values()):
        return
    for name, context in settings.dialplan.items():
        for index, route in enumerate(context.routes):
            if _wants_pin(route):
                mark, node = place(root, ("dialplan", name, "routes", index))
                yield Problem(mark, node.key, "no extension has a 'pin': nobody can call by this")


def _wants_pin(action: Action) -> bool:
    return bool(action.pin) or any(_wants_pin(each) for each in action.fallbacks if each is not None)


def _weak_pins(settings: Settings, root: Mapping) -> Iterator[Problem]:
    told: set[Mark] = set()
    for number, extension in settings.extensions.items():
        pin = extension.pin.get_secret_value() if extension.pin is not None else ""
        if pin and (len(set(pin)) == 1 or pin in _RISING or pin[::-1] in _RISING or pin == number):
            mark, node = place(root, ("extensions", number, "pin"))
            if mark not in told:
                told.add(mark)
                yield Problem(mark, node.key, "easily guessed: expected digits that are no series and not the number")
