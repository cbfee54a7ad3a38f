"""How often something may be asked for: one rule for every way in.

What costs the server work or an attacker nothing is limited for each client's network. Guesses at passwords are limited
for each account as well, in a way that shuts nobody out of an account by guessing at it:

- A device that has or lately had a token, by its device id, has an allowance of its own at each network. Device ids of
  our client are random, so only the device knows its own.
- Whoever else guesses has an allowance for this account at this network. From a network where somebody has logged in to
  the account before, this is the only one.
- Strangers, who are neither, share the allowances of their network and of the account: only these an attacker can use
  up, and then it is other strangers who wait.

An address without an account is treated in the same way; nobody is known there, so all are strangers.
"""

import hashlib
import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import limits

from walletsync_server.services.errors import RateLimited

OFF = "off"
"""The rate of what is not limited."""
PAIR_RATE = "20/hour"
"""Guesses at one account's password from one network, or by one known device there."""
STRANGERS_RATE = "100/hour"
"""Guesses at one account's password by all who are not known there."""
MAIL_RATE = "3/hour"
"""Mails to one address for which one network asks: fewer than an address gets, so that others' mails still leave."""
KNOWN_DAYS = 90
"""How long a network where somebody logged in stays known."""
MOST_KEYS = 20_000
STRANGERS_KEYS = 2**16
"""What the accounts that strangers guess at are counted under. Of these none is ever forgotten to make room for others,
else guesses at many accounts would buy more at one; so two accounts that share one share what strangers may guess."""
_IPV6_NETWORK_BITS = 64  # what one household gets

MakeCounters: TypeAlias = Callable[[str, int], limits.storage.Storage]
"""Returns the counters of one kind of limit, given its name and how many of them it needs room for."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What each network may ask for, in the words of the `limits` library, such as `30/minute`; or `off`.

    `login` is for logins, password changes and deletions of strangers; `off` turns the limits of accounts off, too.
    """

    signup: str = "20/hour"
    login: str = "30/minute"
    seed: str = "60/minute"
    resend: str = "10/hour"


NO_RATES = Rates(signup=OFF, login=OFF, seed=OFF, resend=OFF)


class Throttle:
    """Counts and refuses. Any thread may use it.

    Args:
        rates: see there.
        secret: keeps what is counted from being recognised; names of clients and accounts are not kept.
        counters: makes what is counted in, once for each kind of limit, so that none of a kind pushes out those of
            another.
        clock: returns seconds since 1970, the same as that of the counters.
    """

    def __init__(
        self, rates: Rates, *, secret: bytes, counters: MakeCounters, clock: Callable[[], float] = time.time
    ) -> None:
        def rule(kind: str, rate: str, most: int = MOST_KEYS) -> _Rule:
            return _Rule(rate, counters(kind, most), clock)

        self._secret = secret
        guesses = rates.login != OFF
        self._signup = rule("signup", rates.signup)
        self._seed = rule("seed", rates.seed)
        self._resend = rule("resend", rates.resend)
        self._mail = rule("mail", MAIL_RATE if rates.resend != OFF else OFF)
        self._login = rule("login", rates.login)
        self._pair = rule("pair", PAIR_RATE if guesses else OFF)
        self._strangers = rule("strangers", STRANGERS_RATE if guesses else OFF, STRANGERS_KEYS)
        self._known = counters("known", MOST_KEYS)

    def sign_up(self, client: str) -> None:
        """Count a sign-up from the address `client`.

        Raises:
            RateLimited: if its network has had too many; so do the others.
        """
        self._signup.hit(self._key(network_of(client)))

    def ask_for_seed(self, client: str) -> None:
        """Count a question for a salt seed."""
        self._seed.hit(self._key(network_of(client)))

    def ask_for_mail_again(self, client: str) -> None:
        """Count a request to send a mail again."""
        self._resend.hit(self._key(network_of(client)))

    def ask_for_mail(self, client: str, email: str) -> None:
        """Count a request that sends a mail to an address, whether it has an account or not."""
        self._mail.hit(self._key(network_of(client), email))

    def guess(self, client: str, email: str, device_id: str = "", *, is_known: bool = False) -> None:
        """Count an attempt to prove an account's password, before it is checked.

        Args:
            client: address that it comes from.
            email: canonical address of the account, which may not exist.
            device_id: the device, if it says which.
            is_known: whether this device has or lately had a token of this account.
        """
        network = network_of(client)
        own = self._key("network", email, network)
        if is_known or self._known.get(self._key("device", email, device_id)):
            self._pair.hit(self._key("device", email, network, device_id))
        elif self._known.get(own):
            self._pair.hit(own)
        else:
            self._login.hit(self._key(network))  # first, so that one network cannot fill the counters of the others
            self._pair.hit(own)
            self._strangers.hit(str(int(self._key(email), 16) % STRANGERS_KEYS))

    def guessed_right(self, client: str, email: str, device_id: str = "") -> None:
        """Remember network and device after the password was right."""
        lifetime = KNOWN_DAYS * 24 * 60 * 60
        self._known.incr(self._key("network", email, network_of(client)), lifetime)
        if device_id:
            self._known.incr(self._key("device", email, device_id), lifetime)

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
