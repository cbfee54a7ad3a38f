"""Runs the rules against one server, and says of each whether it is kept."""

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from walletsync import protocol
from walletsync.conformance.accounts import ACCOUNTS
from walletsync.conformance.extras import OPTIONAL
from walletsync.conformance.features import FEATURES
from walletsync.conformance.live import LIVE
from walletsync.conformance.network import NETWORK
from walletsync.conformance.required import REQUIRED
from walletsync.conformance.rules import ALL_SERVERS, EXTRAS, Rule
from walletsync.conformance.site import Account, Site, stranger
from walletsync.conformance.wire import AGENT, Broken, NotTried, Reply, Wire
from walletsync.errors import NotAllowed, RetryLater, ServerUnreachable, UsageError, WrongCredentials

RULES: tuple[Rule, ...] = (*REQUIRED, *NETWORK, *OPTIONAL, *ACCOUNTS, *FEATURES, *LIVE)


class Outcome(StrEnum):
    """What became of a rule. Only `BROKEN` fails the run."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_TRIED = "not tried"
    NOT_OFFERED = "not offered"


@dataclass(frozen=True)
class Result:
    """What became of one rule, in how many seconds.

    `why` is a sentence where it is broken or not tried; `asked` what was asked then, in order: each request with the
    status of its answer, and no query, header or body.
    """

    rule: Rule
    outcome: Outcome
    seconds: float = 0.0
    why: str = ""
    asked: tuple[str, ...] = ()


def run(
    url: str,
    *,
    ca_file: str | None = None,
    account: Account | None = None,
    overwrite: bool = False,
    only: Collection[str] = (),
) -> Iterator[Result]:
    """Try every rule on the server at `url`, with accounts that are made for it and deleted where that is possible.

    Each request names its rule in `User-Agent`, so that it is found in the server's log.

    Args:
        url: the server's.
        ca_file: certificates of authorities to trust instead of the usual ones.
        account: one to use instead, for servers where nobody can sign up. Rules that need another are not tried.
        overwrite: use it even if it has a wallet, which is lost by that.
        only: the ids of the rules to try; without any, all.

    Raises:
        InvalidServerURL: `url` is none of a server.
        UsageError: `ca_file` cannot be read; there is no rule with such an id; or the account has a wallet, and nobody
            said that it may be lost.
        NotAllowed: the server lets nobody sign up, or only after a mail.
        WrongCredentials: it does not take the account.
        RetryLater: it limits sign-ups to fewer than the suite needs.
        ServerUnreachable: no answer came.
    """
    rules = _chosen(only)
    wire = Wire(url, ca_file=ca_file)
    site = Site(wire, account)
    try:
        if account is None:
            _must_be_open(site)
        elif not overwrite:
            _must_be_empty(site, account)
        offered = _capabilities(wire)
        for rule in rules:
            yield _tried(rule, site) if rule.capability in offered else Result(rule, Outcome.NOT_OFFERED)
    finally:
        wire.agent = AGENT
        with suppress(ServerUnreachable, Broken):  # what such a server keeps is not in our hands
            site.clean_up()
        wire.close()


def _chosen(ids: Collection[str]) -> list[Rule]:
    if unknown := sorted(set(ids) - {rule.id for rule in RULES}):
        raise UsageError(f"There is no rule {unknown[0]}; without a choice of rules, the command lists them all.")
    return [rule for rule in RULES if not ids or rule.id in ids]


def _must_be_open(site: Site) -> None:
    reply = _now(site.sign_up(stranger()))
    if reply.status == 403:
        raise NotAllowed(
            "The server lets no new address sign up. Let it, or make an account and name it with --email.", status=403
        )
    if reply.status == 201 and b'"verified"' in reply.body and reply.field("verified") is False:
        raise NotAllowed(
            "The server wants each address confirmed by a mail. Make an account, and name it with --email.", status=201
        )


def _must_be_empty(site: Site, account: Account) -> None:
    reply = _now(site.log_in(account, "first"))
    if reply.status in (401, 403):
        raise WrongCredentials("The server does not take this address and password.", status=reply.status)
    if site.current(site.account().token) is not None:
        raise UsageError(
            "The account has a wallet, which the rules would replace by random bytes, for good. Name an account "
            "without one, or add --overwrite if nobody needs that wallet."
        )


def _now(reply: Reply) -> Reply:
    """Return an answer, unless it says to come back later."""
    if reply.status == 429:
        seconds = reply.headers.get("Retry-After", "")
        raise RetryLater(
            "The server limits such requests; run the suite later, or without that limit.",
            status=429,
            retry_after=int(seconds) if seconds.isdecimal() else 60,
        )
    return reply


def _capabilities(wire: Wire) -> set[str]:
    """Return what the server says that it has. A 404 alone means that it knows API 3 only.

    Where the answer makes no sense, X-14 says so, and what it should have listed is not asked for.
    """
    reply = wire.ask("GET", protocol.WELL_KNOWN_PATH)
    if reply.status == 404:
        return {ALL_SERVERS}
    try:
        features = reply.expect(200).field("features")
    except Broken:
        return {ALL_SERVERS, EXTRAS}
    return {ALL_SERVERS, EXTRAS, *map(str, features if isinstance(features, list) else [])}


def _tried(rule: Rule, site: Site) -> Result:
    site.wire.agent = f"{AGENT} {rule.id}"
    site.wire.asked.clear()
    began = time.perf_counter()
    outcome, why = _outcome(rule, site)
    asked = tuple(site.wire.asked) if outcome is Outcome.BROKEN else ()
    return Result(rule, outcome, time.perf_counter() - began, why, asked)


def _outcome(rule: Rule, site: Site) -> tuple[Outcome, str]:
    try:
        rule.check(site)
    except Broken as broken:
        return Outcome.BROKEN, str(broken)
    except NotTried as not_tried:
        return Outcome.NOT_TRIED, str(not_tried)
    except ServerUnreachable:
        last = site.wire.asked[-1]
        site.wire.ask("GET", protocol.WELL_KNOWN_PATH)  # raises the same if it is the server that is gone
        return Outcome.BROKEN, f"{last.partition(':')[0]}: expected an answer, came none"
    return Outcome.KEPT, ""
