"""Disabling, quota and export: what an operator does about one account while the server, a real process, runs."""

import json
import stat
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import websocket
from click.testing import CliRunner, Result

from tests.cheap_server import CheapServer
from tests.server.front import listen
from tests.server.helpers import API, PASSWORD, SEED, Account, HttpWire, fresh_email, log_in, new_account, sign_up
from walletsync_server.app import VOID_SECONDS
from walletsync_server.cli import main
from walletsync_server.testing import RunningServer

CHANGE = {"oldPassword": PASSWORD, "newPassword": "another password", "clientSaltSeed": "ed" * 32}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with CheapServer(accounts="open", database=tmp_path_factory.mktemp("db") / "walletsync.db") as server:
        yield server


@pytest.fixture
def alice(server: RunningServer) -> Account:
    return new_account(HttpWire(server.url))


def accounts(server: RunningServer, *words: str) -> Result:
    return CliRunner().invoke(main, ["accounts", words[0], "--database", f"sqlite:///{server.database}", *words[1:]])


@pytest.mark.promise("P-88")
def test_nobody_gets_into_a_disabled_account(server: RunningServer, alice: Account) -> None:
    """Tokens are void at once; the right password is told 403, for whatever it is shown, and changes nothing."""
    wire = alice.wire
    assert alice.post(1, "wallet").status == 200
    assert accounts(server, "disable", alice.email).stdout == f"{alice.email} is disabled.\n"
    assert accounts(server, "disable", alice.email).stdout == f"{alice.email} was already disabled.\n"
    assert [alice.get().status, alice.post(2).status] == [401, 401]
    refused = [
        log_in(wire, alice.email),
        wire(
            "POST",
            f"{API}/password",
            CHANGE | {"email": alice.email, "encryptedWallet": "x", "sequence": 2, "hmac": "h"},
        ),
        wire("POST", f"{API}/account/delete", {"email": alice.email, "password": PASSWORD}),
    ]
    assert [(answer.status, answer.code) for answer in refused] == [(403, "not_allowed")] * 3
    assert "ask the operator" in refused[0].json["error"]
    shown = json.loads(accounts(server, "show", alice.email, "--json").stdout)
    assert (shown["disabled_at"] is not None, shown["devices"]) == (True, [])
    assert "disabled since" in accounts(server, "show", alice.email).stdout
    assert accounts(server, "enable", alice.email).stdout == f"{alice.email} is enabled; its devices log in again.\n"
    assert accounts(server, "enable", alice.email).stdout == f"{alice.email} was not disabled.\n"
    assert alice.get().status == 401
    again = Account(wire, alice.email, log_in(wire, alice.email).json["token"])
    assert again.get().json["encryptedWallet"] == "wallet"


def test_only_the_right_password_learns_of_it(server: RunningServer, alice: Account) -> None:
    """With any other a disabled account answers like an address that has none, its seed aside."""
    accounts(server, "disable", alice.email)
    nobody = fresh_email()
    for path, body in [
        ("/auth/full", {"password": "wrong password", "deviceId": "x"}),
        ("/password", CHANGE | {"oldPassword": "wrong password"}),
        ("/account/delete", {"password": "wrong password"}),
    ]:
        answers = [alice.wire("POST", f"{API}{path}", {"email": email, **body}) for email in (alice.email, nobody)]
        assert (answers[0].status, answers[0].body) == (answers[1].status, answers[1].body)
        assert answers[0].code == "wrong_credentials"


@pytest.mark.parametrize("command", ["disable", "logout", "remove"])
def test_sockets_end_at_once(server: RunningServer, alice: Account, command: str) -> None:
    """A WebSocket is closed as soon as the server has looked, which it does every second; those of others stay."""
    other = new_account(alice.wire)
    sockets = [listen(server.url, each.token) for each in (alice, other)]
    started = time.monotonic()
    assert accounts(server, command, alice.email, *(["--yes"] if command == "remove" else [])).exit_code == 0
    assert closed_with(sockets[0]) == 1008
    assert time.monotonic() - started < 10 * VOID_SECONDS  # without being told it takes up to 20 s
    assert other.post(1).status == 200
    assert sockets[1].recv() == "wallet-update:1"
    for socket in sockets:
        socket.shutdown()


def closed_with(socket: Any) -> int:
    while True:
        opcode, data = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(data[:2], "big")


@pytest.mark.promise("P-64")
def test_quota_bounds_what_is_kept(server: RunningServer, alice: Account) -> None:
    """Of earlier versions as many stay as have room; a version that alone has more is 413, and the rest as ever."""
    assert [alice.post(number, "x" * 40).status for number in range(1, 5)] == [200] * 4
    limited = accounts(server, "quota", alice.email, "100")
    assert limited.stdout == f"{alice.email}: at most 100 bytes are kept, all versions together.\n"
    assert "160 bytes are kept now: the oldest versions go with the next one" in limited.stderr
    assert kept(alice) == [4, 3, 2, 1]
    assert alice.post(5, "x" * 40).status == 200
    assert kept(alice) == [5, 4]
    assert alice.post(6, "ü" * 50).status == 200
    assert kept(alice) == [6]
    refused = alice.post(7, "ü" * 50 + "x")
    assert (refused.status, refused.code) == (413, "too_large")
    assert "101 bytes; this account may have 100" in refused.json["error"]
    assert "quota: 100 bytes" in accounts(server, "show", alice.email).stdout
    assert accounts(server, "quota", alice.email, "none").stdout == f"{alice.email}: no quota.\n"
    assert alice.post(7, "ü" * 50 + "x").status == 200
    assert kept(alice) == [7, 6]


@pytest.mark.promise("P-64")
def test_quota_leaves_conflicts_and_repetitions_as_they_are(server: RunningServer, alice: Account) -> None:
    """What would not be stored anyway is answered as the protocol says, however large: 200, or 409 with the wallet."""
    assert alice.post(1, "x" * 200).status == 200
    accounts(server, "quota", alice.email, "100")
    assert alice.post(1, "x" * 200).status == 200
    late = alice.post(1, "y" * 200)
    assert (late.status, late.code, late.json["encryptedWallet"]) == (409, "conflict", "x" * 200)
    assert alice.post(2, "x" * 101).status == 413
    assert alice.post(2, "x" * 100).status == 200


def test_quota_holds_for_a_change_of_the_password(server: RunningServer, alice: Account) -> None:
    """Nothing of the change happens if its wallet has more; with less, all of it does."""
    assert alice.post(1, "x").status == 200
    accounts(server, "quota", alice.email, "100")
    change = CHANGE | {"email": alice.email, "sequence": 2, "hmac": "h"}
    large, small = (alice.wire("POST", f"{API}/password", change | {"encryptedWallet": "x" * n}) for n in (101, 100))
    assert (large.status, large.code, small.status) == (413, "too_large", 200)
    assert log_in(alice.wire, alice.email, "another password").status == 200


@pytest.mark.parametrize("quota", ["0", "-1", "1e6", "all", "1" * 19])
def test_quota_is_a_number_of_bytes(server: RunningServer, quota: str) -> None:
    """Anything else is status 2, with what would be right."""
    ended = accounts(server, "quota", "--", "alice@example.com", quota)
    assert (ended.exit_code, "a number of bytes, at least 1, or none" in ended.stderr) == (2, True)


def kept(account: Account) -> list[int]:
    listed = account.wire("GET", f"{API}/wallet/history", token=account.token)
    return [version["sequence"] for version in listed.json["versions"]]


def test_export_has_all_of_one_account(server: RunningServer, alice: Account, tmp_path: Path) -> None:
    """Every version as it came, the seed, devices, times and limits; nothing of others, and no hash of a secret."""
    sign_up(alice.wire, other := fresh_email())
    assert [alice.post(number, f"wallet {number} \0ü").status for number in (1, 2)] == [200, 200]
    accounts(server, "quota", alice.email, "1000")
    file = tmp_path / "alice.json"
    ended = accounts(server, "export", alice.email, str(file))
    assert (ended.exit_code, ended.stdout, str(file) in ended.stderr) == (0, "", True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = json.loads(file.read_text())
    assert (found["email"], found["salt_seed"], found["quota"], found["disabled_at"]) == (alice.email, SEED, 1000, None)
    versions = [
        (each["sequence"], each["encrypted_wallet"], each["hmac"], each["device_id"]) for each in found["versions"]
    ]
    assert versions == [(number, f"wallet {number} \0ü", "h", "laptop") for number in (2, 1)]
    assert [device["device_id"] for device in found["devices"]] == ["laptop"]
    assert len(found["known_clients"]) == 2  # the device and the network that proved the password
    times = [found["created_at"], found["versions"][0]["stored_at"], found["known_clients"][0]["came_at"]]
    assert all(datetime.fromisoformat(moment).tzinfo for moment in times)
    assert not any(word in file.read_text() for word in ("argon2", "hash", alice.token, other))
    on_stdout = json.loads(accounts(server, "export", alice.email, "-").stdout)
    assert on_stdout | {"exported_at": ""} == found | {"exported_at": ""}


def test_export_replaces_nothing(server: RunningServer, alice: Account, tmp_path: Path) -> None:
    """A file that is there stays as it is, and nothing lies beside it."""
    file = tmp_path / "alice.json"
    file.write_text("mine")
    ended = accounts(server, "export", alice.email, str(file))
    assert (ended.exit_code, "cannot be written: File exists" in ended.stderr) == (1, True)
    assert (file.read_text(), list(tmp_path.iterdir())) == ("mine", [file])


@pytest.mark.parametrize("words", [("disable",), ("enable",), ("quota", "5"), ("quota", "none"), ("export", "-")])
def test_address_without_an_account_is_told(server: RunningServer, words: tuple[str, ...]) -> None:
    """Status 1 and a sentence, nothing on stdout."""
    ended = accounts(server, words[0], fresh_email(), *words[1:])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "This address has no account" in ended.stderr
