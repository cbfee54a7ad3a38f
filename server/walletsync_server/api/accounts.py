"""Sign-up, and the end of an account."""

from walletsync.protocol import DeleteAccountRequest, SignupAnswer, SignupRequest
from walletsync_server.api.emails import checked
from walletsync_server.api.http import Request, Response, empty_response, json_response
from walletsync_server.services import Services


def sign_up(services: Services, request: Request, body: SignupRequest) -> Response:
    """POST `/signup`."""
    seed = bytes.fromhex(body.client_salt_seed) if body.client_salt_seed else None
    verified = services.accounts.sign_up(checked(body.email), body.password, seed, request.client)
    return json_response(201, SignupAnswer(verified=verified))


def delete_account(services: Services, request: Request, body: DeleteAccountRequest) -> Response:
    """POST `/account/delete`."""
    services.accounts.delete(checked(body.email), body.password, request.client)
    return empty_response(204)
