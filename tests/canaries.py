"""The forms in which a secret can stand in a text, or among bytes, that ought not to have it."""

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus


def encodings_of(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield how bytes can be written in the midst of others, each with the name of the encoding.

    Base64 differs by where in a text they begin: of each way, the digits that are theirs alone.
    """
    yield "it is", raw
    yield "hex", raw.hex().encode()
    yield "hex in capitals", raw.hex().upper().encode()
    for before in range(3):
        whole = slice((0, 2, 3)[before], (before + len(raw)) * 8 // 6)
        yield "base64", base64.b64encode(bytes(before) + raw)[whole]
        yield "URL-safe base64", base64.urlsafe_b64encode(bytes(before) + raw)[whole]
    yield "a part of a URL", quote(raw, safe="").encode()
    yield "a part of a form", quote_plus(raw).encode()


def forms_of(secret: str) -> Iterator[str]:
    """Yield the forms in which a text can stand in a log or an error; compare in lower case."""
    raw = secret.encode()
    for _, form in encodings_of(raw):
        yield form.decode()
    yield "".join(f"%{byte:02x}" for byte in raw)
    yield json.dumps(secret)[1:-1]
    if re.fullmatch(r"(?:[0-9a-f]{2})+", secret):
        yield base64.b64encode(bytes.fromhex(secret)).decode().rstrip("=")
