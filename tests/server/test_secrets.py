"""What must be found nowhere: secrets in the log, and values in the database that would authenticate."""

import hashlib
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.cheap_server import CheapServer
from tests.server.helpers import API, Account, HttpWire, log_in, seed_of, send_raw, sign_up, wallet_body

PASSWORD = "password canary 51f0"
WRONG_PASSWORD = "wrong canary 51f1"
EMAIL = "canary51f2@example.com"
OTHER_EMAIL = "canary51f3@example.com"
SALT_SEED = "51f4" * 16
DEVICE = "device canary 51f5"
WALLET = "wallet canary 51f6"
HMAC = "hmac canary 51f7"
WRONG_TOKEN = "51f8" * 16
CANARIES = [PASSWORD, WRONG_PASSWORD, EMAIL, OTHER_EMAIL, SALT_SEED, DEVICE, WALLET, HMAC]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """A run with everything a client can do right and wrong; gives log, database and the token that is alive."""
    database = tmp_path_factory.mktemp("run") / "walletsync.db"
    with CheapServer(database=database, accounts="open") as server:
        wire = HttpWire(server.url)
        sign_up(wire, EMAIL, PASSWORD, clientSaltSeed=SALT_SEED)
        sign_up(wire, EMAIL, WRONG_PASSWORD, clientSaltSeed=SALT_SEED)
        log_in(wire, EMAIL, WRONG_PASSWORD, DEVICE)
        log_in(wire, OTHER_EMAIL, PASSWORD, DEVICE)
        seed_of(wire, EMAIL)
        seed_of(wire, OTHER_EMAIL)
        revoked = log_in(wire, EMAIL, PASSWORD, DEVICE).json["token"]
        wire("DELETE", "/auth/full", query={"token": revoked})
        token = log_in(wire, EMAIL, PASSWORD, DEVICE).json["token"]
        account = Account(wire, EMAIL, token)
        for sequence in (1, 1, 2, 5):
            account.post(sequence, WALLET, HMAC)
        account.post(3, WALLET, HMAC, more=EMAIL)
        wire("POST", "/wallet", wallet_body(3, WALLET, HMAC) | {"token": token})
        for query in ({"token": token}, {"token": WRONG_TOKEN}, {"email": EMAIL}):
            wire("GET", "/wallet", query=query)
            wire("GET", f"{API}/client-salt-seed", query=query)
        for path in (f"/{EMAIL}", f"/wallet/{token}", f"/{PASSWORD.replace(' ', '%20')}"):
            wire("GET", path, token=token)
            wire("BREW", path, PASSWORD.encode(), token=token)
        wire(PASSWORD.upper().replace(" ", ""), "/wallet")
        wire("POST", "/signup", f'{{"{PASSWORD}": "{EMAIL}'.encode())
        wire("GET", "/wallet", headers={"Host": f"{EMAIL}..x", "User-Agent": PASSWORD})
        for target in (f"http://[{EMAIL}]/wallet?token={token}", f"http://[/{EMAIL}"):
            assert send_raw(server.url, f"GET {target} HTTP/1.1\r\n\r\n".encode()).status == 400
        server.stop()
        return server.log(), database, token


def test_log_has_no_secret(run: tuple[str, Path, str]) -> None:
    """No token, password, seed, address, device, wallet, query or client's address is in any line of the log."""
    log, _, token = run
    lines = [line for line in log.splitlines() if "event=request" in line]
    assert len(lines) > 25
    digest = hashlib.sha256(token.encode()).hexdigest()
    for text in [*CANARIES, token, digest, WRONG_TOKEN, "canary", "?", "127.0.0.1", "@"]:
        assert text.lower() not in log.lower(), text
    for name in ("method=", "route=", "status=", "ms="):
        assert all(name in line for line in lines)


@pytest.mark.promise("T-18")
def test_nothing_stored_authenticates(run: tuple[str, Path, str]) -> None:
    """No value in the database equals or contains a token or password, and none of them is in the file's bytes."""
    _, database, token = run
    connection = apsw.Connection(str(database))
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%'")]
    values = []
    for name in names:
        rows = connection.execute(f"SELECT * FROM {name}")  # noqa: S608 - the database's own names
        values += [value for row in rows for value in row]
    connection.close()
    assert EMAIL in values  # so the search finds what is there
    raw = b"".join(path.read_bytes() for path in database.parent.iterdir())
    assert EMAIL.encode() in raw
    for secret in (token, PASSWORD, bytes.fromhex(token)):
        assert all(secret_in(secret, value) is False for value in values)
        assert (secret if isinstance(secret, bytes) else secret.encode()) not in raw


def secret_in(secret: str | bytes, value: Any) -> bool:
    """Say whether a stored value contains a secret, as text or as bytes."""
    wanted = secret.encode() if isinstance(secret, str) else secret
    stored = value if isinstance(value, bytes) else str(value).encode()
    return wanted in stored


@pytest.mark.promise("T-18")
def test_stored_hash_of_a_token_is_no_token(run: tuple[str, Path, str]) -> None:
    """Who reads the database and presents what is there is refused."""
    _, database, token = run
    with CheapServer(database=database) as server:
        wire = HttpWire(server.url)
        assert wire("GET", "/wallet", token=token).status == 200
        stolen = hashlib.sha256(token.encode()).hexdigest()
        assert wire("GET", "/wallet", token=stolen).status == 401
