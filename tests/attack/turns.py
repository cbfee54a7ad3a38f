"""Threads that take turns: each runs one transaction and what follows up to the next one, then waits to be called."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from walletsync_server.storage.interface import ReadTransaction, Storage, WriteTransaction

T = TypeVar("T")
_PATIENCE_SECONDS = 30.0


@dataclass
class Actor:
    """What somebody does, in turns. `result` is what came of it, once it is done."""

    work: Callable[[], object]
    result: object = None
    call: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    done: bool = False


class Turns:
    """Calls actors one after the other. Whoever is no actor never waits."""

    def __init__(self, most_actors: int) -> None:
        self._threads = ThreadPoolExecutor(most_actors)
        self._here = threading.local()
        self._stopped = threading.Semaphore(0)  # released by an actor that waits for its turn or is done

    def wait(self) -> None:
        """Let the others go on until this actor is called again."""
        actor: Actor | None = getattr(self._here, "actor", None)
        if actor is not None:
            self._stopped.release()
            assert actor.call.acquire(timeout=_PATIENCE_SECONDS), "nobody called"

    def play(self, works: Sequence[Callable[[], object]], order: Iterable[int]) -> list[object]:
        """Return what comes of each work, an exception too. They take turns in this order, then one after the other.

        A number in `order` stands for a work; one that is done already is passed over.
        """
        actors = [Actor(work) for work in works]
        for actor in actors:
            self._threads.submit(self._act, actor)
            self._until_one_stops()
        for number in order:
            self._go_on(actors[number])
        for actor in actors:
            while not actor.done:
                self._go_on(actor)
        return [actor.result for actor in actors]

    def close(self) -> None:
        self._threads.shutdown()

    def _go_on(self, actor: Actor) -> None:
        if not actor.done:
            actor.call.release()
            self._until_one_stops()

    def _until_one_stops(self) -> None:
        assert self._stopped.acquire(timeout=_PATIENCE_SECONDS), "an actor neither waits nor ends"

    def _act(self, actor: Actor) -> None:
        self._here.actor = actor
        try:
            actor.result = actor.work()
        except Exception as error:  # noqa: BLE001 - not swallowed: it is what came of it
            actor.result = error
        actor.done = True
        self._stopped.release()


class InTurns(Storage):
    """A storage whose transactions wait for their turn, and after a commit once more."""

    def __init__(self, storage: Storage, turns: Turns) -> None:
        self._storage = storage
        self._turns = turns

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        self._turns.wait()
        return self._storage.read(work)

    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        self._turns.wait()
        try:
            return self._storage.submit(work)
        finally:
            self._turns.wait()

    def close(self) -> None:
        self._storage.close()


def orders(turns: Sequence[int]) -> Iterator[list[int]]:
    """Give every order in which actors can take as many turns as `turns` says, each once."""
    if not any(turns):
        yield []
    for number, left in enumerate(turns):
        if left:
            rest = [*turns[:number], left - 1, *turns[number + 1 :]]
            yield from ([number, *order] for order in orders(rest))
