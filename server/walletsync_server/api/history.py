"""The versions of the wallet that are kept."""

import re

from walletsync.protocol import MAX_SEQUENCE, HistoryAnswer, KeptVersion
from walletsync_server.api.bearer import token_of
from walletsync_server.api.http import Request, Response, json_response, rfc3339
from walletsync_server.api.wallets import wallet_response
from walletsync_server.services import Services
from walletsync_server.services.coroutines import GeneratorCoroutine
from walletsync_server.services.errors import BadRequest

_SEQUENCE = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


def list_versions(services: Services, request: Request) -> Response:
    """GET `/wallet/history`."""
    versions = [
        KeptVersion(sequence=each.sequence, time=rfc3339(each.stored_at), size=each.size, device_id=each.device_id)
        for each in services.wallets.history(token_of(request))
    ]
    return json_response(200, HistoryAnswer(versions=versions))


def get_version(services: Services, request: Request) -> GeneratorCoroutine[Response]:
    """GET `/wallet/history/<sequence>`."""
    if not _SEQUENCE.fullmatch(request.argument) or int(request.argument) > MAX_SEQUENCE:
        raise BadRequest(f"The path must end with a sequence, a number from 1 to {MAX_SEQUENCE}.")
    version = yield from services.wallets.version(token_of(request), int(request.argument))
    return wallet_response(version)
