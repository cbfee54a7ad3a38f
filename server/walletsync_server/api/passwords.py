"""Changing the password."""

from msgspec import UNSET

from walletsync.protocol import PasswordAnswer, PasswordRequest
from walletsync_server.api.emails import checked
from walletsync_server.api.http import Request, Response, json_response
from walletsync_server.services import Services
from walletsync_server.services.errors import BadRequest
from walletsync_server.services.wallets import Content


def change_password(services: Services, request: Request, body: PasswordRequest) -> Response:
    """POST `/password`."""
    services.password_change.change(
        checked(body.email),
        old=body.old_password,
        new=body.new_password,
        salt_seed=bytes.fromhex(body.client_salt_seed),
        wallet=_wallet(services, body),
        client=request.client,
    )
    return json_response(200, PasswordAnswer())


def _wallet(services: Services, body: PasswordRequest) -> Content | None:
    if body.encrypted_wallet is UNSET and body.sequence is UNSET and body.hmac is UNSET:
        return None
    if body.encrypted_wallet is UNSET or body.sequence is UNSET or body.hmac is UNSET:
        raise BadRequest("Send all of encryptedWallet, sequence and hmac, or none if the account has no wallet.")
    return services.wallets.checked(body.sequence, body.encrypted_wallet, body.hmac)
