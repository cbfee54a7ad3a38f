"""The one place where anything that went wrong becomes an answer: a status, a code and a sentence."""

from collections.abc import Iterable

from msgspec import UNSET

from walletsync.protocol import PAYLOAD_VERSION, ErrorAnswer, ErrorCode
from walletsync_server.api.http import Response, entity_tag, json_response
from walletsync_server.services import errors


class Fault(errors.ServiceError):
    """What nobody foresaw."""

    code = ErrorCode.INTERNAL_ERROR
    sentence = "The server failed; try again, and tell its operator if this goes on."


STATUS: dict[type[errors.ServiceError], int] = {
    errors.BadRequest: 400,
    errors.UnsupportedVersion: 400,
    errors.TooLarge: 413,
    errors.Unauthorized: 401,
    errors.WrongCredentials: 401,
    errors.NotVerified: 401,
    errors.NotAllowed: 403,
    errors.AccountDisabled: 403,
    errors.AccountExists: 409,
    errors.TooManyDevices: 403,
    errors.UpgradeRequired: 426,
    errors.TooManySockets: 429,
    errors.NoWallet: 404,
    errors.NoSuchVersion: 404,
    errors.NoSuchDevice: 404,
    errors.SequenceUsed: 409,
    errors.WalletRequired: 409,
    errors.NoWalletToChange: 409,
    errors.Conflict: 409,
    errors.NothingToFollow: 409,
    errors.RateLimited: 429,
    errors.Busy: 503,
    errors.Overloaded: 503,
    errors.Unavailable: 503,
    Fault: 500,
}
_CHALLENGE = {"WWW-Authenticate": "Bearer"}  # a 401 must name a way in (RFC 9110, 15.5.2)


def refusal(error: errors.ServiceError) -> Response:
    """Answer what a service refused."""
    status = STATUS[type(error)]
    if isinstance(error, errors.Conflict):
        return json_response(status, _conflict(error), {"ETag": entity_tag(error.current.digest)})
    if isinstance(error, errors.NothingToFollow):
        return json_response(status, ErrorAnswer(error=error.sentence, code=error.code, applied=False))
    if isinstance(error, errors.Later | errors.Unavailable):
        return error_response(status, error.code, error.sentence, {"Retry-After": str(error.retry_after)})
    return error_response(status, error.code, error.sentence, _CHALLENGE if status == 401 else {})


def not_found() -> Response:
    """Answer a path that leads nowhere."""
    return error_response(
        404, ErrorCode.NOT_FOUND, "There is nothing at this address; check the address of the server.", {}
    )


def method_not_allowed(allowed: Iterable[str]) -> Response:
    """Answer a method that this path does not know."""
    return error_response(
        405,
        ErrorCode.METHOD_NOT_ALLOWED,
        "This method is not allowed here; the header Allow lists those that are.",
        {"Allow": ", ".join(sorted(allowed))},
    )


def unexpected() -> Response:
    """Answer a fault of the server. What it was stands in the log, not here."""
    return refusal(Fault())


def unreadable(status: int) -> Response:
    """Answer what an adapter refused before it was a `Request`, with its own status."""
    if status == 503:
        return refusal(errors.Overloaded())
    if status >= 500 and status != 501:
        return unexpected()
    if status in (413, 414, 431):
        return error_response(status, ErrorCode.TOO_LARGE, errors.TooLarge.sentence, {})
    return error_response(status, ErrorCode.BAD_REQUEST, "The server cannot read this HTTP request.", {})


def error_response(status: int, code: ErrorCode, sentence: str, headers: dict[str, str]) -> Response:
    """Return an error in the shape that all of them have."""
    return json_response(status, ErrorAnswer(error=sentence, code=code), headers)


def _conflict(error: errors.Conflict) -> ErrorAnswer:
    return ErrorAnswer(
        error=error.sentence,
        code=error.code,
        applied=UNSET if error.applied is None else error.applied,
        version=PAYLOAD_VERSION,
        encrypted_wallet=error.current.encrypted_wallet,
        sequence=error.current.sequence,
        hmac=error.current.hmac,
    )
