"""Confirming an address: the link's page, its button, and asking for another mail."""

import re

from walletsync.protocol import ResendAnswer, ResendRequest
from walletsync_server.api.emails import checked
from walletsync_server.api.http import Request, Response, json_response
from walletsync_server.api.pages import Page, read
from walletsync_server.services import Services

_TOKEN = re.compile(r"[0-9a-f]{64}")
_BUTTON, _VERIFIED = Page(read("verify.html")), Page(read("verified.html"))
_DEAD_LINK, _BROKEN_LINK = Page(read("dead_link.html")), Page(read("broken_link.html"))


def resend(services: Services, request: Request, body: ResendRequest) -> Response:
    """POST `/verify/resend`: 200 whatever waits for the address, or does not."""
    services.accounts.mail_again(checked(body.email), request.client)
    return json_response(200, ResendAnswer())


def show_button(_services: Services, request: Request) -> Response:
    """GET `/verify`: a page with a button. Nothing is looked up, since mail scanners follow links, too."""
    return _BROKEN_LINK.response(400) if _token(request) is None else _BUTTON.response(200)


def confirm(services: Services, request: Request) -> Response:
    """POST `/verify`: what the button does. The body is ignored."""
    token = _token(request)
    if token is None:
        return _BROKEN_LINK.response(400)
    return _VERIFIED.response(200) if services.signups.confirm(token) else _DEAD_LINK.response(404)


def _token(request: Request) -> str | None:
    values = request.parameters("verifyToken")
    return values[0] if len(values) == 1 and _TOKEN.fullmatch(values[0]) else None
