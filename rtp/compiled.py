"""Loops over columns, compiled to machine code by numba when they are imported: what touches every packet.

A pass over a batch of a few packets is mostly the price of getting there. As some hundred operations of numpy it
drags some hundred pieces of code through caches that the rest of the machine has used in between; as one loop it is
one piece, and it says packet by packet what is done.

Kernels are plain functions of numbers and arrays, with their types given, so that nothing is compiled in the middle of
a call. The result is kept on disk, in the package or, where that can't be written, in the user's cache: the first
start after an installation or a change compiles (20 seconds; `make setup` has done it), later ones load. Indexes
are checked: what a peer sends can't make a loop write beside its columns.

numba's own cache notices a change of the kernel's file only. Here its directory bears a digest of everything the code
depends on: its source, the constants it names and the kernels it calls.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from numba.core import sigutils

_Function = TypeVar("_Function", bound=Callable[..., Any])

_OPTIONS: Final[dict[str, Any]] = {"boundscheck": True, "error_model": "numpy"}
_digests: dict[int, str] = {}
"""Of every kernel, by the identity of what stands in its place."""
_externals: list[Callable[..., Any]] = []  # kept, so that no other object gets the identity of one


def compiled(signature: str) -> Callable[[_Function], _Function]:
    """Compile a function for these types, in numba's notation: `i8` a number, `u1[:, ::1]` a contiguous matrix of
    octets. What it names outside itself are numbers, arrays that never change, and other kernels."""

    def compile_(function: _Function) -> _Function:
        digest = _digest(function)
        directory = _directory(function, digest)
        settings: Any = numba.config
        before = settings.CACHE_DIR
        settings.CACHE_DIR = str(directory or "")
        try:
            # Where nothing can be kept it works all the same, and is compiled at each start. numba alone would look for
            # another place then, in which nothing tells what a kernel depends on.
            made: Any = numba.njit(signature, cache=_can_keep(directory), **_OPTIONS)(function)
        finally:
            settings.CACHE_DIR = before
        _digests[id(made)] = digest
        kept: _Function = made
        return kept

    return compile_


def external(symbol: str, signature: str) -> Callable[..., Any]:
    """A function of the C library, for kernels to call with numbers where it takes addresses."""
    read, types = cast("Any", sigutils), cast("Any", numba.types)
    arguments, result = read.normalize_signature(signature)
    found: Callable[..., Any] = types.ExternalFunction(symbol, result(*arguments))
    _digests[id(found)] = f"{symbol} {signature}"
    _externals.append(found)
    return found


def _directory(function: Callable[..., Any], digest: str) -> Path | None:
    """Where a compiled kernel is kept: beside the source, else in the user's cache; None: nowhere."""
    beside = Path(inspect.getfile(function)).parent / "__pycache__"
    if os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return beside / "kernels" / digest
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(cache) if cache else Path.home() / ".cache") / "softswitch" / "kernels" / digest
    except RuntimeError:
        return None  # a user without a home


def _can_keep(directory: Path | None) -> bool:
    if directory is None:
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


def _digest(function: Callable[..., Any]) -> str:
    """Of everything that the machine code depends on, the machine itself and numba apart: numba looks after those."""
    digest = hashlib.sha256(f"{inspect.getsource(function)}\n{_OPTIONS}".encode())
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            digest.update(f"\n{name} = {_told(name, function.__globals__[name])}".encode())
    return digest.hexdigest()[:20]


def _told(name: str, value: object) -> str:
    """A global in words. TypeError for what a kernel can't depend on without our noticing changes."""
    if id(value) in _digests:
        return _digests[id(value)]
    if isinstance(value, np.ndarray):
        return f"{value.dtype.str} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, np.generic):
        return f"{value.dtype.str} {value!r}"
    if isinstance(value, tuple):
        return f"({', '.join(_told(name, each) for each in value)})"
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"a kernel names {name}, which is neither a number, an array, a module nor a kernel: {value!r}")


def _names(code: CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found
