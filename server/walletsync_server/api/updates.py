"""Live updates: the handshake of a WebSocket."""

from walletsync_server.api.bearer import token_of
from walletsync_server.api.http import Request, Response
from walletsync_server.services import Services
from walletsync_server.services.errors import UpgradeRequired


def connect(services: Services, request: Request) -> Response:
    """GET `/websocket`."""
    if request.wake is None:
        raise UpgradeRequired
    return Response(status=101, headers={}, subscription=services.updates.listen(token_of(request), request.wake))
