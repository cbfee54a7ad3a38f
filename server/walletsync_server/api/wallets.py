"""The wallet: read it, replace it."""

import re

from msgspec import UNSET

from walletsync.protocol import PAYLOAD_VERSION, WalletAnswer, WalletRequest
from walletsync_server.api.bearer import token_of
from walletsync_server.api.bodies import decode, has_another_version
from walletsync_server.api.http import Request, Response, empty_response, json_response
from walletsync_server.services import Services
from walletsync_server.services.errors import BadRequest, UnsupportedVersion
from walletsync_server.services.wallets import Wallet

_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')


def get_wallet(services: Services, request: Request) -> Response:
    """GET `/wallet`: 200, or 304 if `If-None-Match` names the current one."""
    condition = request.headers.get("if-none-match", "")
    names = set(_ENTITY_TAG.findall(condition))

    def known(digest: bytes) -> bool:
        return condition.strip() == "*" or digest.hex() in names

    found = services.wallets.read(token_of(request), known)
    if isinstance(found, bytes):
        return empty_response(304, {"ETag": _entity_tag(found)})
    return _answer(found)


def post_wallet(services: Services, request: Request) -> Response:
    """POST `/wallet`."""
    try:
        body = decode(request.body, WalletRequest)
    except BadRequest:
        if has_another_version(request.body):  # whose other fields may be anything
            raise UnsupportedVersion from None
        raise
    if body.version not in (UNSET, PAYLOAD_VERSION):
        raise UnsupportedVersion
    wallet = services.wallets.write(
        token_of(request, None if body.token is UNSET else body.token),
        sequence=body.sequence,
        encrypted_wallet=body.encrypted_wallet,
        hmac=body.hmac,
    )
    return _answer(wallet)


def _answer(wallet: Wallet) -> Response:
    answer = WalletAnswer(encrypted_wallet=wallet.encrypted_wallet, sequence=wallet.sequence, hmac=wallet.hmac)
    return json_response(200, answer, {"ETag": _entity_tag(wallet.digest)})


def _entity_tag(digest: bytes) -> str:
    return f'"{digest.hex()}"'
