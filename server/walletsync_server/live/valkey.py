"""Telling listeners at other processes and hosts: a bridge between their hubs, over Valkey or Redis.

Every process tells its own hub at once, and the others by a message on one channel. What a message says is a hint: it
may be lost, come twice or come late. So nothing is kept, nobody waits, and whoever may have missed something looks into
the database. Only this room and the counters know Valkey.
"""

import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Any, Self, TypeAlias

import msgspec
import valkey
from typing_extensions import override

from walletsync_server.live.hub import Hub
from walletsync_server.live.interface import Publisher, Reach

TIMEOUT = 1.0
"""Seconds that Valkey may take to answer."""
MOST_WAITING = 10_000
"""Messages that wait to be sent; of more, all are told that they missed something."""
LEAST_PAUSE, MOST_PAUSE = 0.25, 1.5
"""Seconds until the next attempt to connect: at random, so that not all processes come at once."""
QUIET_SECONDS = 5.0
"""After so much silence Valkey is asked whether it is there, and after twice as much it is not."""
_TURN = 0.25
_SCHEMES = {"redis": "valkey", "rediss": "valkeys"}


class _Hint(msgspec.Struct, frozen=True, array_like=True, tag="new"):
    account_id: int
    sequence: int


class _HangUp(msgspec.Struct, frozen=True, array_like=True, tag="void"):
    account_id: int
    token: bytes


class _HangUpAll(msgspec.Struct, frozen=True, array_like=True, tag="all"):
    account_id: int
    epoch: int


class _Gap(msgspec.Struct, frozen=True, array_like=True, tag="gap"):
    """The sender lost messages, and does not know which."""


_Message: TypeAlias = _Hint | _HangUp | _HangUpAll | _Gap
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Message).decode


class Bridge(Publisher):
    """Carries what is published here to other hubs, and what is published there to this one, between enter and exit.

    Args:
        url: `valkey://`, `redis://`, or with TLS `valkeys://` and `rediss://`; it may have a password.
        channel: that of one database: account ids mean something there only.
        hub: the listeners of this process.
        on_change: called with whether the bridge stands, by a thread of its own, whenever that changes.
    """

    def __init__(self, url: str, channel: str, hub: Hub, *, on_change: Callable[[bool], None]) -> None:
        self._url = url
        self._channel = channel
        self._hub = hub
        self._on_change = on_change
        self._outgoing: queue.Queue[_Message | None] = queue.Queue(MOST_WAITING)
        self._over, self._missed, self._lost = threading.Event(), threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._working: set[str] = set()
        self._stands: bool | None = None
        self._threads = [
            threading.Thread(target=self._keep_at, args=(work,), name=f"live-{work.__name__}", daemon=True)
            for work in (self._send, self._hear)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._offer(None)
        for thread in self._threads:
            thread.join()

    @property
    @override
    def reach(self) -> Reach:
        return "servers" if self._stands else "cut off"

    def mend(self, tell: Callable[[], int]) -> int:
        """Call `tell`, which tells every listener what is so now, if some may have missed it; return what it returns.

        For one thread, often. If `tell` raises, it is called again the next time.
        """
        if not self._missed.is_set():
            return 0
        self._missed.clear()
        with ExitStack() as undo:
            undo.callback(self._missed.set)
            count = tell()
            undo.pop_all()
        return count

    @override
    def publish(self, account_id: int, sequence: int) -> None:
        self._hub.publish(account_id, sequence)
        self._offer(_Hint(account_id, sequence))

    @override
    def hang_up(self, account_id: int, token: bytes) -> None:
        self._hub.hang_up(account_id, token)
        self._offer(_HangUp(account_id, token))

    @override
    def hang_up_all(self, account_id: int, epoch: int) -> None:
        self._hub.hang_up_all(account_id, epoch)
        self._offer(_HangUpAll(account_id, epoch))

    def _offer(self, message: _Message | None) -> None:
        try:
            self._outgoing.put_nowait(message)
        except queue.Full:
            self._lost.set()

    def _keep_at(self, work: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                work()
            except valkey.ValkeyError:
                self._note(work.__name__, works=False)
                self._over.wait(random.uniform(LEAST_PAUSE, MOST_PAUSE))  # noqa: S311 - no secret

    def _send(self) -> None:
        with ExitStack() as stack:
            client = stack.enter_context(closing(connect(self._url)))
            stack.callback(self._lost.set)  # whatever is on its way when this ends
            client.ping()
            self._note(self._send.__name__, works=True)
            while not self._over.is_set():
                if self._lost.is_set():
                    self._lost.clear()
                    client.publish(self._channel, _encode(_Gap()))
                message = self._outgoing.get()
                if message is not None:
                    client.publish(self._channel, _encode(message))

    def _hear(self) -> None:
        with closing(connect(self._url)) as client, closing(_subscription(client)) as subscription:
            subscribe: Callable[[str], None] = subscription.subscribe
            subscribe(self._channel)
            heard_at = time.monotonic()
            while not self._over.is_set():
                message = subscription.get_message(timeout=_TURN)
                quiet = time.monotonic() - heard_at
                if message is not None:
                    heard_at = time.monotonic()
                    self._take(message)
                elif quiet > 2 * QUIET_SECONDS:
                    raise valkey.TimeoutError
                elif quiet > QUIET_SECONDS:
                    subscription.ping()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":  # from here on all is heard; what was before may not have been
            self._missed.set()
            self._note(self._hear.__name__, works=True)
        elif message["type"] == "message":
            try:
                self._tell(_decode(message["data"]))
            except msgspec.MsgspecError:  # that of a newer version; what it means is in the database as well
                self._missed.set()

    def _tell(self, message: _Message) -> None:
        """Tell this hub; once more does no harm where the message is this process's own."""
        match message:
            case _Hint():
                self._hub.publish(message.account_id, message.sequence)
            case _HangUp():
                self._hub.hang_up(message.account_id, message.token)
            case _HangUpAll():
                self._hub.hang_up_all(message.account_id, message.epoch)
            case _Gap():
                self._missed.set()

    def _note(self, name: str, *, works: bool) -> None:
        with self._lock:
            (self._working.add if works else self._working.discard)(name)
            stands = len(self._working) == len(self._threads)
            if (works and not stands) or stands == self._stands:
                return
            self._stands = stands
            self._on_change(stands)


def _subscription(client: valkey.Valkey) -> valkey.client.PubSub:
    make: Callable[[], valkey.client.PubSub] = client.pubsub  # which has no types
    return make()


def connect(url: str, timeout: float = TIMEOUT) -> "valkey.Valkey":
    """Return a client that connects when it is first asked, and waits no longer than `timeout` seconds for anything."""
    return valkey.Valkey.from_url(as_valkey(url), socket_timeout=timeout, socket_connect_timeout=timeout)


def as_valkey(url: str) -> str:
    """Return the URL as the client library has it, which speaks with both."""
    scheme, separator, rest = url.partition("://")
    return _SCHEMES.get(scheme, scheme) + separator + rest


def ask_version(url: str) -> str | None:
    """Return the version of what answers there; None if nothing does, or it refuses."""
    try:
        with closing(connect(url)) as client:
            told: Any = client.info("server")
    except valkey.ValkeyError:
        return None
    return str(told.get("valkey_version") or told.get("redis_version"))
