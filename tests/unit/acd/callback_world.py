"""A contact centre that calls its customers back."""

from acd_world import World, agent, queue

from acd import inputs as i
from acd.config import CallbackRules, Queue


def sales(**rules: object) -> Queue:
    return queue("sales", callback=CallbackRules(**{"retry": {"busy": 300.0}, **rules}))  # type: ignore[arg-type]


def world(*queues: Queue, **more: object) -> World:
    return World(queues or [sales()], [agent("ann"), agent("bob")], **more)  # type: ignore[arg-type]


def ask(callback: str = "b1", number: str = "+491", queue: str = "sales", **more: object) -> i.AskCallback:
    return i.AskCallback(callback, number, **{"queue": queue, **more})  # type: ignore[arg-type]
