"""Several processes that serve one address, each with an event loop of its own.

Their parent serves nobody and has no threads, so that it may fork at any time. It starts them, passes signals on,
replaces one that dies or hangs, and speaks for all with a supervisor such as systemd. They end when it does, however
it ends.
"""

import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from walletsync_server.observe import logs

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_READY, _BEAT = b"r", b"b"
_TICK_SECONDS = 1.0
STILL_TICKS = 5
"""A worker from which nothing was heard for so long stands still. Ticks are counted and not seconds, since those pass
also where the parent does not run: where all of them are paused, none is at fault."""
HUNG_TICKS = 30
"""One that stands still for so long is killed, before systemd ends all."""
LIVED_SECONDS = 60.0
"""One that has lived so long is replaced at once, whatever became of those before it."""
LONGEST_PAUSE_SECONDS = 30.0


class WorkerDidNotStart(Exception):
    """One of the first workers ended before it served anybody, or could not even be forked.

    `status` is the exit status of the worker, if it ended by itself; then it has said why.
    """

    def __init__(self, reason: str = "see above why.", status: int = 1) -> None:
        super().__init__(f"A worker did not start, and the others were stopped: {reason}")
        self.status = status


@dataclass(frozen=True)
class Link:
    """What a worker has of its parent. Nothing here waits or raises, whatever became of the parent.

    Attributes:
        number: from 1 on; one that replaces another has its number.
        life: when nothing more can be read of it, the parent is gone.
        asked: by which the parent asks, see `observe.together`.
    """

    number: int
    life: socket.socket
    asked: socket.socket

    def say_ready(self) -> None:
        """Tell the parent that clients are served."""
        self._say(_READY)

    def say_alive(self) -> None:
        """Tell the parent that the event loop turns."""
        self._say(_BEAT)

    def _say(self, word: bytes) -> None:
        with suppress(OSError):
            self.life.send(word, socket.MSG_DONTWAIT)


@dataclass
class _Worker:
    """A worker as its parent sees it: the other ends of its link, and for how many ticks nothing was heard of it."""

    pid: int
    life: socket.socket
    asks: socket.socket
    started: float
    silent: int = 0
    is_ready: bool = False

    def close(self) -> None:
        self.life.close()
        self.asks.close()


class Workers:
    """All workers, for their parent. Not for use by several threads.

    `replacements` says how many were started in the place of one that died.

    Args:
        count: how many serve.
        on_ready: called once, when all of them do.
        on_stopping: called once, when they are told to end.
        on_tick: called about once a second, as long as none of those that serve stands still.
        on_hangup: called at SIGHUP.
    """

    def __init__(
        self,
        count: int,
        *,
        on_ready: Callable[[], None],
        on_stopping: Callable[[], None],
        on_tick: Callable[[], None],
        on_hangup: Callable[[], None],
    ) -> None:
        self.replacements = 0
        self._on_ready = on_ready
        self._on_stopping = on_stopping
        self._on_tick = on_tick
        self._on_hangup = on_hangup
        self._workers: dict[int, _Worker] = {}
        self._due = dict.fromkeys(range(1, count + 1), 0.0)
        """When which is to be started."""
        self._pauses: dict[int, float] = {}
        self._have_served = False
        self._is_stopping = False
        self._failure: WorkerDidNotStart | None = None
        self._ticked = 0.0
        self._selector = selectors.PollSelector()  # of which a fork shares nothing

    def run(self, stopping: threading.Event) -> Link | None:
        """Return its link in each worker, as soon as it is forked; and None in the parent, when all have ended.

        Args:
            stopping: set if a signal that ends all came before this.

        Raises:
            WorkerDidNotStart: in the parent, when all have ended because one of the first did before it served.
        """
        with _signals() as signals:
            self.watch(signals, self._take_signals)
            if stopping.is_set():
                self.stop()
            while self._workers or self._due:
                while (number := self._next_due()) is not None:
                    try:
                        if link := self._start(number):
                            return link
                    except OSError as error:
                        self._put_off(number, error)
                for key, _ in self._selector.select(self._patience()):
                    key.data(key.fileobj)
                self._tick()
        if self._failure is not None:
            raise self._failure
        return None

    def watch(self, file: Any, on_readable: Callable[[Any], object]) -> None:
        """Call `on_readable` with `file` whenever there is something to read of it, or its end is reached."""
        self._selector.register(file, selectors.EVENT_READ, on_readable)

    def forget(self, file: Any) -> None:
        """Watch `file` no longer."""
        self._selector.unregister(file)

    def asked(self) -> dict[int, socket.socket]:
        """Return the sockets by which to ask those that serve, by their numbers."""
        return {number: worker.asks for number, worker in sorted(self._workers.items()) if worker.is_ready}

    def hang_up(self) -> None:
        """Send SIGHUP to all."""
        self._send(signal.SIGHUP)

    def stop(self) -> None:
        """Have all finish what they have begun, and replace none. Twice is fine."""
        if not self._is_stopping:
            self._is_stopping = True
            self._on_stopping()
        self._due.clear()
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            os.kill(worker.pid, number)  # it is there until `_bury` has waited for it

    def _next_due(self) -> int | None:
        """Return the number of one that is to be started now; asked anew after each, which may have ended all."""
        now = time.monotonic()
        return next((number for number, moment in self._due.items() if moment <= now), None)

    def _patience(self) -> float:
        next_start = min(self._due.values(), default=float("inf")) - time.monotonic()
        return min(_TICK_SECONDS, max(0.0, next_start))

    def _start(self, number: int) -> Link | None:
        """Fork; return the link in the worker, and None in the parent.

        Raises:
            OSError: if the system has no room for another process.
        """
        with ExitStack() as undo:
            life, its_life = map(undo.enter_context, socket.socketpair())
            asks, asked = map(undo.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
            # Until the worker has handlers of its own, a signal waits; in the parent, those of `_signals` are there.
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                pid = os.fork()
            except OSError:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
                raise
            undo.pop_all()
        if pid == 0:
            for each in self._workers.values():
                each.close()  # or the others would not notice the parent's end
            life.close()
            asks.close()
            return Link(number, its_life, asked)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        its_life.close()
        asked.close()
        del self._due[number]
        self._workers[number] = _Worker(pid, life, asks, time.monotonic())
        self.watch(life, partial(self._hear, number))
        return None

    def _hear(self, number: int, life: socket.socket) -> None:
        words = life.recv(4096)
        if not words:
            self._bury(number)
            return
        worker = self._workers[number]
        worker.silent = 0
        worker.is_ready = worker.is_ready or _READY in words
        is_first = not (self._have_served or self._is_stopping or self._due)
        if is_first and all(each.is_ready for each in self._workers.values()):
            self._have_served = True
            self._on_ready()

    def _bury(self, number: int) -> None:
        """Wait for the end of one that is ending; have another one started in its place."""
        worker = self._workers.pop(number)
        self._selector.unregister(worker.life)
        worker.close()
        status = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        is_wanted = self._have_served and not self._is_stopping
        if status < 0 and not is_wanted:  # others have said themselves why they ended
            logs.worker_ended(number, status)
        if self._is_stopping:
            return
        if not self._have_served:
            self._failure = WorkerDidNotStart(status=max(status, 1))
            self.stop()
        else:
            logs.worker_ended(number, status, self._replace(number, time.monotonic() - worker.started))
            self.replacements += 1

    def _replace(self, number: int, lived: float) -> float:
        """Have one that lived for so many seconds replaced; return after how many."""
        pause = self._pauses[number] = pause_after(lived, self._pauses.get(number))
        self._due[number] = time.monotonic() + pause
        return pause

    def _put_off(self, number: int, error: OSError) -> None:
        """Try again later to start a worker for which the system has no room now; if it is a first one, end all."""
        if self._have_served:
            logs.worker_not_started(number, error, self._replace(number, 0.0))
        else:
            self._failure = WorkerDidNotStart(
                f"{error.strerror}. Set fewer workers, or allow this user more processes."
            )
            self.stop()

    def _take_signals(self, signals: socket.socket) -> None:
        for number in signals.recv(4096):
            if number == signal.SIGHUP:
                self._on_hangup()
            else:
                self.stop()

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._ticked < _TICK_SECONDS:
            return
        self._ticked = now
        serving = {number: worker for number, worker in self._workers.items() if worker.is_ready}
        for worker in serving.values():
            worker.silent += 1
        if not self._have_served or not serving:
            return
        if all(worker.silent < STILL_TICKS for worker in serving.values()):
            self._on_tick()
        if not self._is_stopping:  # then nobody gives signs of life, and a supervisor has patience of its own
            self._kill_the_hung(serving)

    def _kill_the_hung(self, serving: dict[int, _Worker]) -> None:
        for number, worker in serving.items():
            if worker.silent == HUNG_TICKS:  # once: it may take long to die
                logs.worker_stands_still(number)
                os.kill(worker.pid, signal.SIGKILL)


def pause_after(lived: float, last: float | None) -> float:
    """Return after how many seconds a worker is replaced.

    The first time that is at once. One that dies again and again is not to take the processor from the others.

    Args:
        lived: how many seconds it did.
        last: how many the one before it waited for; None if it was the first.
    """
    if last is None or lived >= LIVED_SECONDS:
        return 0.0
    return min(max(1.0, 2 * last), LONGEST_PAUSE_SECONDS)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Give a socket from which the numbers of signals are read, a byte each; in the end all is as it was."""
    told, tells = socket.socketpair()
    with told, tells:
        told.setblocking(False)
        tells.setblocking(False)
        earlier = {each: signal.signal(each, lambda *_: None) for each in _SIGNALS}
        signal.set_wakeup_fd(tells.fileno())
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        try:
            yield told
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            signal.set_wakeup_fd(-1)
            for each, handler in earlier.items():
                signal.signal(each, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
