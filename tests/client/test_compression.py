"""Documents are compressed before they are sealed, where that makes the version smaller; a bomb is refused."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.middle import POST_WALLET, Middle
from walletsync import Client, JSONFormat, compression
from walletsync.errors import BadWallet, WalletTooLarge
from walletsync.payload import Payload
from walletsync.protocol import length_prefixed

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "suite1_compression.json").read_text())
LONG = b'{"labels": {"rent": "rent, May", "rents": "rent, June"}}' * 50


def payload(document: bytes) -> Payload:
    return Payload(format="json", device="laptop", entries={}, document=document)


def plaintext(about: bytes, rest: bytes) -> bytes:
    return length_prefixed(b'{"format":"json","device":"laptop","entries":{}' + about + b"}") + rest


def test_a_document_is_compressed_and_comes_back() -> None:
    """The plaintext is a small part of the document, and says how to unpack it."""
    encoded = payload(LONG).encode()
    assert len(encoded) < len(LONG) / 10
    assert b'"compression":"zlib"' in encoded
    assert Payload.decode(encoded) == payload(LONG)


@pytest.mark.parametrize("length", range(200))
def test_a_version_is_never_larger_for_it(length: int) -> None:
    """What compression makes no smaller, the field that tells of it included, stays as it is."""
    document = (b"ab" * length)[:length]
    encoded = payload(document).encode()
    assert len(encoded) <= len(plaintext(b"", document))
    assert (b"compression" in encoded) == (len(encoded) < len(plaintext(b"", document)))
    assert Payload.decode(encoded) == payload(document)


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["name"])
def test_the_frozen_ones_are_unpacked(vector: dict[str, str]) -> None:
    """Whatever program packed them: there is more than one way to compress the same."""
    assert Payload.decode(bytes.fromhex(vector["plaintext"])).document == vector["document"].encode()


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["name"])
def test_the_frozen_faults_are_refused(vector: dict[str, str]) -> None:
    """Cut off, with more behind it, of another kind, or damaged."""
    with pytest.raises(BadWallet, match="authentic"):
        Payload.decode(bytes.fromhex(vector["plaintext"]))


@pytest.mark.promise("T-14")
def test_a_bomb_is_refused_before_it_unfolds() -> None:
    """A document of the largest size is taken; of a byte more, that byte is the last that is unpacked."""
    limit = compression.MAX_DOCUMENT_BYTES
    packer = zlib.compressobj()
    bomb = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(limit // 1024 // 1024))
    largest = bomb + packer.copy().flush()
    assert len(Payload.decode(plaintext(b',"compression":"zlib"', largest)).document) == limit
    one_more = bomb + packer.compress(b"\0") + packer.flush()
    assert len(one_more) < limit / 500
    with pytest.raises(BadWallet):
        Payload.decode(plaintext(b',"compression":"zlib"', one_more))


def test_nobody_writes_what_nobody_may_read(device: Callable[[str], Client], middle: Middle) -> None:
    """A document that no device would unpack does not leave the one that has it."""
    client = device("laptop")
    client.set_document({"labels": "x" * 1_000})
    size = len(JSONFormat().encode(client.get_document()))
    with (
        patch.object(compression, "MAX_DOCUMENT_BYTES", size - 1),
        pytest.raises(WalletTooLarge, match=f"has {size:,} bytes; no device takes more than {size - 1:,}"),
    ):
        client.sync()
    assert POST_WALLET not in middle.requests
