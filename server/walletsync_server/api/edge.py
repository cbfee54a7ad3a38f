"""What depends on who stands between the server and its clients: proxies, TLS, web pages."""

from collections.abc import Collection, Iterable
from random import getrandbits

from walletsync_server.api.http import Request, Response, empty_response
from walletsync_server.api.proxies import TrustedProxies

ANY_ORIGIN = "*"
_HSTS = {"Strict-Transport-Security": "max-age=31536000"}  # a year, as is usual
_EXPOSED = "ETag, Retry-After, X-Request-Id"
_ALLOWED_HEADERS = "Authorization, Content-Type, If-None-Match"
_PREFLIGHT_SECONDS = "600"


class Edge:
    """Knows the proxies that are trusted and the web pages that may use the server.

    Args:
        trusted_proxies: addresses and networks.
        public_url: the server's address as clients write it; if it is https, they are told to stay with that.
        cors_origins: origins as browsers send them, or `*` for every page of the web. By default none. Credentials of
            the browser are never allowed: a page that has a token sends it itself.
    """

    def __init__(
        self, *, trusted_proxies: Iterable[str] = (), public_url: str = "", cors_origins: Collection[str] = ()
    ) -> None:
        self.proxies = TrustedProxies(trusted_proxies)
        self._is_https = public_url.startswith("https://")
        self._origins = frozenset(cors_origins)

    def request_id_of(self, request: Request) -> str:
        """Return the id that a trusted proxy gave the request, else a new one."""
        # No secret, so that nobody needs to ask the system for it.
        return (self.proxies.are_any and self.proxies.request_id_of(request)) or f"{getrandbits(64):016x}"

    def headers_for(self, request: Request) -> dict[str, str]:
        """Return the headers that an answer to this request has beside its own."""
        headers: dict[str, str] = {}
        if self._is_https or (self.proxies.are_any and self.proxies.is_https(request)):
            headers |= _HSTS
        if self._origins:
            headers |= self._cors(request)
        return headers

    def preflight(self, request: Request, methods: Iterable[str]) -> Response | None:
        """Answer a browser that asks whether a page may use these methods; None if it is no such question, or no."""
        asks = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        if not asks or not self._allows(request.headers.get("origin")):
            return None
        return empty_response(
            204,
            {
                "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
            },
        )

    def _cors(self, request: Request) -> dict[str, str]:
        origin = request.headers.get("origin")
        vary = {} if ANY_ORIGIN in self._origins else {"Vary": "Origin"}
        if origin is None or not self._allows(origin):
            return vary
        allowed = origin if vary else ANY_ORIGIN
        return vary | {"Access-Control-Allow-Origin": allowed, "Access-Control-Expose-Headers": _EXPOSED}

    def _allows(self, origin: str | None) -> bool:
        return origin is not None and (origin in self._origins or ANY_ORIGIN in self._origins)
