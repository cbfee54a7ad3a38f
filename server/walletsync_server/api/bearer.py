"""Where a request carries its token."""

from walletsync_server.api.http import Request

_SCHEME = "bearer"


def token_of(request: Request, in_body: str | None = None) -> str | None:
    """Return the token: from the `Authorization` header, else from the body, else from the query; None without one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == _SCHEME:
        return credentials.strip()
    if in_body is not None:
        return in_body
    return next(iter(request.parameters("token")), None)
