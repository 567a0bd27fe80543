"""What theory says, computed without the engine or anything of ours: M/M/N and its relatives.

`rate` is arrivals per second, `service` the mean handling time in seconds, `agents` their number; waits are
seconds.
"""

from __future__ import annotations

import importlib.util
import math
import sys
import types
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Waits(NamedTuple):
    """`within`: share of all who come that are answered within the threshold; `asa`: mean wait of the answered;
    `abandoned`: share of all who come."""

    within: float
    asa: float
    abandoned: float = 0.0


# ---- Erlang C


def pyworkforce_erlang_c() -> Any:
    """The class ErlangC of pyworkforce. Its package brings pandas and OR-tools when it is imported, for other things:
    only the module is taken, with an empty joblib, which its Erlang C does not use. None where it is not installed."""
    found = importlib.util.find_spec("pyworkforce")
    if found is None:
        return None
    package, joblib = types.ModuleType("pyworkforce"), types.ModuleType("joblib")
    package.__path__ = list(found.submodule_search_locations or ())
    joblib.Parallel = joblib.delayed = None  # type: ignore[attr-defined]
    kept = {name: sys.modules.get(name) for name in ("pyworkforce", "joblib")}
    sys.modules.update(pyworkforce=package, joblib=joblib)
    try:
        return importlib.import_module("pyworkforce.queuing.erlang").ErlangC
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] in kept]:
            del sys.modules[name]
        sys.modules.update({name: module for name, module in kept.items() if module is not None})


def delay(load: float, agents: int) -> float:
    """The chance to wait, by the recursion of Erlang B: 1/B(n) = 1 + n/a 1/B(n-1), C = nB / (n - a(1 - B))."""
    inverse = 1.0
    for n in range(1, agents + 1):
        inverse = 1.0 + inverse * n / load
    blocked = 1.0 / inverse
    return agents * blocked / (agents - load * (1.0 - blocked))


def erlang_c(rate: float, service: float, agents: int, threshold: float) -> Waits:
    """By pyworkforce where it is installed, else by our own recursion; the one is held against the other."""
    load = rate * service
    waits, late = delay(load, agents), math.exp(-(agents - load) * threshold / service)
    ours = Waits(1.0 - waits * late, waits * service / (agents - load))
    theirs = pyworkforce_erlang_c()
    if theirs is None:
        return ours
    model = theirs(transactions=rate * 3600.0, aht=service / 60.0, asa=threshold / 60.0, interval=60)
    found = Waits(model.service_level(agents), model.waiting_probability(agents) * service / (agents - model.intensity))
    assert np.allclose(ours, found, rtol=1e-9)
    return found


def cobham(rates: tuple[float, float], service: float, agents: int) -> tuple[float, float]:
    """Mean waits of two classes of the same service, the first with non-preemptive priority (Cobham 1954):
    W_k = C s/N / ((1 - r_1 - ... - r_k-1)(1 - r_1 - ... - r_k)), r_k = rate_k s / N."""
    first, second = (rate * service / agents for rate in rates)
    base = delay(sum(rates) * service, agents) * service / agents
    return base / (1.0 - first), base / ((1.0 - first) * (1.0 - first - second))


def transient(rate: float, service: float, agents: int, threshold: float, until: float) -> Waits:
    """M/M/N that begins empty, the mean over all who come until then; it need not be stable. The chain is integrated
    by uniformisation in steps; who comes at t sees its state (PASTA), and waits k intervals of service / agents where k
    = those in the system - agents + 1 is positive."""
    size = int(agents + 20 + 2.0 * max(rate - agents / service, 0.0) * until + 10.0 * math.sqrt(rate * until))
    state = np.arange(size)
    up, down = np.where(state < size - 1, rate, 0.0), np.minimum(state, agents) / service
    total = rate + agents / service
    step = 1.0
    chance = np.zeros(size)
    chance[0] = 1.0
    mean = np.zeros(size)
    steps = round(until / step)
    for n in range(steps + 1):
        mean += chance * (0.5 if n in (0, steps) else 1.0) / steps
        term, weight, after = chance, math.exp(-total * step), np.zeros(size)
        k = 0
        while k < total * step + 12.0 * math.sqrt(total * step) + 12.0:
            after += weight * term
            moved = term * (1.0 - (up + down) / total)
            moved[1:] += term[:-1] * up[:-1] / total
            moved[:-1] += term[1:] * down[1:] / total
            term, k = moved, k + 1
            weight *= total * step / k
        chance = after
    ahead = np.maximum(state - agents + 1, 0)
    # Erlang(k): the chance that fewer than k services end within the threshold
    busy = agents / service
    poisson = np.exp(
        -busy * threshold + state * math.log(busy * threshold) - np.array([math.lgamma(s + 1) for s in state])
    )
    late = np.concatenate([[0.0], np.cumsum(poisson)])[ahead]
    return Waits(float(mean @ (1.0 - late)), float(mean @ ahead) / busy)


# ---- Erlang A


def erlang_a(rate: float, service: float, agents: int, patience: float, threshold: float) -> Waits:
    """M/M/N+M: the birth-death chain of those in the system, and who comes behind k others, solved as numbers."""
    most = agents + 40 + int(20.0 * max(rate * patience, math.sqrt(rate * patience)))
    state = np.arange(most + 1)
    leaves = np.minimum(state, agents) / service + np.maximum(state - agents, 0) / patience
    log = np.concatenate([[0.0], np.cumsum(math.log(rate) - np.log(leaves[1:]))])
    chance = np.exp(log - log.max())
    chance /= chance.sum()
    # Behind j others who wait: the next event that counts is a service or an abandonment ahead, or the own one.
    queue = most - agents
    ahead = np.arange(queue + 1)
    forward, own = agents / service + ahead / patience, 1.0 / patience
    share, moment = np.zeros(queue + 1), np.zeros(queue + 1)
    before, before_moment = 1.0, 0.0
    for j in range(queue + 1):
        moves = forward[j] / (forward[j] + own)
        share[j] = moves * before
        moment[j] = share[j] / (forward[j] + own) + moves * before_moment
        before, before_moment = share[j], moment[j]
    arrives = chance[agents : agents + queue + 1]
    answered = float(chance[:agents].sum() + arrives @ share)
    in_time = chance[:agents].sum() + arrives @ _served_by(forward, own, threshold)
    return Waits(float(in_time), float(arrives @ moment) / answered, 1.0 - answered)


def _served_by(forward: Floats, own: float, threshold: float) -> Floats:
    """The chance to be served by then, behind j others: backward equation, uniformised."""
    total = float(forward.max()) + own
    weight, k = math.exp(-total * threshold), 0
    value = np.zeros(len(forward) + 1)
    value[0] = 1.0  # served
    result = np.zeros(len(forward) + 1)
    stay = 1.0 - (forward + own) / total
    while k < total * threshold + 12.0 * math.sqrt(total * threshold) + 12.0:
        result += weight * value
        moved = value.copy()
        moved[1:] = stay * value[1:] + forward / total * value[:-1]
        value, k = moved, k + 1
        weight *= total * threshold / k
    return result[1:]


# ---- skills


class Design(NamedTuple):
    """Two queues A and B. `only_a`, `only_b`, `both`: agents of each group; rates per second of the queues.

    The rule: who comes is given to a free agent of its own group, else to a free one of `both`, else waits. An agent
    of a group of its own takes who waits longest in its queue; one of `both` takes from A as long as somebody waits
    there, then from B. Nobody is interrupted. Handling times are exponential with one mean for all."""

    only_a: int
    only_b: int
    both: int
    rates: tuple[float, float]
    service: float


def design_waits(design: Design, most: int) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Mean waits and chances to wait of A and B, and the chance that a queue is as long as `most`, beyond which nobody
    comes in here: the stationary solution of the chain of (busy of A's, of B's, of both, waiting in A, in B)."""
    states = list(_reachable((0, 0, 0, 0, 0), lambda state: [to for to, _ in _moves(design, state, most)]))
    index = {state: n for n, state in enumerate(states)}
    generator = np.zeros((len(states), len(states)))
    for state, n in index.items():
        for to, rate in _moves(design, state, most):
            generator[index[to], n] += rate
            generator[n, n] -= rate
    generator[0, :] = 1.0
    right = np.zeros(len(states))
    right[0] = 1.0
    chance = np.linalg.solve(generator, right)
    columns = np.array(states)
    waiting = [float(chance @ columns[:, 3]), float(chance @ columns[:, 4])]
    full = columns[:, 2] == design.both
    waits_a = float(chance[full & (columns[:, 0] == design.only_a)].sum())
    waits_b = float(chance[full & (columns[:, 1] == design.only_b)].sum())
    cut = float(chance[(columns[:, 3] == most) | (columns[:, 4] == most)].sum())
    # Little's law
    return (waiting[0] / design.rates[0], waiting[1] / design.rates[1]), (waits_a, waits_b), cut


State = tuple[int, int, int, int, int]


def _moves(design: Design, state: State, most: int) -> list[tuple[State, float]]:
    a, b, c, p, q = state
    moves: list[tuple[State, float]] = []
    if a < design.only_a:
        moves.append(((a + 1, b, c, p, q), design.rates[0]))
    elif c < design.both:
        moves.append(((a, b, c + 1, p, q), design.rates[0]))
    elif p < most:
        moves.append(((a, b, c, p + 1, q), design.rates[0]))
    if b < design.only_b:
        moves.append(((a, b + 1, c, p, q), design.rates[1]))
    elif c < design.both:
        moves.append(((a, b, c + 1, p, q), design.rates[1]))
    elif q < most:
        moves.append(((a, b, c, p, q + 1), design.rates[1]))
    if a:
        moves.append(((a, b, c, p - 1, q) if p else (a - 1, b, c, p, q), a / design.service))
    if b:
        moves.append(((a, b, c, p, q - 1) if q else (a, b - 1, c, p, q), b / design.service))
    if c:
        after = (a, b, c, p - 1, q) if p else (a, b, c, p, q - 1) if q else (a, b, c - 1, p, q)
        moves.append((after, c / design.service))
    return moves


def _reachable(first: State, nexts: Callable[[State], list[State]]) -> Iterator[State]:
    seen: dict[Hashable, None] = {first: None}
    rest = [first]
    while rest:
        state = rest.pop()
        yield state
        for each in nexts(state):
            if each not in seen:
                seen[each] = None
                rest.append(each)
