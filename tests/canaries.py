"""The forms in which a secret can stand in a text that ought not to have it."""

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus


def forms_of(secret: str) -> Iterator[str]:
    """Yield the forms in which a text can stand in a log or an error; compare in lower case."""
    raw = secret.encode()
    yield secret
    yield raw.hex()
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield "".join(f"%{byte:02x}" for byte in raw)
    yield json.dumps(secret)[1:-1]
    for before in range(3):  # base64 differs by where in a text the secret begins
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * before + raw).decode().rstrip("=")
            yield text[(0, 2, 3)[before] : -2]
    if re.fullmatch(r"(?:[0-9a-f]{2})+", secret):
        yield base64.b64encode(bytes.fromhex(secret)).decode().rstrip("=")
