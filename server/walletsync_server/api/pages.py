"""Pages for browsers, from the files in `pages/`: nothing in them runs, and nothing is fetched from anywhere."""

import base64
import hashlib
from importlib.resources import files
from string import Template

from walletsync_server import pages
from walletsync_server.api.http import Response

_HERE = files(pages)


def read(name: str) -> str:
    """Return a file of `pages/`."""
    return (_HERE / name).read_text()


_STYLE = read("style.css")
_FRAME = Template(read("frame.html"))
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",  # the address of the page may have a token in it
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """A page, made once.

    Args:
        content: HTML; its first heading is the title.
        style: CSS for this page only.
    """

    def __init__(self, content: str, style: str = "") -> None:
        title = content.partition("<h1>")[2].partition("</h1>")[0]
        self._body = _FRAME.substitute(title=title, style=_STYLE + style, content=content).encode()
        digest = base64.b64encode(hashlib.sha256((_STYLE + style).encode()).digest()).decode()
        self._headers = {
            **_HEADERS,
            "Content-Length": str(len(self._body)),
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
        }

    def response(self, status: int) -> Response:
        """Return it as an answer."""
        return Response(status=status, headers=self._headers, body=self._body)
