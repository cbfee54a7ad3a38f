"""How often something may be asked for: one rule for every way in.

What costs the server work or an attacker nothing is limited for each client's network. Guesses at passwords are limited
for each account as well, in a way that shuts nobody out of an account by guessing at it:

- A known device, by its device id, has an allowance of its own at each network. Device ids of our client are random, so
  only the device knows its own.
- Whoever else guesses has an allowance for this account at this network, and shares those of the network and of the
  account with others: these an attacker can use up, and then it is other strangers who wait. From a known network the
  right password is taken all the same where the account's is used up.

`KnownClients` says who is known. An address without an account is treated in the same way; nobody is known there, so
all are strangers. A network that is known must not be told from one that is not by whoever shares it and does not know
the password. So both use up the same, and where the account's allowance is used up, both have the password checked
before they are turned away: the answer to a wrong one is the same, and takes as long.

What is counted is taken back if the server was too busy to do what was asked for (`Busy`): nothing was done then, and
who comes back when told to has lost nothing.
"""

import functools
import hashlib
import ipaddress
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

import limits

from walletsync_server.services.errors import Busy, RateLimited

OFF = "off"
"""The rate of what is not limited."""
PAIR_RATE = "20/hour"
"""Guesses at one account's password from one network, or by one known device there."""
STRANGERS_RATE = "100/hour"
"""Guesses at one account's password by all who are not known there."""
MAIL_RATE = "3/hour"
"""Mails to one address for which one network asks: fewer than an address gets, so that others' mails still leave."""
MOST_KEYS = 20_000
STRANGERS_KEYS = 2**16
"""What the accounts that strangers guess at are counted under. Of these none is ever forgotten to make room for others,
else guesses at many accounts would buy more at one; so two accounts that share one share what strangers may guess."""
_IPV6_NETWORK_BITS = 64  # what one household gets
_NEIGHBOURHOOD_BITS = {4: 24, 6: 48}  # what one customer of a provider gets, and more than most have

MakeCounters: TypeAlias = Callable[[str, int], limits.storage.Storage]
"""Returns the counters of one kind of limit, given its name and how many of them it needs room for."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What each network may ask for, in the words of the `limits` library, such as `30/minute`; or `off`.

    `login` is for logins, password changes and deletions of all but known devices; `off` turns the limits of accounts
    off, too.
    """

    signup: str = "20/hour"
    login: str = "30/minute"
    seed: str = "60/minute"
    resend: str = "10/hour"


NO_RATES = Rates(signup=OFF, login=OFF, seed=OFF, resend=OFF)


class Standing(Enum):
    """How an account knows who tries its password."""

    DEVICE = auto()
    NETWORK = auto()
    STRANGER = auto()


class Guess:
    """An attempt that was counted. `refusal`: why it is turned away, unless a known network proves the password."""

    def __init__(self, refusal: RateLimited | None, standing: Standing) -> None:
        self._refusal = refusal
        self.takes_right = refusal is None or standing is Standing.NETWORK
        """Whether the right password will do; if not, the work is to be that of a wrong one."""

    def judge(self, *, right: bool) -> None:
        """Take note of what came out when the password was checked.

        Raises:
            RateLimited: if nobody is to learn it.
        """
        if self._refusal is not None and not (right and self.takes_right):
            raise self._refusal


class Throttle:
    """Counts and refuses. Any thread may use it. What counts, counts from the beginning of the `with` block.

    Args:
        rates: see there.
        secret: keeps what is counted from being recognised; names of clients and accounts are not kept.
        counters: makes what is counted in, once for each kind of limit, so that none of a kind pushes out those of
            another.
        clock: returns seconds since any moment, by a clock that only goes forward, the same as that of the counters.
    """

    def __init__(
        self, rates: Rates, *, secret: bytes, counters: MakeCounters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._secret = secret
        self._counters = functools.cache(counters)
        self._clock = clock
        self.apply(rates)

    def apply(self, rates: Rates) -> None:
        """Have these rates instead, from the next attempt on. What was counted under a rate that stays still counts."""

        def rule(kind: str, rate: str, most: int = MOST_KEYS) -> _Rule:
            return _Rule(rate, self._counters(kind, most), self._clock)

        guesses = rates.login != OFF
        self._signup = rule("signup", rates.signup)
        self._seed = rule("seed", rates.seed)
        self._resend = rule("resend", rates.resend)
        self._mail = rule("mail", MAIL_RATE if rates.resend != OFF else OFF)
        self._login = rule("login", rates.login)
        self._pair = rule("pair", PAIR_RATE if guesses else OFF)
        self._strangers = rule("strangers", STRANGERS_RATE if guesses else OFF, STRANGERS_KEYS)

    @contextmanager
    def sign_up(self, client: str) -> Iterator[None]:
        """Count a sign-up from the address `client`.

        Raises:
            RateLimited: if its network has had too many; so do the others.
        """
        with _counted((self._signup, self._key(network_of(client)))):
            yield

    def ask_for_seed(self, client: str) -> None:
        """Count a question for a salt seed."""
        self._seed.hit(self._key(network_of(client)))

    def ask_for_mail_again(self, client: str) -> None:
        """Count a request to send a mail again."""
        self._resend.hit(self._key(network_of(client)))

    @contextmanager
    def ask_for_mail(self, client: str, email: str) -> Iterator[None]:
        """Count a request that sends a mail to an address, whether it has an account or not."""
        with _counted((self._mail, self._key(network_of(client), email))):
            yield

    @contextmanager
    def guess(
        self, client: str, email: str, device_id: str = "", *, standing: Standing = Standing.STRANGER
    ) -> Iterator[Guess]:
        """Count an attempt to prove an account's password, which is to be checked and judged inside of the block.

        Args:
            client: address that it comes from.
            email: canonical address of the account, which may not exist.
            device_id: the device, if it says which.
            standing: as what it is known there.

        Raises:
            RateLimited: if its own allowance or its network's is used up.
        """
        network = network_of(client)
        if standing is Standing.DEVICE:
            with _counted((self._pair, self._key("device", email, network, device_id))):
                yield Guess(None, standing)
            return
        # The network's comes first, so that one network cannot fill the counters of the others.
        own = (self._login, self._key(network)), (self._pair, self._key("network", email, network))
        of_account = self._strangers, str(int(self._key(email), 16) % STRANGERS_KEYS)
        with _counted(*own), _counted_late(*of_account) as refusal:
            yield Guess(refusal, standing)

    def _key(self, *parts: str) -> str:
        digest = hashlib.blake2b(key=self._secret, digest_size=16)
        for part in parts:
            text = part.encode()
            digest.update(len(text).to_bytes(4, "big") + text)
        return digest.hexdigest()


class _Rule:
    """One kind of limit."""

    def __init__(self, rate: str, counters: limits.storage.Storage, clock: Callable[[], float]) -> None:
        self._rates = [] if rate == OFF else limits.parse_many(rate)
        self._limiter = limits.strategies.FixedWindowRateLimiter(counters)
        self._clock = clock

    def hit(self, key: str) -> None:
        """Count one; refuse it if there were too many."""
        refused = [rate for rate in self._rates if not self._limiter.hit(rate, key)]
        if refused:
            end = max(self._limiter.get_window_stats(rate, key).reset_time for rate in refused)
            raise RateLimited(max(1, math.ceil(end - self._clock())))

    def take_back(self, key: str) -> None:
        """Count one less."""
        for rate in self._rates:
            self._limiter.hit(rate, key, cost=-1)


@contextmanager
def _counted(*hits: tuple[_Rule, str]) -> Iterator[None]:
    """Count these, one after the other, as far as none refuses; take them back if the block raises `Busy`."""
    for rule, key in hits:
        rule.hit(key)
    with _taken_back_if_busy(*hits):
        yield


@contextmanager
def _counted_late(rule: _Rule, key: str) -> Iterator[RateLimited | None]:
    """Do as `_counted`, and yield the refusal instead of raising it."""
    refusal = None
    try:
        rule.hit(key)
    except RateLimited as error:
        refusal = error
    with _taken_back_if_busy((rule, key)):
        yield refusal


@contextmanager
def _taken_back_if_busy(*hits: tuple[_Rule, str]) -> Iterator[None]:
    try:
        yield
    except Busy:
        for rule, key in hits:
            rule.take_back(key)
        raise


@functools.lru_cache(maxsize=4096)
def neighbourhood_of(client: str) -> str:
    """Return the addresses around one, of which one person may well have all; else the text itself."""
    try:
        address = ipaddress.ip_network(network_of(client), strict=False)
    except ValueError:
        return client
    return str(address.supernet(new_prefix=_NEIGHBOURHOOD_BITS[address.version]))


def network_of(client: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 network of 64 bits; else the text itself."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _IPV6_NETWORK_BITS), strict=False))
