"""Documents, compressed before they are encrypted (RFC 1950), and unpacked within a bound."""

import zlib

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""A document has no more bytes, by the protocol: what would unpack to more is refused, so memory is bounded."""


def compressed(document: bytes) -> bytes:
    """Return the document in zlib's format. Not the same bytes with every release of the library."""
    return zlib.compress(document)


def decompressed(data: bytes) -> bytes:
    """Return the document. Raises ValueError unless `data` is one whole stream of at most `MAX_DOCUMENT_BYTES`."""
    unpacking = zlib.decompressobj()
    try:
        document = unpacking.decompress(data, MAX_DOCUMENT_BYTES + 1)
    except zlib.error:
        raise ValueError("The document is not in zlib's format.") from None
    if not unpacking.eof or unpacking.unused_data or len(document) > MAX_DOCUMENT_BYTES:
        raise ValueError("The document is cut off, has more behind it, or is too large.")
    return document
