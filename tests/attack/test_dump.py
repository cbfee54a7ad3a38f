"""Who gets hold of the database holds nothing that a server takes: no value in it authenticates, in whatever form."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from tests.attack.forked import ForkedServer
from tests.attack.wires import KeptWire, handshake
from tests.server.helpers import API, log_in, sign_up, until, wallet_body
from tests.server.smtp import HOST, MailServer
from walletsync_server.cli import main

ALICE, BOB, CAROL, DAVE = "alice@example.com", "bob@example.com", "carol@example.com", "dave@example.com"
ERIN = "erin@example.com"
PASSWORD = "derived login password"


@dataclass(frozen=True)
class Loot:
    """A database with something in each table, and the secrets that only its users have."""

    database: Path
    options: tuple[str, ...]
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def loot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loot]:
    """An account with devices, a sign-up with its mail sent, one with it waiting, an invitation, a deletion."""
    database = tmp_path_factory.mktemp("dump") / "walletsync.db"
    with MailServer() as mails:
        mails.start()
        settings = {
            "accounts": "email",
            "public-url": "https://sync.example.com",
            "mail-from": "noreply@example.com",
            "mail-server": HOST,
            "mail-port": str(mails.port),
            "mail-security": "none",
        }
        options = tuple(word for name, value in settings.items() for word in (f"--{name}", value))
        server = ForkedServer(database, *options)
        assert server.wait_until_ready(), server.log.read_text()
        with closing(KeptWire(server.url)) as wire:
            for email in (ALICE, ERIN):
                sign_up(wire, email, PASSWORD, clientSaltSeed="a1" * 32)
            until(lambda: bool(mails.to(ALICE) and mails.to(ERIN)))
            for email in (ALICE, ERIN):
                wire("POST", f"{API}/verify", query={"verifyToken": mails.to(email)[0].token})
            token = log_in(wire, ALICE, PASSWORD).json["token"]
            for sequence in (1, 2):
                wire("POST", f"{API}/wallet", wallet_body(sequence, f"wallet {sequence}"), token=token)
            sign_up(wire, BOB, PASSWORD, clientSaltSeed="b0" * 32)
            until(lambda: bool(mails.to(BOB)))
            mails.says = lambda command, address: "451 try again later"
            sign_up(wire, CAROL, PASSWORD, clientSaltSeed="ca" * 32)
        assert server.kill() == -9
        for words in (["add", DAVE], ["remove", ERIN, "--yes"]):
            main(["accounts", *words, "--database", f"sqlite:///{database}"], standalone_mode=False)
        yield Loot(database, options, {"token": token, "password": PASSWORD, "link": mails.to(BOB)[0].token})


def values_in(database: Path) -> set[str | bytes]:
    """Return every value of every table, after checking that each table has one."""
    with closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608
    assert {"accounts", "tokens", "wallets", "signups", "mails", "server_values"} <= rows.keys()
    assert all(rows.values()), rows.keys()
    values = {value for table in rows.values() for row in table for value in row if value is not None}
    return {value if isinstance(value, bytes) else str(value) for value in values}


def forms(values: Iterable[str | bytes]) -> set[str]:
    """Return what somebody may make of the values: as they are, their parts, hexadecimal, base64, hashed once more."""
    found: set[str] = set()
    for value in values:
        parts = [value] if isinstance(value, bytes) else [value, *value.split("$"), *value.split(",")]
        for part in parts:
            raw = part if isinstance(part, bytes) else part.encode()
            encoded = [
                raw.hex(),
                raw.hex().upper(),
                base64.b64encode(raw).decode(),
                base64.urlsafe_b64encode(raw).decode(),
            ]
            found |= {raw.decode("latin-1"), hashlib.sha256(raw).hexdigest(), *encoded, encoded[2].rstrip("=")}
    return found - {""}


def those_that_authenticate(server: ForkedServer, words: Iterable[str]) -> set[tuple[str, str]]:
    """Return each way and each word by which the server takes a thief for somebody."""
    with closing(KeptWire(server.url)) as wire:
        return {(way, word) for word in words for way in ways_in(server, wire, word)}


def ways_in(server: ForkedServer, wire: KeptWire, word: str) -> Iterator[str]:
    if word.isprintable() and word.isascii():
        if wire("GET", f"{API}/wallet", token=word).status != 401:
            yield "header"
        if handshake(server.url, {}, {"Authorization": f"Bearer {word}"}).status != 401:
            yield "socket"
    if wire("GET", f"{API}/wallet", query={"token": word}).status != 401:
        yield "query"
    if wire("POST", f"{API}/wallet", wallet_body(9) | {"token": word}).status != 401:
        yield "body"
    if handshake(server.url, {"token": word}, {}).status != 401:
        yield "socket's query"
    if 8 <= len(word) <= 1024:
        for email in (ALICE, BOB, CAROL, DAVE):
            if log_in(wire, email, word, "thief").json.get("code") != "wrong_credentials":
                yield "password"
    if wire("POST", f"{API}/verify", query={"verifyToken": word}).status not in (400, 404):
        yield "link"


@pytest.fixture
def server(loot: Loot) -> Iterator[ForkedServer]:
    server = ForkedServer(loot.database, *loot.options)
    assert server.wait_until_ready(), server.log.read_text()
    yield server
    assert server.kill() == -9


@pytest.mark.promise("T-18")
def test_no_value_of_the_database_authenticates(loot: Loot, server: ForkedServer) -> None:
    """Tokens of devices and links, passwords and the server's own secret cannot be had from what is stored of them."""
    words = forms(values_in(loot.database))
    assert len(words) > 300
    assert those_that_authenticate(server, words) == set()


def test_plain_secrets_in_a_database_would_be_found(loot: Loot, server: ForkedServer) -> None:
    """The same search, in a database where each secret of a user is stored as it is, as bytes or among other words."""
    stored: list[str | bytes] = [bytes.fromhex(loot.secrets["token"]), loot.secrets["password"]]
    stored.append(f"sha256${loot.secrets['link']}")
    found = those_that_authenticate(server, forms(stored))
    ways = {way: [word for each, word in found if each == way] for way, _ in found}
    token, password = [loot.secrets["token"]], [loot.secrets["password"]]
    tokens = dict.fromkeys(["header", "query", "body", "socket", "socket's query"], token)
    assert ways == {**tokens, "password": password, "link": [loot.secrets["link"]]}
