"""What the server promises. Knows neither HTTP nor SQL, and takes its clock and its storage from outside."""

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from walletsync_server.live.hub import Hub
from walletsync_server.live.interface import Publisher
from walletsync_server.services.about import About
from walletsync_server.services.accounts import Accounts
from walletsync_server.services.clocks import CautiousClock
from walletsync_server.services.figures import Figures
from walletsync_server.services.known_clients import KnownClients
from walletsync_server.services.mail_queue import MailQueue
from walletsync_server.services.memory_counters import MemoryCounters
from walletsync_server.services.password_change import PasswordChange
from walletsync_server.services.passwords import QUEUE, Passwords
from walletsync_server.services.readiness import Readiness
from walletsync_server.services.seeds import Seeds
from walletsync_server.services.signups import Signups
from walletsync_server.services.store import Store
from walletsync_server.services.throttle import NO_RATES, MakeCounters, Rates, Throttle
from walletsync_server.services.tokens import Tokens
from walletsync_server.services.updates import Updates
from walletsync_server.services.wallets import KEPT_BYTES, Keeper, Wallets
from walletsync_server.storage.interface import Storage


@dataclass(frozen=True, kw_only=True)
class Services:
    """All of them, over one storage. `may_wait` is as the storage's: an event loop calls none of them then."""

    about: About
    accounts: Accounts
    figures: Figures
    known_clients: KnownClients
    may_wait: bool
    mail_queue: MailQueue
    password_change: PasswordChange
    passwords: Passwords
    readiness: Readiness
    seeds: Seeds
    signups: Signups
    throttle: Throttle
    tokens: Tokens
    updates: Updates
    wallets: Wallets


def utc_now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


def build_services(
    storage: Storage,
    *,
    may_sign_up: Callable[[str], bool],
    max_wallet_bytes: int,
    kept_bytes: int = KEPT_BYTES,
    confirm_addresses: bool = False,
    clock: Callable[[], datetime] = utc_now,
    seconds: Callable[[], float] = time.monotonic,
    passwords: Passwords | None = None,
    password_queue: int = QUEUE,
    processes: int = 1,
    rates: Rates = NO_RATES,
    counters: MakeCounters | None = None,
    hub: Hub | None = None,
    publisher: Publisher | None = None,
) -> Services:
    """Wire the services over `storage`; the server's secret is made now if the database has none.

    Args:
        storage: open, and closed by whoever opened it.
        may_sign_up: decides about a canonical e-mail address.
        max_wallet_bytes: limit of `encryptedWallet`, in bytes of UTF-8.
        kept_bytes: limit of all kept versions of a wallet together, where the account has no quota.
        confirm_addresses: whether a sign-up waits until its address is confirmed by mail.
        clock: returns the time, aware.
        seconds: returns the seconds since any moment, by a clock that nobody sets; rates are measured with it,
            whether `clock` was set, and how long ago something was written.
        passwords: the hashing; by default as many at once as this process has cores, or its share of them.
        password_queue: how many more may wait for it.
        processes: how many share the cores.
        rates: how often clients may ask for what costs; by default as often as they like.
        counters: makes what the rates are counted in; by default this process counts alone.
        hub: the listeners, who are told of new wallets and of revoked tokens; by default there are none, and no client
            is told that it may listen.
        publisher: tells the listeners of other processes as well; by default there are none but the hub's.

    Raises:
        Unavailable: if the storage does not answer.
    """
    store = Store(storage, seconds)
    secret = server_secret(storage)
    about = About(max_wallet_bytes=max_wallet_bytes, live_updates=hub is not None)
    hub = Hub() if hub is None else hub
    publisher = hub if publisher is None else publisher
    keeper = Keeper(kept_bytes, clock)
    purge_clock = CautiousClock(clock, seconds)
    tokens = Tokens(store, clock, publisher, purge_clock=purge_clock)
    throttle = Throttle(rates, secret=secret, counters=counters or _in_memory(seconds), clock=seconds)
    known = KnownClients(store, secret, clock, purge_clock=purge_clock)
    passwords = passwords or Passwords(at_once=max(1, _cores() // processes), queue=password_queue)
    signups = Signups(store, passwords=passwords, secret=secret, clock=clock, purge_clock=purge_clock)
    return Services(
        about=about,
        accounts=Accounts(
            store,
            passwords=passwords,
            throttle=throttle,
            known=known,
            tokens=tokens,
            may_sign_up=may_sign_up,
            clock=clock,
            publisher=publisher,
            signups=signups if confirm_addresses else None,
        ),
        figures=Figures(store, seconds),
        known_clients=known,
        may_wait=store.may_wait,
        mail_queue=MailQueue(store, clock),
        password_change=PasswordChange(
            store, passwords=passwords, throttle=throttle, known=known, keeper=keeper, publisher=publisher
        ),
        passwords=passwords,
        readiness=Readiness(store, clock, seconds, publisher),
        seeds=Seeds(store, secret, throttle),
        signups=signups,
        throttle=throttle,
        tokens=tokens,
        updates=Updates(store, tokens=tokens, hub=hub, publisher=publisher, clock=clock, seconds=seconds),
        wallets=Wallets(store, tokens=tokens, keeper=keeper, max_bytes=max_wallet_bytes, publisher=publisher),
    )


def server_secret(storage: Storage) -> bytes:
    """Return the server's secret, which is made now if the database has none.

    Raises:
        Unavailable: if the storage does not answer.
    """
    store, fresh = Store(storage), secrets.token_bytes(32)
    # A disk that is full keeps nobody from reading: nothing is written that is there.
    return store.read(lambda transaction: transaction.secret()) or store.write(
        lambda transaction: transaction.keep_secret(fresh)
    )


def _in_memory(clock: Callable[[], float]) -> MakeCounters:
    return lambda _kind, most: MemoryCounters(most, clock)


def _cores() -> int:
    """Return how many cores this process may use; not every system tells, so else how many there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
