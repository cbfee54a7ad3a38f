"""Whose turn it is: one verb of a client at a time, whichever thread calls it, and in its own process only.

A verb reads what it writes later, over the network and the disk, so two at once would undo each other's work. The
second one waits, also where the first is a cancelled `asyncio.to_thread`, whose thread goes on. What can never go well
is refused at once: a verb inside another one of the same thread, after `close()`, and in a process that was forked.
"""

import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from walletsync.errors import NotReady, UsageError
from walletsync.remedies import Remedy

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Turns:
    """Hands out turns."""

    def __init__(self) -> None:
        # This lock itself, in a `with`, is what no exception can leave locked; a method of ours around it would not be.
        # Reentrant, so that a thread that has the turn already gets as far as being told so.
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._is_taken = False
        self._has_begun = False
        self._is_over = False

    def take(self, verb: Callable[[], _T]) -> _T:
        """Return what `verb` returns, once it is its turn.

        Raises:
            UsageError: this thread has the turn already.
            NotReady: there are no turns any more, or not in this process.
        """
        if self._is_elsewhere():  # before the lock: whoever had it when this process was forked does not exist here
            raise NotReady(
                f"This client was made in process {self._process}, and this one was forked from it.",
                remedy=Remedy.MAKE_NEW_CLIENT,
            )
        with self._lock:
            self._check_is_free()
            if self._is_over:
                raise NotReady("This client is closed.", remedy=Remedy.MAKE_NEW_CLIENT)
            self._is_taken = True
            try:
                return verb()
            finally:
                self._is_taken = False

    def begin(self) -> None:
        """Let a `with` begin, the only one: its end closes the client.

        Raises:
            NotReady: there was one already, or there are no turns any more.
        """
        self.take(self._begin)

    def end(self, last: Callable[[], object]) -> None:
        """Call `last`, once it is its turn, and hand out none any more. In a process that was forked, do nothing."""
        if self._is_elsewhere():
            return
        with self._lock:
            self._check_is_free()
            last()
            self._is_over = True

    def _is_elsewhere(self) -> bool:
        return os.getpid() != self._process

    def _check_is_free(self) -> None:
        if self._is_taken:
            raise UsageError(
                "A function that this client called has called the client, and nothing was done. Let it return the "
                "value to keep instead."
            )

    def _begin(self) -> None:
        if self._has_begun:
            raise NotReady("This client is or was in a `with` already.", remedy=Remedy.MAKE_NEW_CLIENT)
        self._has_begun = True


class _HasTurns(Protocol):
    @property
    def _turns(self) -> Turns: ...


_C = TypeVar("_C", bound=_HasTurns)


def one_at_a_time(verb: Callable[Concatenate[_C, _P], _T]) -> Callable[Concatenate[_C, _P], _T]:
    """Make a method wait for its turn."""

    @wraps(verb)
    def in_turn(self: _C, /, *arguments: _P.args, **options: _P.kwargs) -> _T:
        return self._turns.take(lambda: verb(self, *arguments, **options))

    return in_turn
