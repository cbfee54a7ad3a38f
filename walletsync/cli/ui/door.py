"""Who is let in to the page: the one browser that had the key first, and nobody by way of it.

Other people of this computer reach every port on it, and so does every web page in the browser. So the key in the
address is good for one visit, which gets a cookie in exchange. A cookie of 127.0.0.1 is sent to whatever listens on any
of its ports, but only below its path; therefore nobody can guess the path, either. A name that leads to 127.0.0.1 is
not the host, and a form of another page, on another port as well, has another origin.
"""

import threading
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Final

LOOPBACK: Final = "127.0.0.1"
COOKIE: Final = "walletsync"
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer, a form of ours would have no origin either
    "X-Content-Type-Options": "nosniff",
}
"""What every answer has."""


class Door:
    """The secrets of one run of the page on `port`."""

    def __init__(self, port: int) -> None:
        self.host = f"{LOOPBACK}:{port}"
        self.origin = f"http://{self.host}"
        self.place = token_urlsafe(16)
        """The folder of all pages."""
        self.session = token_urlsafe(32)
        """What the cookie has."""
        self._key = token_urlsafe(32)
        self._is_used = False
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """What is opened to come in."""
        return f"{self.origin}/?key={self._key}"

    def opens(self, key: str) -> bool:
        """Tell whether this is the key, the first time that it comes; then it is void."""
        with self._lock:
            is_key = _same(key, self._key) and not self._is_used
            self._is_used |= is_key
            return is_key

    def is_host(self, host: str) -> bool:
        """Tell whether a request meant this server: a name that was made to lead here is another one."""
        return host == self.host

    def knows(self, cookie: str) -> bool:
        """Tell whether a request comes from the browser that was let in."""
        return _same(cookie, self.session)

    def is_own(self, origin: str | None) -> bool:
        """Tell whether a form was one of this page: a browser says so itself, and no page can change that."""
        return origin == self.origin


def _same(one: str, other: str) -> bool:
    return compare_digest(one.encode(errors="surrogatepass"), other.encode())
