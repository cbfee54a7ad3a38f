"""What the server says about itself."""

from typing import Annotated, Literal

from msgspec import Meta

from walletsync.protocol import Message
from walletsync_server.api.http import Request, Response, json_response
from walletsync_server.live.interface import Reach
from walletsync_server.services import Services


class Health(Message, frozen=True):
    """What works."""

    status: Annotated[Literal["ok"], Meta(examples=["ok"])] = "ok"


class Ready(Message, frozen=True):
    """What works, and whose listeners learn of a change at once: of this process, of all servers, or of it alone while
    the others cannot be reached."""

    live: Annotated[Reach, Meta(examples=["process"])]
    status: Annotated[Literal["ok"], Meta(examples=["ok"])] = "ok"


def well_known(services: Services, _request: Request) -> Response:
    """GET `/.well-known/walletsync`."""
    return json_response(200, services.about.description)


def healthy(_services: Services, _request: Request) -> Response:
    """GET `/healthz`: the process answers."""
    return json_response(200, Health())


def ready(services: Services, _request: Request) -> Response:
    """GET `/readyz`: the database answers and can be written to, too."""
    services.readiness.check()
    return json_response(200, Ready(live=services.readiness.reach))
