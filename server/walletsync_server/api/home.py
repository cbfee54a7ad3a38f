"""The page for a person who opens the server's address in a browser."""

from walletsync_server.api.http import Request, Response
from walletsync_server.api.pages import Page, read
from walletsync_server.services import Services

_HOME = Page(read("home.html"))


def show_home(_services: Services, _request: Request) -> Response:
    """GET `/`."""
    return _HOME.response(200)
