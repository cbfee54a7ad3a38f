"""What the server promises. Knows neither HTTP nor SQL, and takes its clock and its storage from outside."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from walletsync_server.live import Live
from walletsync_server.services.about import About
from walletsync_server.services.accounts import Accounts
from walletsync_server.services.mail import Mails
from walletsync_server.services.password_change import PasswordChange
from walletsync_server.services.passwords import QUEUE, Passwords
from walletsync_server.services.seeds import Seeds
from walletsync_server.services.signups import Signups
from walletsync_server.services.store import Store
from walletsync_server.services.throttle import NO_RATES, Rates, Throttle
from walletsync_server.services.tokens import Tokens
from walletsync_server.services.updates import Updates
from walletsync_server.services.wallets import Wallets
from walletsync_server.storage.interface import Storage


@dataclass(frozen=True, kw_only=True)
class Services:
    """All of them, over one storage."""

    about: About
    accounts: Accounts
    mails: Mails
    password_change: PasswordChange
    passwords: Passwords
    seeds: Seeds
    signups: Signups
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
    confirm_addresses: bool = False,
    clock: Callable[[], datetime] = utc_now,
    passwords: Passwords | None = None,
    password_queue: int = QUEUE,
    rates: Rates = NO_RATES,
    live: Live | None = None,
) -> Services:
    """Wire the services over `storage`; the server's secret is made now if the database has none.

    Args:
        storage: open, and closed by whoever opened it.
        may_sign_up: decides about a canonical e-mail address.
        max_wallet_bytes: limit of `encryptedWallet`, in bytes of UTF-8.
        confirm_addresses: whether a sign-up waits until its address is confirmed by mail.
        clock: returns the time, aware.
        passwords: the hashing; by default as many at once as this process has cores.
        password_queue: how many more may wait for it.
        rates: how often clients may ask for what costs; by default as often as they like.
        live: who is told of new wallets and of revoked tokens; by default nobody, and no client is told
            that it may listen.

    Raises:
        Unavailable: if the storage does not answer.
    """
    store = Store(storage)
    about = About(store, max_wallet_bytes=max_wallet_bytes, live_updates=live is not None)
    live = Live() if live is None else live
    fresh = secrets.token_bytes(32)
    secret = store.write(lambda transaction: transaction.keep_secret(fresh))
    tokens = Tokens(store, clock, live)
    throttle = Throttle(rates, secret=secret, clock=lambda: clock().timestamp())
    passwords = passwords or Passwords(at_once=_cores(), queue=password_queue)
    signups = Signups(store, passwords=passwords, secret=secret, clock=clock)
    return Services(
        about=about,
        accounts=Accounts(
            store,
            passwords=passwords,
            throttle=throttle,
            tokens=tokens,
            may_sign_up=may_sign_up,
            clock=clock,
            live=live,
            signups=signups if confirm_addresses else None,
        ),
        mails=Mails(store, clock),
        password_change=PasswordChange(store, passwords=passwords, throttle=throttle, live=live),
        passwords=passwords,
        seeds=Seeds(store, secret, throttle),
        signups=signups,
        tokens=tokens,
        updates=Updates(store, tokens=tokens, live=live, clock=clock),
        wallets=Wallets(store, tokens=tokens, max_bytes=max_wallet_bytes, clock=clock, live=live),
    )


def _cores() -> int:
    """Return how many cores this process may use; not every system tells, so else how many there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
