"""The search that the leak test relies on finds a secret wherever one can be, and takes nothing else for one."""

import base64
import gzip
import json
import random
import socket
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from websockets.frames import Frame, Opcode

from tests.docs.evidence import sqlite_rows, texts_of, unmasked
from tests.docs.recorder import ASKED, Recorder
from tests.leaks import Search, Secret, without

TEXT = b'{"labels":{"tx1":"rent to Mr Miller"}}'
SECRET = Secret("the text", b"rent to Mr Miller")
KEY = Secret("the key", bytes(range(7, 39)))
LOGIN = Secret("the login", b"nMz3Ok8Zk2hE0S6yVx7c9PqkVw4=")


def found(data: bytes, *secrets: Secret) -> list[str]:
    return Search(secrets or [SECRET, KEY]).found("there", data)


def noise(size: int, seed: int = 1) -> bytes:
    print(f"seed {seed}")
    return random.Random(seed).randbytes(size)


def deflated(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "deflate": deflated,
    "base64": base64.b64encode,
}


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize("secret", [SECRET, KEY], ids=lambda secret: secret.name)
def test_every_encoding_is_found(secret: Secret, before: bytes) -> None:
    """Whatever stands before it and behind it, and in both cases of hex and both alphabets of base64."""
    for value in (secret.value, before + secret.value + b"after"):
        assert found(noise(100) + value + noise(100)) == [f"there is {secret.name} as it is, in there"]
        assert f"there is {secret.name} as hex, in there" in found(value.hex().encode())
        assert f"there is {secret.name} as hex in capitals, in there" in found(value.hex().upper().encode())
        assert f"there is {secret.name} as base64, in there" in found(base64.b64encode(value))
        urls = [text for text in found(base64.urlsafe_b64encode(value)) if text.endswith("base64, in there")]
        assert urls, "one that has neither - nor _ is the same in both alphabets"


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_packing_is_opened(packing: str) -> None:
    """In the midst of other bytes, and also where its end is missing; but a block of zstd is read as a whole."""
    packed = PACKINGS[packing](TEXT + base64.b64encode(noise(3000)))
    for data in (packed, noise(500) + packed + noise(500), packed if packing == "zstd" else packed[:2000]):
        assert f"there is the text as it is, in {packing} in there" in found(data)


@pytest.mark.parametrize("inner", PACKINGS)
@pytest.mark.parametrize("outer", PACKINGS)
def test_packings_in_each_other_are_opened(outer: str, inner: str) -> None:
    """Where the outer one makes the inner one unreadable as well, and where it leaves it as it is."""
    packed = PACKINGS[inner](TEXT)
    for body in (packed, packed * 3, b'{"a":"' + packed + b'"}'):
        assert found(PACKINGS[outer](body))


def test_what_is_not_there_is_not_found() -> None:
    """Random bytes, their encodings, and texts that are much like the secret."""
    for seed in range(3):
        data = noise(10_000, seed)
        assert found(data + base64.b64encode(data) + zlib.compress(data) + b"rent to Mr. Miller") == []


def test_a_secret_may_be_in_its_place_and_nowhere_else() -> None:
    """What logs in is in one field of a request. In another, in another form, or packed, it is a leak."""

    def leaks(data: bytes) -> list[str]:
        return found(without([LOGIN.value], data, after=rb'"password": ?"'), LOGIN)

    fields = {"email": "ada@example.com", "password": LOGIN.value.decode()}
    for body in (json.dumps(fields).encode(), json.dumps(fields, separators=(",", ":")).encode()):
        assert leaks(body) == []
        assert found(body, LOGIN) == ["there is the login as it is, in there"]
        assert leaks(body.replace(b"password", b"hint")) == ["there is the login as it is, in there"]
        assert leaks(body + LOGIN.value.hex().encode()) == [
            "there is the login as hex, in there",
            "there is the login as it is, in hex in there",
        ]
        assert leaks(zlib.compress(body)) == ["there is the login as it is, in zlib in there"]


def test_what_was_searched_is_not_searched_again() -> None:
    """A database has the same page many times, and a backup has it once more."""
    search = Search([SECRET])
    packed = zlib.compress(TEXT)
    assert search.found("here", packed) == ["there is the text as it is, in zlib in here"]
    assert search.found("there", packed + b"more") == []
    assert search.found("there", TEXT) == []
    assert search.found("there", TEXT + b"more") == ["there is the text as it is, in there"]


def test_a_secret_that_chance_could_write_is_refused() -> None:
    """A search for it would find it where it is not."""
    with pytest.raises(ValueError, match="the word is too short to be told from chance"):
        Search([Secret("the word", b"rent")])
    assert sorted(texts_of({"labels": {"tx1": "rent", "tx2": "a gift from Mr Miller"}})) == [
        '"a gift from Mr Miller"',
        '"labels"',
        '"rent"',
        '"tx1": "rent"',
        '"tx1":"rent"',
        '"tx2": "a gift from Mr Miller"',
        '"tx2":"a gift from Mr Miller"',
        "a gift from Mr Miller",
    ]


def test_packets_are_joined(tmp_path: Path) -> None:
    """A secret that comes in two is found in what the recorder wrote."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Recorder(f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path) as recorder,
        socket.create_connection(("127.0.0.1", int(recorder.url.rpartition(":")[2]))) as client,
    ):
        client.sendall(TEXT[:20])
        server, _ = listener.accept()
        with server:
            assert server.recv(100) == TEXT[:20]
            client.sendall(TEXT[20:])
            assert server.recv(100) == TEXT[20:]
    (written,) = (tmp_path / "wire").glob(f"*{ASKED}")
    assert found(written.read_bytes()) == ["there is the text as it is, in there"]


def test_what_a_client_says_on_a_websocket_is_read() -> None:
    """There, it is masked: the bytes that pass say nothing."""
    frames = b"".join(Frame(Opcode.TEXT, piece).serialize(mask=True) for piece in (TEXT, b"more"))
    assert found(frames) == []
    assert unmasked(frames) == TEXT + b"more"


def test_a_secret_in_a_database_is_found(tmp_path: Path) -> None:
    """In the log, before it is in a page; in a page; and among the values."""
    file = tmp_path / "a.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE 'a table' (value)")
        with database:
            database.execute("INSERT INTO 'a table' VALUES (?)", [TEXT])
        assert found(file.with_name("a.db-wal").read_bytes()) == ["there is the text as it is, in there"]
        assert found(file.read_bytes()) == []
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert found(file.read_bytes()) == ["there is the text as it is, in there"]
    assert sqlite_rows(file) == TEXT


def test_a_value_that_pages_cut_is_found_among_the_rows(tmp_path: Path) -> None:
    """Wherever it is cut: nothing of the file has it in one piece."""
    file = tmp_path / "a.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE a (value BLOB)")
        for size in range(0, 5000, 8):
            value = bytes(size) + SECRET.value + bytes(9000 - size)
            with database:
                database.execute("DELETE FROM a")
                database.execute("INSERT INTO a VALUES (?)", [value])
            if not found(file.read_bytes()):
                break
        else:
            pytest.fail("no page cut it")
    assert found(sqlite_rows(file)) == ["there is the text as it is, in there"]
