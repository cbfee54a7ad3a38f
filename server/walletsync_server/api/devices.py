"""The devices of an account: those that hold a token."""

from walletsync.protocol import Device, DevicesAnswer
from walletsync_server.api.bearer import token_of
from walletsync_server.api.http import Request, Response, empty_response, json_response, rfc3339
from walletsync_server.services import Services


def list_devices(services: Services, request: Request) -> Response:
    """GET `/devices`."""
    devices = [
        Device(device_id=each.device_id, since=rfc3339(each.created_at), expiration=rfc3339(each.expires_at))
        for each in services.tokens.devices(token_of(request))
    ]
    return json_response(200, DevicesAnswer(devices=devices))


def revoke_device(services: Services, request: Request) -> Response:
    """DELETE `/devices/<deviceId>`."""
    services.tokens.revoke_device(token_of(request), request.argument)
    return empty_response(204)
