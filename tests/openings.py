"""What is packed in bytes, each inside of the other: base64, hex, zlib, gzip, zstd, and deflate without a frame."""

import base64
import re
import zlib
from collections import deque
from collections.abc import Iterator
from typing import Protocol

import zstandard

DEPTH = 4
"""So many packings inside of each other are opened: base64 in JSON, compressed, in base64 once more."""
LARGEST = 1 << 20
"""Bytes that are unpacked of one stream; what is known of a run is in its beginning, if it is anywhere."""
UNMARKED = 1 << 14
"""Deflate has no mark by which it begins. In no more bytes than this, it is tried at each; in more, it is not."""
_STEP = 64
"""Bytes that are unpacked at once: of a damaged stream, what was before the damage is had to this."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){16,}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ZLIB = re.compile(
    b"|".join(
        re.escape(bytes([first]))
        + b"[%s]" % re.escape(bytes(n for n in range(256) if not (first << 8 | n) % 31 and not n & 32))
        for first in range(0x08, 0x88, 16)
    )
)
"""Which 32 KiB or less it looks back, then how well it is compressed, such that both are a multiple of 31."""
_GZIP = re.compile(rb"\x1f\x8b\x08")
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd")
_DEFLATE = re.compile(b"[%s]" % re.escape(bytes(first for first in range(256) if first & 6 in (2, 4))))
"""The first byte of a block that is compressed; one that is not can be read without being opened."""


class _Unpacking(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: memoryview, /) -> bytes: ...


def opened(data: bytes, seen: set[bytes]) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Yield the bytes, and what is packed in them, each with the names of its packings from the outermost on.

    What was seen is passed over, with all that is in it; and what is yielded has been seen from then on.
    """
    pending: deque[tuple[tuple[str, ...], bytes]] = deque([((), data)])
    while pending:
        way, piece = pending.popleft()
        if piece in seen:
            continue
        seen.add(piece)
        yield way, piece
        if len(way) < DEPTH:
            pending.extend(((*way, name), inner) for name, inner in inside(piece))


def inside(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what is packed in bytes, and the name of the packing."""
    for run in _BASE64.finditer(data):
        text = run[0].translate(_URL_SAFE)
        for start in range(4):  # letters before it belong to something else
            yield "base64", base64.b64decode(text[start:] + b"A" * ((start - len(text)) % 4))
    for run in _HEX.finditer(data):
        yield "hex", bytes.fromhex(run[0].decode())
    view = memoryview(data)
    for mark in _ZLIB.finditer(data):
        yield from _unpacked("zlib", view[mark.start() :], zlib.decompressobj())
    for mark in _GZIP.finditer(data):
        yield from _unpacked("gzip", view[mark.start() :], zlib.decompressobj(wbits=zlib.MAX_WBITS | 16))
    for mark in _ZSTD.finditer(data):
        yield from _unpacked("zstd", view[mark.start() :], zstandard.ZstdDecompressor().decompressobj())
    if len(data) <= UNMARKED:
        for mark in _DEFLATE.finditer(data):
            yield from _unpacked("deflate", view[mark.start() :], zlib.decompressobj(wbits=-zlib.MAX_WBITS))


def _unpacked(name: str, packed: memoryview, unpacking: _Unpacking) -> Iterator[tuple[str, bytes]]:
    found = bytearray()
    for start in range(0, len(packed), _STEP):
        try:
            found += unpacking.decompress(packed[start : start + _STEP])
        except (zlib.error, zstandard.ZstdError):
            break  # it is damaged from here on, or it never was a stream
        if unpacking.eof or len(found) > LARGEST:
            break
    if len(found) > 5:  # what is shorter says nothing
        yield name, bytes(found)
