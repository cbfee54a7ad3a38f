"""What the plaintext of a wallet carries: the document, its author, and what the author knew of everyone's writes.

plaintext = lp(JSON of Payload's fields but the document) ‖ document, as its format encodes it, or that compressed
"""

from typing import Literal

from msgspec import UNSET, DecodeError, MsgspecError, Struct, UnsetType, json
from msgspec.structs import replace

from walletsync.compression import compressed, decompressed
from walletsync.errors import BadWallet
from walletsync.protocol import length_prefixed


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One write: its sequence, and the digest of that version as hex.

    `abandoned` has the digests of earlier writes of the same device that, as the write says, no line has ever had: they
    were refused, and their author gave them up. The latest ones only, see `walletsync.abandoned`.
    """

    sequence: int
    digest: str
    abandoned: tuple[str, ...] = ()


class Restore(Struct, frozen=True, forbid_unknown_fields=True):
    """A person's consent to go on from a server that was restored from a backup, so that every device can see it.

    Version `sequence` was the first to carry it. Its author had been on the line that began with the restore named
    `line` ("" for the account's first line), in `epoch`, had seen the writes in `entries` there and brought them along.
    """

    name: str
    sequence: int
    line: str
    epoch: int
    entries: dict[str, Entry]


class Payload(Struct, frozen=True, kw_only=True):
    """One version, decrypted.

    `format` is the name of the document's format, `device` the author's id, `entries` the last write of each device
    that the author had seen when it wrote this version (which itself cannot be among them), `restores` every restore of
    the server that this line went through, in order, `abandoned` what the `Entry` of this version will say.
    """

    format: str
    device: str
    entries: dict[str, Entry]
    restores: tuple[Restore, ...] = ()
    abandoned: tuple[str, ...] = ()
    document: bytes

    def __repr__(self) -> str:
        return "Payload(<hidden>)"

    def encode(self) -> bytes:
        """Return the plaintext, with the document compressed if that makes it smaller."""
        about = _Metadata(
            format=self.format,
            device=self.device,
            entries=self.entries,
            restores=self.restores,
            abandoned=self.abandoned,
        )
        plain = length_prefixed(json.encode(about)) + self.document
        packed = length_prefixed(json.encode(replace(about, compression="zlib"))) + compressed(self.document)
        return min(plain, packed, key=len)

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
            about = _METADATA.decode(plaintext[4 : 4 + size])
            document = plaintext[4 + size :]
            if about.compression == "zlib":
                document = decompressed(document)
        except (MsgspecError, ValueError, RecursionError):
            raise BadWallet(
                "This wallet is authentic, but the program that wrote it does not follow the protocol. Nothing of it "
                "was used; update that program, or restore an older version of the wallet."
            ) from None
        return cls(
            format=about.format,
            device=about.device,
            entries=about.entries,
            restores=about.restores,
            abandoned=about.abandoned,
            document=document,
        )


class _Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    format: str
    device: str
    entries: dict[str, Entry]
    restores: tuple[Restore, ...] = ()
    abandoned: tuple[str, ...] = ()
    compression: Literal["zlib"] | UnsetType = UNSET


_METADATA = json.Decoder(_Metadata)  # made here and not when it is first needed, see `protocol`
