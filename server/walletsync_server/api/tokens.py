"""Login and logout."""

from walletsync.protocol import LoginAnswer, LoginRequest
from walletsync_server.api.bearer import token_of
from walletsync_server.api.emails import checked
from walletsync_server.api.http import Request, Response, empty_response, json_response, rfc3339
from walletsync_server.services import Services


def log_in(services: Services, request: Request, body: LoginRequest) -> Response:
    """POST `/auth/full`."""
    issued = services.accounts.log_in(checked(body.email), body.password, body.device_id, request.client)
    answer = LoginAnswer(
        token=issued.token,
        device_id=issued.device_id,
        scope="*",
        user_id=issued.account_id,
        expiration=rfc3339(issued.expires_at),
    )
    return json_response(200, answer)


def log_out(services: Services, request: Request) -> Response:
    """DELETE `/auth/full`."""
    services.tokens.revoke(token_of(request))
    return empty_response(204)
