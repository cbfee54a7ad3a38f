"""The rules of servers that have `/.well-known/walletsync`, and of what its `features` list."""

from walletsync import protocol
from walletsync.conformance.rules import EXTRAS, Rules
from walletsync.conformance.site import DELETE_ACCOUNT, LOGIN, SIGNUP, WALLET, Site, sealed, stranger
from walletsync.conformance.wire import Reply

OPTIONAL = Rules()
_HISTORY = protocol.API_PREFIX + protocol.HISTORY_PATH
_DEVICES = protocol.API_PREFIX + protocol.DEVICES_PATH
_PASSWORD = protocol.API_PREFIX + protocol.PASSWORD_PATH
_WEBSOCKET = protocol.API_PREFIX + protocol.WEBSOCKET_PATH
_HEX = set("0123456789abcdef")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _must_be_current(reply: Reply, wallet: dict[str, object]) -> None:
    if any(reply.field(name) != value for name, value in wallet.items()):
        reply.broken("the current wallet", "another one, or none")


def _must_say(reply: Reply, code: str) -> None:
    if reply.field("code") != code or not isinstance(reply.field("error"), str):
        reply.broken(f"a sentence and the code {code}", "something else")


@OPTIONAL.add("X-1", "Errors have a sentence and a stable code.", EXTRAS)
def _explains_errors(site: Site) -> None:
    account = site.account()
    _must_say(site.get("0" * 64).expect(401), protocol.ErrorCode.UNAUTHORIZED)
    _must_say(site.log_in(stranger(), "first").expect(401), protocol.ErrorCode.WRONG_CREDENTIALS)
    taken = stranger().signup | {"email": account.email}
    _must_say(site.wire.ask("POST", SIGNUP, taken).expect(409), protocol.ErrorCode.ACCOUNT_EXISTS)


@OPTIONAL.add("X-2", "Every answer has an X-Request-Id.", EXTRAS)
def _names_requests(site: Site) -> None:
    for reply in (site.get(site.account().token), site.get("0" * 64)):
        if not reply.headers.get("X-Request-Id"):
            reply.broken("an X-Request-Id", "none")


@OPTIONAL.add("X-3", "The same sign-up again is a lost answer: 201.", EXTRAS)
def _takes_signup_again(site: Site) -> None:
    site.wire.ask("POST", SIGNUP, site.account().signup).expect(201)


@OPTIONAL.add("X-4", "An unknown address has a seed as well, the same one each time.", EXTRAS)
def _hides_who_has_an_account(site: Site) -> None:
    email = stranger().email
    first, again = (site.seed(email).expect(200).field("clientSaltSeed") for _ in range(2))
    if first != again or not isinstance(first, str) or len(first) != 64 or set(first) - _HEX:
        site.seed(email).broken("the same 64 hex digits each time", "something else")


@OPTIONAL.add("X-5", "A payload version that the server does not know is 400 `unsupported_version`.", EXTRAS)
def _refuses_version(site: Site) -> None:
    token = site.account().token
    reply = site.post(token, site.next(token) | {"version": 2}).expect(400)
    _must_say(reply, protocol.ErrorCode.UNSUPPORTED_VERSION)


@OPTIONAL.add("X-6", "A value of another type is 400, and nothing is stored.", EXTRAS)
def _refuses_types(site: Site) -> None:
    token = site.account().token
    before = site.current(token)
    for sequence in (True, 1.0, "1", None, 0, 2**32):
        site.post(token, sealed(1) | {"sequence": sequence}).expect(400)
    site.must_have(token, before, "a wallet that was refused is the current one")


@OPTIONAL.add("X-7", "A POST of exactly the current wallet is a retry: 200, and nothing changes.", EXTRAS)
def _knows_retries(site: Site) -> None:
    token = site.account().token
    wallet = site.stored(token)
    site.post(token, wallet).expect(200)
    site.must_have(token, wallet, "a retry changed the wallet")


@OPTIONAL.add("X-8", "GET has an ETag, with which the same wallet is 304, and a later one 200.", EXTRAS)
def _knows_etags(site: Site) -> None:
    token = site.account().token
    site.stored(token)
    tag = site.get(token).headers.get("ETag")
    if not tag:
        site.get(token).broken("an ETag", "none")
    same = {"query": {"token": token}, "headers": {"If-None-Match": tag}}
    site.wire.ask("GET", WALLET, **same).expect(304)
    site.stored(token)
    site.wire.ask("GET", WALLET, **same).expect(200)


@OPTIONAL.add("X-9", "A new login of a device makes its earlier token void.", EXTRAS)
def _replaces_tokens(site: Site) -> None:
    earlier = site.logged_in(site.account(), "replaced")
    later = site.logged_in(earlier, "replaced")
    site.get(earlier.token).expect(401)
    site.get(later.token).expect(200, 404)


@OPTIONAL.add("X-10", "A device gives its token back: 204, and the token is void.", EXTRAS)
def _logs_out(site: Site) -> None:
    token = site.logged_in(site.account(), "leaving").token
    site.wire.ask("DELETE", LOGIN, headers=_bearer(token)).expect(204)
    site.get(token).expect(401)


@OPTIONAL.add(
    "X-11", "A change of the password replaces password, seed and wallet, and makes every token void.", EXTRAS
)
def _changes_password(site: Site) -> None:
    account, new = site.new_account(), stranger()
    site.stored(account.token)
    wallet = site.next(account.token)
    change = {"email": account.email, "oldPassword": account.password, "newPassword": new.password}
    whole = change | {"clientSaltSeed": new.seed} | wallet
    site.wire.ask("POST", _PASSWORD, whole).expect(200)
    site.wire.ask("POST", _PASSWORD, whole).expect(200)  # so it is to a repetition
    site.get(account.token).expect(401)
    site.log_in(account, "first").expect(401)
    changed = site.logged_in(account.with_password_of(new), "first")
    site.has_changed(changed)
    site.must_have(changed.token, wallet, "the wallet is not that of the change")
    reply = site.seed(account.email).expect(200)
    if reply.field("clientSaltSeed") != new.seed:
        reply.broken("the seed of the change", "another one")


@OPTIONAL.add("X-12", "An account is deleted with its password: 204, and nobody logs in to it.", EXTRAS)
def _deletes_account(site: Site) -> None:
    account = site.new_account()
    deletion = {"email": account.email, "password": account.password}
    site.wire.ask("POST", DELETE_ACCOUNT, deletion).expect(204)
    site.log_in(account, "first").expect(401)
    site.get(account.token).expect(401)


@OPTIONAL.add("B-1", "The token is taken from the Authorization header.", protocol.FEATURE_BEARER_TOKEN)
def _takes_bearer(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    site.wire.ask("POST", WALLET, wallet, headers=_bearer(token)).expect(200)
    _must_be_current(site.wire.ask("GET", WALLET, headers=_bearer(token)).expect(200), wallet)


@OPTIONAL.add("C-1", "A wallet that is stored comes back in the answer.", protocol.FEATURE_WALLET_IN_ANSWERS)
def _answers_with_stored(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    _must_be_current(site.post(token, wallet).expect(200), wallet)


@OPTIONAL.add("C-2", "A conflict is answered with the current wallet.", protocol.FEATURE_WALLET_IN_ANSWERS)
def _answers_with_current(site: Site) -> None:
    token = site.account().token
    wallet = site.stored(token)
    reply = site.post(token, sealed(wallet["sequence"])).expect(409)
    _must_say(reply, protocol.ErrorCode.CONFLICT)
    _must_be_current(reply, wallet)


@OPTIONAL.add("H-1", "Earlier versions are listed, the current one first.", protocol.FEATURE_HISTORY)
def _lists_history(site: Site) -> None:
    token = site.account().token
    site.stored(token)
    last = site.stored(token)["sequence"]
    reply = site.wire.ask("GET", _HISTORY, headers=_bearer(token)).expect(200)
    versions = reply.field("versions") or []
    if [each["sequence"] for each in versions[:2]] != [last, last - 1]:
        reply.broken("the current version first, then the one before", "something else")


@OPTIONAL.add("H-2", "An earlier version comes as it was stored; one that never was is 404.", protocol.FEATURE_HISTORY)
def _gives_earlier(site: Site) -> None:
    token = site.account().token
    earlier = site.stored(token)
    last = site.stored(token)["sequence"]
    path = f"{_HISTORY}/{earlier['sequence']}"
    _must_be_current(site.wire.ask("GET", path, headers=_bearer(token)).expect(200), earlier)
    site.wire.ask("GET", f"{_HISTORY}/{last + 1}", headers=_bearer(token)).expect(404)


@OPTIONAL.add(
    "D-1", "Devices are listed, and logged out by their id: 204, and the token is void.", protocol.FEATURE_DEVICES
)
def _logs_devices_out(site: Site) -> None:
    account = site.account()
    lost = site.logged_in(account, "lost").token
    reply = site.wire.ask("GET", _DEVICES, headers=_bearer(account.token)).expect(200)
    if "lost" not in [each["deviceId"] for each in reply.field("devices") or []]:
        reply.broken("the device that just logged in", "a list without it")
    site.wire.ask("DELETE", f"{_DEVICES}/lost", headers=_bearer(account.token)).expect(204)
    site.get(lost).expect(401)


@OPTIONAL.add("L-1", "Without a WebSocket's handshake, its path is 426.", protocol.FEATURE_LIVE_UPDATES)
def _wants_handshake(site: Site) -> None:
    site.wire.ask("GET", _WEBSOCKET, headers=_bearer(site.account().token)).expect(426)
