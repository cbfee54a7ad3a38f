"""The rules of what networks do to requests: answers get lost, requests come twice, late, or not to their end.

However that goes, a wallet that is accepted takes one sequence, and who asks again gets on.
"""

import json
from functools import partial

from walletsync.conformance.proxy import Fault, FaultProxy
from walletsync.conformance.rules import EXTRAS, Rules
from walletsync.conformance.site import LOGIN, WALLET, Site, sealed, stranger
from walletsync.conformance.wire import Broken

NETWORK = Rules()


@NETWORK.add("N-1", "A wallet that arrives late, after its retry and a later one, is 409, and changes nothing.")
def _refuses_straggler(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    with FaultProxy(site.wire) as network:
        network.lose(Fault.LATE, partial(site.post, token, wallet))
        site.post(token, wallet, network.wire).expect(200)
        later = site.stored(token)
        network.deliver().expect(409)
    site.must_have(token, later, "a wallet that came late is the current one")


@NETWORK.add("N-2", "A wallet that arrives twice at once is the current one, stored once.")
def _survives_copies(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    with FaultProxy(site.wire) as network:
        network.fault = Fault.TWICE
        site.post(token, wallet, network.wire).expect(200, 409)
        statuses = [reply.expect(200, 409).status for reply in network.replies]
    if 200 not in statuses:
        raise Broken(f"POST {WALLET}, the same twice at once: expected 200 for one at least, came {statuses}")
    site.must_have(token, wallet, "the wallet that came twice is not the current one")
    site.post(token, sealed(wallet["sequence"] + 1)).expect(200)


@NETWORK.add("N-3", "A POST that is cut off in its middle stores nothing.")
def _stores_nothing_of_half(site: Site) -> None:
    token = site.account().token
    before = site.stored(token)
    body = json.dumps(site.next(token) | {"token": token}).encode()
    site.wire.cut("POST", WALLET, body)
    site.must_have(token, before, "half a request changed the wallet")


@NETWORK.add("N-4", "After a login whose answer got lost, the same again gives a token that counts.")
def _logs_in_after_lost_answer(site: Site) -> None:
    account = site.account()
    with FaultProxy(site.wire) as network:
        network.lose(Fault.LOSE_ANSWER, partial(site.log_in, account, "unlucky"))
        token = site.logged_in(account, "unlucky", network.wire).token
    site.get(token).expect(200, 404)


@NETWORK.add("N-5", "After a login that arrives twice at once, one more gives a token that counts.")
def _logs_in_after_copies(site: Site) -> None:
    account = site.account()
    with FaultProxy(site.wire) as network:
        network.fault = Fault.TWICE
        site.log_in(account, "twice", network.wire).expect(200)
        for reply in network.replies:
            reply.expect(200)
        token = site.logged_in(account, "twice", network.wire).token
    site.get(token).expect(200, 404)


@NETWORK.add("N-6", "A wallet that arrives twice at once is answered 200 both times.", EXTRAS)
def _knows_copies(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    with FaultProxy(site.wire) as network:
        network.fault = Fault.TWICE
        site.post(token, wallet, network.wire)
        for reply in network.replies:
            reply.expect(200)


@NETWORK.add("N-7", "A login that arrives twice at once leaves the device one token.", EXTRAS)
def _gives_one_token_to_copies(site: Site) -> None:
    with FaultProxy(site.wire) as network:
        network.fault = Fault.TWICE
        site.log_in(site.account(), "doubled", network.wire)
        tokens = [reply.expect(200).field("token") for reply in network.replies]
    alive = {token for token in tokens if site.get(token).expect(200, 401, 404).status != 401}
    if len(alive) != 1:
        raise Broken(f"POST {LOGIN}, the same twice at once: expected one token that counts, came {len(alive)}")


@NETWORK.add("N-8", "A sign-up that arrives twice at once is answered 201 both times.", EXTRAS)
def _signs_copies_up(site: Site) -> None:
    account = stranger()
    with FaultProxy(site.wire) as network:
        network.fault = Fault.TWICE
        site.sign_up(account, network.wire)
        for reply in network.replies:
            reply.expect(201)
    site.logged_in(account, "first")


@NETWORK.add("N-9", "A change of the password that arrives twice at once has happened once: 200 both times.", EXTRAS)
def _changes_password_of_copies(site: Site) -> None:
    account, new = site.new_account(), stranger()
    site.stored(account.token)
    wallet = site.next(account.token)
    with FaultProxy(site.wire) as network:
        network.fault = Fault.TWICE
        site.change_password(account, new, wallet, network.wire)
        changed = site.has_changed(account, new)
        for reply in network.replies:
            reply.expect(200)
    site.must_have(site.logged_in(changed, "first").token, wallet, "the wallet is not that of the change")
