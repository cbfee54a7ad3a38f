"""The salt seed."""

from walletsync.protocol import SeedAnswer
from walletsync_server.api.emails import from_base64
from walletsync_server.api.http import Request, Response, json_response
from walletsync_server.services import Services


def salt_seed(services: Services, request: Request) -> Response:
    """GET `/client-salt-seed?email=<base64>`."""
    email = from_base64(request.parameters("email"))
    return json_response(200, SeedAnswer(client_salt_seed=services.seeds.seed_of(email, request.client)))
