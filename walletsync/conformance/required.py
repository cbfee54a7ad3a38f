"""The rules of every server of the protocol: accounts, and one wallet with compare-and-swap."""

from dataclasses import replace
from functools import partial

from walletsync.conformance.proxy import Fault, FaultProxy, at_once
from walletsync.conformance.rules import Rules
from walletsync.conformance.site import LOGIN, WALLET, Payload, Site, sealed, stranger
from walletsync.conformance.wire import Broken, Reply

REQUIRED = Rules()


@REQUIRED.add("A-1", "A sign-up is answered 201, and says whether the address is confirmed.")
def _signs_up(site: Site) -> None:
    reply = site.sign_up(stranger()).expect(201)
    if not isinstance(reply.field("verified"), bool):
        reply.broken("`verified`, true or false", "neither")


@REQUIRED.add("A-2", "An address that is taken cannot be signed up with another password: 409.")
def _refuses_taken(site: Site) -> None:
    site.sign_up(replace(stranger(), email=site.account().email)).expect(409)


@REQUIRED.add("A-3", "The salt seed is the one that the sign-up offered.")
def _keeps_seed(site: Site) -> None:
    account = stranger()
    site.sign_up(account).expect(201)
    reply = site.seed(account.email).expect(200)
    if reply.field("clientSaltSeed") != account.seed:
        reply.broken("the seed of the sign-up", "another one")


@REQUIRED.add("A-4", "A login is answered 200 with a token, and names the device that asked.")
def _logs_in(site: Site) -> None:
    reply = site.log_in(site.account(), "other").expect(200)
    if not isinstance(reply.field("token"), str):
        reply.broken("a token", "none")
    reply.must_say(deviceId=site.device("other"))


@REQUIRED.add("A-5", "A wrong password is 401.")
def _refuses_wrong_password(site: Site) -> None:
    site.log_in(replace(site.account(), password=stranger().password), "other").expect(401)


@REQUIRED.add("A-6", "A login with an unknown address is 401.")
def _refuses_unknown(site: Site) -> None:
    site.log_in(stranger(), "first").expect(401)


@REQUIRED.add("A-7", "A missing field is 400.")
def _refuses_missing_field(site: Site) -> None:
    site.wire.ask("POST", LOGIN, {"email": site.account().email, "deviceId": "first"}).expect(400)


@REQUIRED.add("A-8", "A field that is not listed is 400.")
def _refuses_unknown_field(site: Site) -> None:
    site.sign_up(stranger(), unlisted=1).expect(400)


@REQUIRED.add("W-1", "An account without a wallet answers 404, whatever other accounts have.")
def _has_no_wallet(site: Site) -> None:
    site.stored(site.account().token)
    site.get(site.new_account().token).expect(404)


@REQUIRED.add("W-2", "Without a token that is alive, GET and POST of a wallet are 401.")
def _needs_token(site: Site) -> None:
    token = site.account().token
    before = site.current(token)
    site.get("0" * 64).expect(401)
    site.post("0" * 64, site.next(token)).expect(401)
    site.must_have(token, before, "a POST with a void token was stored")


@REQUIRED.add("W-3", "A wallet that follows the current one is stored: 200, and GET has it from then on.")
def _stores_next(site: Site) -> None:
    token = site.account().token
    for _ in range(2):
        site.must_have(token, site.stored(token), "the wallet that was accepted is not the current one")


@REQUIRED.add("W-4", "A wallet comes back as it was sent, whatever text it is.")
def _gives_back_any_text(site: Site) -> None:
    token = site.account().token
    for text in ("-", "%d", "\0", "é\u2028\U0001f511", '{"a": "\\u0041"}'):
        wallet = site.next(token) | {"encryptedWallet": text}
        site.post(token, wallet).expect(200)
        site.must_have(token, wallet, "the wallet is not the text that was sent")


@REQUIRED.add("W-5", "A wallet that is too late is 409, and changes nothing.")
def _refuses_late(site: Site) -> None:
    token = site.account().token
    current = site.stored(token)
    site.post(token, sealed(current["sequence"])).expect(409)
    site.must_have(token, current, "a wallet that was refused is the current one")


@REQUIRED.add("W-6", "A wallet that leaves out a sequence is 409, and changes nothing.")
def _refuses_gap(site: Site) -> None:
    token = site.account().token
    current = site.stored(token)
    site.post(token, sealed(current["sequence"] + 2)).expect(409)
    site.must_have(token, current, "a wallet that was refused is the current one")


@REQUIRED.add("W-7", "The first wallet has sequence 1; any other is 409 while there is none.")
def _begins_with_one(site: Site) -> None:
    token = site.new_account().token
    site.post(token, sealed(2)).expect(409)
    site.must_have(token, None, "a wallet that was refused is there")
    site.post(token, sealed(1)).expect(200)


@REQUIRED.add("W-8", "Of wallets with one sequence that come at once, exactly one is stored.")
def _stores_one_of_many(site: Site) -> None:
    token = site.account().token
    first = site.next(token)
    rivals = [first, *(sealed(first["sequence"]) for _ in range(3))]

    def post(wallet: Payload) -> Reply:
        wire = site.wire.another()
        try:
            return site.post(token, wallet, wire)
        finally:
            wire.close()

    replies = at_once([partial(post, wallet) for wallet in rivals])
    statuses = [reply.status for reply in replies]
    if sorted(statuses) != [200, 409, 409, 409]:
        raise Broken(f"POST {WALLET}, four at once: expected 200 once and 409 thrice, came {sorted(statuses)}")
    winner = rivals[statuses.index(200)]
    site.must_have(token, winner, "another wallet than the accepted one is the current one")


@REQUIRED.add("W-9", "After a lost answer, the same wallet sent again is the current one, stored once.")
def _survives_lost_answer(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    with FaultProxy(site.wire) as network:
        network.lose(Fault.LOSE_ANSWER, partial(site.post, token, wallet))
        site.post(token, wallet, network.wire).expect(200, 409)  # API 3 alone does not know a retry when it sees one
    site.must_have(token, wallet, "the wallet whose answer was lost is not the current one")
    site.post(token, sealed(wallet["sequence"] + 1)).expect(200)
