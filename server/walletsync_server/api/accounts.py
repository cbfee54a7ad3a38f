"""Sign-up."""

from walletsync.protocol import SignupAnswer, SignupRequest
from walletsync_server.api.bodies import decode
from walletsync_server.api.emails import checked
from walletsync_server.api.http import Request, Response, json_response
from walletsync_server.services import Services


def sign_up(services: Services, request: Request) -> Response:
    """POST `/signup`."""
    body = decode(request.body, SignupRequest)
    seed = bytes.fromhex(body.client_salt_seed) if body.client_salt_seed else None
    services.accounts.sign_up(checked(body.email), body.password, seed)
    return json_response(201, SignupAnswer(verified=True))
