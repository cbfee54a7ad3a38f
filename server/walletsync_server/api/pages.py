"""Pages for browsers, from the files in `pages/`: nothing in them runs, and nothing is fetched from anywhere."""

import base64
import hashlib
from importlib.resources import files
from string import Template

from walletsync_server import pages
from walletsync_server.api.http import Response

_HERE = files(pages)
_STYLE = (_HERE / "style.css").read_text()
_FRAME = Template((_HERE / "frame.html").read_text())
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",  # the address of the page may have a token in it
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """A page of `pages/`, by the name of its file; its first heading is its title."""

    def __init__(self, name: str) -> None:
        content = (_HERE / name).read_text()
        title = content.partition("<h1>")[2].partition("</h1>")[0]
        self._body = _FRAME.substitute(title=title, style=_STYLE, content=content).encode()

    def response(self, status: int) -> Response:
        """Return it as an answer."""
        return Response(status=status, headers={**_HEADERS, "Content-Length": str(len(self._body))}, body=self._body)
