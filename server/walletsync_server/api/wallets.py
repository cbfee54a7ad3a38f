"""The wallet: read it, replace it."""

import re

from msgspec import UNSET

from walletsync.protocol import WalletAnswer, WalletRequest
from walletsync_server.api.bearer import token_of
from walletsync_server.api.http import Request, Response, empty_response, entity_tag, json_response
from walletsync_server.services import Services
from walletsync_server.services.coroutines import GeneratorCoroutine
from walletsync_server.services.wallets import Content, Wallet

_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')


def get_wallet(services: Services, request: Request) -> GeneratorCoroutine[Response]:
    """GET `/wallet`: 200, or 304 if `If-None-Match` names the current one."""
    condition = request.headers.get("if-none-match", "")

    def known(digest: bytes) -> bool:
        return condition.strip() == "*" or digest.hex() in _ENTITY_TAG.findall(condition)

    found = yield from services.wallets.read(token_of(request), known if condition else None)
    if isinstance(found, bytes):
        return empty_response(304, {"ETag": entity_tag(found)})
    return wallet_response(found)


def post_wallet(services: Services, request: Request, body: WalletRequest) -> GeneratorCoroutine[Response]:
    """POST `/wallet`."""
    wallet = yield from services.wallets.write(
        token_of(request, None if body.token is UNSET else body.token),
        sequence=body.sequence,
        encrypted_wallet=body.encrypted_wallet,
        hmac=body.hmac,
    )
    return wallet_response(wallet)


def wallet_response(wallet: Wallet | Content) -> Response:
    """Answer with one version of a wallet."""
    answer = WalletAnswer(encrypted_wallet=wallet.encrypted_wallet, sequence=wallet.sequence, hmac=wallet.hmac)
    return json_response(200, answer, {"ETag": entity_tag(wallet.digest)})
