"""Where a request carries its token."""

from walletsync_server.api.http import Request

_SCHEME = "bearer"


def token_of(request: Request, in_body: str | None = None) -> str | None:
    """Return the token: from the `Authorization` header, else from the body, else from the query; None without one."""
    in_header = token_in_header(request)
    if in_header is not None:
        return in_header
    if in_body is not None:
        return in_body
    return next(iter(request.parameters("token")), None)


def token_in_header(request: Request) -> str | None:
    """Return the token in the `Authorization` header, None if there is no such header."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == _SCHEME else None
