"""Clients that were written without this server in mind: the flat paths, and the LBRY API on /api/3."""

import base64

import pytest

from tests.server.helpers import API, PASSWORD, SEED, UNKNOWN_TOKEN, Wire, fresh_email


@pytest.mark.promise("X-27")
@pytest.mark.parametrize("text", ["-", "%d", "\0"])
def test_client_of_the_flat_paths(wire: Wire, text: str) -> None:
    """No seed, no headers, `version` and `token` in the body, `?token=`: sign up, log in, post, get, conflict."""
    email = fresh_email()
    assert wire("POST", "/signup", {"email": email, "password": PASSWORD}).status == 201
    login = wire("POST", "/auth/full", {"email": email, "password": PASSWORD, "deviceId": "1"})
    token = login.json["token"]
    body = {
        "version": 1,
        "encryptedWallet": text,
        "sequence": 1,
        "hmac": "tag",
        "token": token,
    }
    assert wire("POST", "/wallet", body).status == 200
    got = wire("GET", f"/wallet?token={token}")
    assert got.json == {"version": 1, "encryptedWallet": text, "sequence": 1, "hmac": "tag"}

    stale = wire("POST", "/wallet", body | {"encryptedWallet": "mine"})
    assert stale.status == 409
    latest = {key: stale.json[key] for key in got.json}
    assert latest == got.json
    merged = body | {"encryptedWallet": "merged", "sequence": latest["sequence"] + 1}
    assert wire("POST", "/wallet", merged).json["sequence"] == 2


@pytest.mark.promise("P-145")
def test_client_of_the_lbry_api(wire: Wire) -> None:
    """Its requests in their shapes; a base64 with a line break at the end, tokens in body and query."""
    email = fresh_email()
    register = {"email": email, "password": PASSWORD, "clientSaltSeed": SEED}
    assert wire("POST", f"{API}/signup", register).status == 201

    encoded = base64.encodebytes(email.encode()).decode()
    seed = wire("GET", f"{API}/client-salt-seed", query={"email": encoded})
    assert seed.json["clientSaltSeed"] == SEED

    login = {"email": email, "password": PASSWORD, "deviceId": "dev-1"}
    answer = wire("POST", f"{API}/auth/full", login)
    assert {"token", "deviceId", "scope", "userId", "expiration"} == set(answer.json)
    token = answer.json["token"]

    assert wire("GET", f"{API}/wallet", query={"token": token}).status == 404
    first = {"token": token, "encryptedWallet": "one", "sequence": 1, "hmac": "1"}
    assert wire("POST", f"{API}/wallet", first).status == 200
    got = wire("GET", f"{API}/wallet", query={"token": token})
    assert [got.json[key] for key in ("encryptedWallet", "sequence", "hmac")] == ["one", 1, "1"]
    second = first | {"encryptedWallet": "two", "sequence": 2}
    assert wire("POST", f"{API}/wallet", second).status == 200
    assert wire("POST", f"{API}/wallet", second | {"hmac": "2"}).status == 409
    assert wire("POST", f"{API}/wallet", second | {"token": UNKNOWN_TOKEN}).status == 401
