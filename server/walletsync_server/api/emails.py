"""E-mail addresses of requests, in the one form that both sides look accounts up from."""

import base64
import binascii

from walletsync.protocol import canonical_email
from walletsync_server.services.errors import BadRequest


def checked(address: str) -> str:
    """Return `address` if it is canonical.

    Raises:
        BadRequest: with a sentence that tells what to write instead.
    """
    try:
        return canonical_email(address)
    except ValueError as error:
        raise BadRequest(f"Field `email`: {error}.") from None


def from_base64(values: list[str]) -> str:
    """Return the address in the one value of a query parameter, which is standard base64 with padding.

    Line breaks in it are dropped, since an existing client sends them; a space is a plus that was not escaped.

    Raises:
        BadRequest: if there is not exactly one value, or it is no canonical address in base64.
    """
    if len(values) != 1:
        raise BadRequest("Parameter `email` must be given once, as the address in base64.")
    text = values[0].replace("\r", "").replace("\n", "").replace(" ", "+")
    try:
        address = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadRequest("Parameter `email` must be standard base64 with padding.") from None
    return checked(address)
