"""The rules of servers that have `/.well-known/walletsync`: what is asked, what is answered, and the wallet."""

from walletsync import protocol
from walletsync.conformance.rules import EXTRAS, Rules
from walletsync.conformance.site import LOGIN, SIGNUP, WALLET, Payload, Site, bearer, sealed, stranger
from walletsync.conformance.wire import Reply
from walletsync.protocol import ErrorCode

OPTIONAL = Rules()
_LONGEST_ADDRESS, _LONGEST_BODY = 8 * 1024, 64 * 1024
_LONG_HEADERS = {f"X-Long-{number}": "a" * 30 * 1024 for number in range(3)}


def must_refuse(reply: Reply, status: int, code: ErrorCode) -> None:
    """Raise `Broken` unless it is a refusal with this status and code, and a sentence."""
    reply.expect(status).must_say(code=code)
    if not isinstance(reply.field("error"), str):
        reply.broken("a sentence as `error`", "none")


@OPTIONAL.add("X-1", "Errors have a sentence and a stable code.", EXTRAS)
def _explains_errors(site: Site) -> None:
    must_refuse(site.get("0" * 64), 401, ErrorCode.UNAUTHORIZED)
    must_refuse(site.log_in(stranger(), "first"), 401, ErrorCode.WRONG_CREDENTIALS)


@OPTIONAL.add("X-2", "Every answer has an X-Request-Id.", EXTRAS)
def _names_requests(site: Site) -> None:
    for reply in (site.get(site.account().token), site.get("0" * 64)):
        reply.must_have("X-Request-Id")


@OPTIONAL.add("X-5", "A payload version that the server does not know is 400 `unsupported_version`.", EXTRAS)
def _refuses_version(site: Site) -> None:
    token = site.account().token
    must_refuse(site.post(token, site.next(token) | {"version": 2}), 400, ErrorCode.UNSUPPORTED_VERSION)


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
    known = {"If-None-Match": site.get(token).must_have("ETag")}
    site.wire.ask("GET", WALLET, query={"token": token}, headers=known).expect(304)
    site.stored(token)
    site.wire.ask("GET", WALLET, query={"token": token}, headers=known).expect(200)


@OPTIONAL.add("X-13", "The ETag is the digest of sequence, wallet and hmac.", EXTRAS)
def _makes_etags_of_digests(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    digest = protocol.wallet_digest(wallet["sequence"], wallet["encryptedWallet"], wallet["hmac"]).hex()
    for reply in (site.post(token, wallet).expect(200), site.get(token).expect(200)):
        reply.must_have("ETag", f'"{digest}"')


@OPTIONAL.add("X-14", "`/.well-known/walletsync` tells name, versions, limits and features.", EXTRAS)
def _tells_what_it_can(site: Site) -> None:
    reply = site.wire.ask("GET", protocol.WELL_KNOWN_PATH).expect(200)
    for name in ("name", "serverVersion"):
        if not isinstance(reply.field(name), str):
            reply.broken(f"a text as `{name}`", "something else")
    if protocol.PAYLOAD_VERSION not in (reply.field("payloadVersions") or []):
        reply.broken("1 among `payloadVersions`", "others only")
    if protocol.FEATURE_BEARER_TOKEN not in (reply.field("features") or []):
        reply.broken(f"`{protocol.FEATURE_BEARER_TOKEN}` among `features`", "others only")
    limits = reply.field("limits") or {}
    for name in ("encryptedWalletBytes", "keptVersions", "devices"):
        if type(limits.get(name)) is not int or limits[name] < 1:
            reply.broken(f"a number of at least 1 as `{name}` in `limits`", "something else")


@OPTIONAL.add("X-15", "A wallet over the limit that is told is 413 `too_large`, and nothing is stored.", EXTRAS)
def _refuses_large(site: Site) -> None:
    token = site.account().token
    before = site.current(token)
    must_refuse(site.post(token, _of_bytes(site, token, 1)), 413, ErrorCode.TOO_LARGE)
    site.must_have(token, before, "a wallet that was refused is the current one")


@OPTIONAL.add("X-16", "A wallet of just that limit is stored, or 413 `too_large` if the account has less room.", EXTRAS)
def _takes_as_large_as_told(site: Site) -> None:
    token = site.account().token
    wallet = _of_bytes(site, token, 0)
    reply = site.post(token, wallet).expect(200, 413)
    if reply.status == 413:
        reply.must_say(code=ErrorCode.TOO_LARGE)
    else:
        site.must_have(token, wallet, "the wallet is not the one that was sent")


def _of_bytes(site: Site, token: str, over: int) -> Payload:
    """Return the next wallet, with as many bytes as the server says that it takes, and `over` more."""
    reply = site.wire.ask("GET", protocol.WELL_KNOWN_PATH).expect(200)
    limit = (reply.field("limits") or {}).get("encryptedWalletBytes")
    if type(limit) is not int:
        reply.broken("a number as `encryptedWalletBytes` in `limits`", "something else")
    return site.next(token) | {"encryptedWallet": "A" * (limit + over)}


@OPTIONAL.add("X-17", "Another body of more than 64 KiB is 413 `too_large`.", EXTRAS)
def _refuses_large_bodies(site: Site) -> None:
    login = {"email": "a" * _LONGEST_BODY + "@example.com", "password": stranger().password, "deviceId": "first"}
    must_refuse(site.wire.ask("POST", LOGIN, login), 413, ErrorCode.TOO_LARGE)


@OPTIONAL.add("X-18", "HEAD is answered as GET is: status and headers, no body.", EXTRAS)
def _answers_head(site: Site) -> None:
    token = site.account().token
    site.stored(token)
    for shown in (token, "0" * 64):
        got = site.wire.ask("GET", WALLET, headers=bearer(shown))
        reply = site.wire.ask("HEAD", WALLET, headers=bearer(shown)).expect(got.status)
        for name in ("Content-Length", "ETag"):
            if reply.headers.get(name) != got.headers.get(name):
                reply.broken(f"the header {name} of GET", "another one, or none")


@OPTIONAL.add("X-19", "A 401 has `WWW-Authenticate: Bearer`.", EXTRAS)
def _asks_for_tokens(site: Site) -> None:
    for reply in (site.get("0" * 64), site.log_in(stranger(), "first")):
        reply.expect(401).must_have("WWW-Authenticate", "Bearer")


@OPTIONAL.add("X-20", "An unknown path is 404 `not_found`.", EXTRAS)
def _knows_its_paths(site: Site) -> None:
    must_refuse(site.wire.ask("GET", protocol.API_PREFIX + "/nothing-is-here"), 404, ErrorCode.NOT_FOUND)


@OPTIONAL.add("X-21", "Another method than a path has is 405 `method_not_allowed`, with `Allow`.", EXTRAS)
def _knows_its_methods(site: Site) -> None:
    reply = site.wire.ask("PUT", WALLET, headers=bearer(site.account().token))
    must_refuse(reply, 405, ErrorCode.METHOD_NOT_ALLOWED)
    reply.must_have("Allow")


@OPTIONAL.add("X-22", "A field that is there twice, NaN, and half of a surrogate pair are 400.", EXTRAS)
def _refuses_odd_json(site: Site) -> None:
    token = site.account().token
    before = site.current(token)
    start = f'{{"token": "{token}", "hmac": "a", "encryptedWallet": '
    number = 1 if before is None else before["sequence"] + 1
    for rest in (
        f'"a", "sequence": 1, "sequence": {number}',
        '"a", "sequence": NaN',
        f'"\\ud800", "sequence": {number}',
    ):
        site.wire.ask("POST", WALLET, f"{start}{rest}}}".encode()).expect(400)
    site.must_have(token, before, "a wallet that was refused is the current one")


@OPTIONAL.add("X-23", "An address of more than 8 KiB is 414, and headers of 90 KiB are 431.", EXTRAS)
def _refuses_long_heads(site: Site) -> None:
    site.wire.ask("GET", SIGNUP, query={"a": "a" * _LONGEST_ADDRESS}).expect(414)
    site.wire.ask("GET", SIGNUP, headers=_LONG_HEADERS).expect(431)


@OPTIONAL.add("X-24", "An answer with a wallet names its format: `version` is 1.", EXTRAS)
def _names_version(site: Site) -> None:
    token = site.account().token
    site.stored(token)
    site.get(token).expect(200).must_say(version=protocol.PAYLOAD_VERSION)


@OPTIONAL.add(
    "X-25", "Without a wallet, GET is 404 `no_wallet`, and a POST that follows one is 409 `no_wallet`.", EXTRAS
)
def _says_that_there_is_none(site: Site) -> None:
    token = site.new_account().token
    must_refuse(site.get(token), 404, ErrorCode.NO_WALLET)
    reply = site.post(token, sealed(2))
    must_refuse(reply, 409, ErrorCode.NO_WALLET)
    reply.must_say(applied=False, encryptedWallet=None)


@OPTIONAL.add("X-26", "`applied` in a refusal is right, or left out.", EXTRAS)
def _remembers_what_it_stored(site: Site) -> None:
    token = site.account().token
    earlier = site.stored(token)
    site.stored(token)
    for wallet, was_stored in ((earlier, True), (sealed(earlier["sequence"]), False)):
        reply = site.post(token, wallet).expect(409)
        if reply.field("applied") is not None:
            reply.must_say(applied=was_stored)


@OPTIONAL.add("X-27", "The paths for older clients, without `/api/3`, lead to the same.", EXTRAS)
def _knows_older_paths(site: Site) -> None:
    account = site.account()
    who = {"email": account.email, "password": account.password, "deviceId": site.device("older")}
    token = site.wire.ask("POST", protocol.AUTH_PATH, who).expect(200).field("token")
    wallet = site.next(account.token)
    site.wire.ask("POST", protocol.WALLET_PATH, wallet | {"token": token}).expect(200)
    site.must_have(account.token, wallet, "what came by an older path is not the current wallet")
    site.wire.ask("GET", protocol.WALLET_PATH, query={"token": token}).expect(200)


@OPTIONAL.add("X-28", "`/healthz` says ok, and `/openapi.json` describes what the server answers.", EXTRAS)
def _describes_itself(site: Site) -> None:
    site.wire.ask("GET", "/healthz").expect(200).must_say(status="ok")
    reply = site.wire.ask("GET", "/openapi.json").expect(200)
    if not isinstance(reply.field("openapi"), str) or not isinstance(reply.field("paths"), dict):
        reply.broken("a document of OpenAPI", "something else")
