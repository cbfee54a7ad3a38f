"""Threads that take turns: each runs one transaction and what follows up to the next one, then waits to be called."""

import threading
from collections.abc import Callable, Iterator, Sequence
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
    called: bool = False
    done: bool = False


@dataclass(frozen=True)
class Played:
    """What came of each work; in which order they were called, by number; and at each call, who could have been."""

    results: list[object]
    order: list[int]
    callable: list[list[int]]


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

    def play(self, works: Sequence[Callable[[], object]], order: Sequence[int]) -> Played:
        """Call the works in this order until each is done; where it gives out, always the first that is not.

        Of two that are the same work, the first is called first: it makes no difference who is who.
        """
        actors = [Actor(work) for work in works]
        for actor in actors:
            self._threads.submit(self._act, actor)
            self._until_one_stops()
        played = Played([], [], [])
        while numbers := _callable(actors):
            place = len(played.order)
            number = order[place] if place < len(order) else numbers[0]
            played.order.append(number)
            played.callable.append(numbers)
            self._call(actors[number])
        played.results.extend(actor.result for actor in actors)
        return played

    def close(self) -> None:
        self._threads.shutdown()

    def _call(self, actor: Actor) -> None:
        actor.called = True
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


def every_order(play: Callable[[Sequence[int]], Played]) -> Iterator[Played]:
    """Play every order in which the actors can take their turns, each once.

    How many turns each takes shows only while it is played: whoever is refused has fewer. So `play` is given the
    beginning of an order, and from the last call back somebody else is called wherever somebody else could have been.
    """
    beginning: list[int] | None = []
    while beginning is not None:
        played = play(beginning)
        yield played
        beginning = _next(played)


def _next(played: Played) -> list[int] | None:
    for place in reversed(range(len(played.order))):
        later = [number for number in played.callable[place] if number > played.order[place]]
        if later:
            return [*played.order[:place], later[0]]
    return None


def _callable(actors: Sequence[Actor]) -> list[int]:
    """Return the numbers of those that are not done, but of those with the same work only the first to be called."""
    return [
        number
        for number, actor in enumerate(actors)
        if not actor.done and not any(twin.work == actor.work and not twin.called for twin in actors[:number])
    ]
