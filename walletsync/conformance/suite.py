"""Runs the rules against one server, and says of each whether it is kept."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from walletsync import protocol
from walletsync.conformance.extras import OPTIONAL
from walletsync.conformance.required import REQUIRED
from walletsync.conformance.rules import ALL_SERVERS, EXTRAS, Rule
from walletsync.conformance.site import Site, stranger
from walletsync.conformance.wire import Broken, Wire
from walletsync.errors import NotAllowed, RetryLater

RULES = (*REQUIRED, *OPTIONAL)


class Outcome(StrEnum):
    """What became of a rule. Only `BROKEN` fails the run."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_OFFERED = "not offered"


@dataclass(frozen=True)
class Result:
    """What became of one rule, in how many seconds; `why` is a sentence where it is broken."""

    rule: Rule
    outcome: Outcome
    seconds: float = 0.0
    why: str = ""


def run(url: str) -> Iterator[Result]:
    """Try every rule on the server at `url`, with accounts that are made for it and deleted where that is possible.

    Raises:
        InvalidServerURL: `url` is none of a server.
        NotAllowed: the server lets nobody sign up.
        RetryLater: it limits sign-ups to fewer than the suite needs.
        ServerUnreachable: no answer came.
    """
    wire = Wire(url)
    site = Site(wire)
    try:
        _must_be_open(site)
        offered = _capabilities(wire)
        for rule in RULES:
            yield _tried(rule, site) if rule.capability in offered else Result(rule, Outcome.NOT_OFFERED)
        site.clean_up()
    finally:
        wire.close()


def _must_be_open(site: Site) -> None:
    reply = site.sign_up(stranger())
    if reply.status == 403:
        raise NotAllowed("The server lets no new address sign up; run the suite against one that is open.", status=403)
    if reply.status == 429:
        seconds = reply.headers.get("Retry-After", "")
        raise RetryLater(
            "The server limits sign-ups; run the suite later, or without that limit.",
            status=429,
            retry_after=int(seconds) if seconds.isdecimal() else 60,
        )


def _capabilities(wire: Wire) -> set[str]:
    """Return what the server says that it has. A 404 alone means that it knows API 3 only."""
    reply = wire.ask("GET", protocol.WELL_KNOWN_PATH)
    if reply.status == 404:
        return {ALL_SERVERS}
    features = reply.expect(200).field("features")
    if not isinstance(features, list):
        reply.broken("a list of features", "none")
    return {ALL_SERVERS, EXTRAS, *map(str, features)}


def _tried(rule: Rule, site: Site) -> Result:
    began = time.perf_counter()
    try:
        rule.check(site)
    except Broken as broken:
        return Result(rule, Outcome.BROKEN, time.perf_counter() - began, str(broken))
    return Result(rule, Outcome.KEPT, time.perf_counter() - began)
