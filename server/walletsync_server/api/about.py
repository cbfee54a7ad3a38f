"""What the server says about itself."""

from walletsync_server.api.http import Request, Response, json_response
from walletsync_server.services import Services


def well_known(services: Services, _request: Request) -> Response:
    """GET `/.well-known/walletsync`."""
    return json_response(200, services.about.description)


def healthy(_services: Services, _request: Request) -> Response:
    """GET `/healthz`: the process answers."""
    return json_response(200, {"status": "ok"})


def ready(services: Services, _request: Request) -> Response:
    """GET `/readyz`: the database answers, too."""
    services.about.check_ready()
    return json_response(200, {"status": "ok"})
