"""What the plaintext of a wallet carries: the document, its author, and what the author knew of everyone's writes.

plaintext = lp(JSON of Payload's fields but the document) ‖ document, as its format encodes it
"""

from msgspec import DecodeError, Struct, json

from walletsync.errors import BadWallet
from walletsync.protocol import length_prefixed


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One write: its sequence, and the digest of that version as hex."""

    sequence: int
    digest: str


class Payload(Struct, frozen=True, kw_only=True):
    """One version, decrypted.

    `format` is the name of the document's format, `device` the author's id, `entries` the last write of each device
    that the author had seen when it wrote this version (which itself cannot be among them).
    """

    format: str
    device: str
    entries: dict[str, Entry]
    document: bytes

    def __repr__(self) -> str:
        return "Payload(<hidden>)"

    def encode(self) -> bytes:
        """Return the plaintext."""
        about = _About(format=self.format, device=self.device, entries=self.entries)
        return length_prefixed(json.encode(about)) + self.document

    @classmethod
    def decode(cls, plaintext: bytes) -> "Payload":
        """Take a plaintext apart.

        Raises:
            BadWallet: it is authentic, but written by a program that does not follow the protocol.
        """
        size = int.from_bytes(plaintext[:4], "big")
        try:
            if len(plaintext) < 4 + size:
                raise DecodeError("cut off")
            about = json.decode(plaintext[4 : 4 + size], type=_About)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            raise BadWallet(
                "This wallet is authentic, but its author's program does not follow the protocol. Nothing of it was "
                "used; update that program, or restore an older version of the wallet."
            ) from None
        return cls(
            format=about.format,
            device=about.device,
            entries=about.entries,
            document=plaintext[4 + size :],
        )


class _About(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    device: str
    entries: dict[str, Entry]
