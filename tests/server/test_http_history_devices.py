"""The history of the wallet, the devices, and the end of an account. Through both front doors."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.server.helpers import (
    API,
    PASSWORD,
    UNKNOWN_TOKEN,
    Account,
    Answer,
    Wire,
    fresh_email,
    log_in,
    new_account,
    seed_of,
    sign_up,
    wallet_body,
)
from walletsync.protocol import KEPT_VERSIONS, TOKEN_DAYS

pytestmark = pytest.mark.every_database

HISTORY = f"{API}/wallet/history"


def get(account: Account, path: str) -> Answer:
    return account.wire("GET", path, token=account.token)


def moment(text: str) -> datetime:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
    return datetime.fromisoformat(text)


@pytest.mark.promise("H-1", "H-3", "P-12")
def test_history_lists_the_kept_versions(account: Account) -> None:
    """The last ten and the first, the current one first, each with time, size in bytes and the device that wrote it."""
    for sequence in range(1, KEPT_VERSIONS + 3):
        account.post(sequence, "ä" * sequence)
    answer = get(account, HISTORY)
    assert answer.status == 200
    versions = answer.json["versions"]
    sequences = [each["sequence"] for each in versions]
    assert sequences[:KEPT_VERSIONS] == list(range(KEPT_VERSIONS + 2, 2, -1))
    assert sequences[KEPT_VERSIONS:] in ([1], [2, 1])  # an hour that ends meanwhile keeps one more
    for each in versions:
        assert set(each) == {"sequence", "time", "size", "deviceId"}
        assert (each["size"], each["deviceId"]) == (2 * each["sequence"], "laptop")
        assert abs(moment(each["time"]) - datetime.now(UTC)) < timedelta(minutes=5)


def test_history_of_nothing_is_empty(account: Account) -> None:
    """Without a wallet there is a history, an empty one."""
    assert get(account, HISTORY).json == {"versions": []}


@pytest.mark.promise("H-2")
def test_version_comes_as_the_wallet_would(account: Account) -> None:
    """An older version has its own sequence, hmac, wallet and entity tag."""
    account.post(1, "\0", "first")
    tag = account.get().headers["etag"]
    account.post(2, "two")
    answer = get(account, f"{HISTORY}/1")
    assert (answer.status, answer.json) == (200, {"version": 1, **wallet_body(1, "\0", "first")})
    assert answer.headers["etag"] == tag


@pytest.mark.promise("H-2")
def test_version_that_is_not_kept_is_404(account: Account) -> None:
    """Neither one that never was, nor one that was dropped."""
    for sequence in range(1, KEPT_VERSIONS + 6):
        account.post(sequence)
    kept = {each["sequence"] for each in get(account, HISTORY).json["versions"]}
    dropped = {2, 3, 4, 5} - kept
    assert len(dropped) >= 2  # two may be the last of an hour and the first of the next
    for sequence in (*dropped, KEPT_VERSIONS + 6):
        assert (answer := get(account, f"{HISTORY}/{sequence}")).status == 404
        assert answer.code == "not_found"
    for sequence in (1, 6):
        assert get(account, f"{HISTORY}/{sequence}").status == 200


@pytest.mark.parametrize("text", ["0", "-1", "01", "1.0", "x", "4294967296", "1/2", "{sequence}", "%D9%A1"])
def test_version_must_be_a_sequence(account: Account, text: str) -> None:
    """Anything but a sequence in the address is 400."""
    assert get(account, f"{HISTORY}/{text}").code == "bad_request"


@pytest.mark.parametrize("path", [f"{HISTORY}/", f"{API}/devices/", "/devices", "/wallet/history", "/wallet/history/1"])
def test_address_beside_these_is_404(account: Account, path: str) -> None:
    """A parameter is never empty, and the flat paths know none of these."""
    account.post(1)
    assert get(account, path).code == "not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", HISTORY), ("GET", f"{HISTORY}/1"), ("GET", f"{API}/devices"), ("DELETE", f"{API}/devices/laptop")],
)
def test_token_is_needed(account: Account, method: str, path: str) -> None:
    """Without a live token: 401, and nothing happens."""
    account.post(1)
    for token in (None, UNKNOWN_TOKEN):
        assert account.wire(method, path, token=token).code == "unauthorized"
    assert account.get().status == 200


@pytest.mark.promise("D-1", "D-2")
def test_devices_are_listed(account: Account) -> None:
    """Those that hold a token, since when and until when; one that logs out is gone."""
    phone = log_in(account.wire, account.email, device="phone").json["token"]
    devices = get(account, f"{API}/devices").json["devices"]
    assert [each["deviceId"] for each in devices] == ["laptop", "phone"]
    for each in devices:
        assert set(each) == {"deviceId", "since", "expiration"}
        assert moment(each["expiration"]) - moment(each["since"]) == timedelta(days=TOKEN_DAYS)
    account.wire("DELETE", f"{API}/auth/full", token=phone)
    assert [each["deviceId"] for each in get(account, f"{API}/devices").json["devices"]] == ["laptop"]


@pytest.mark.promise("D-1")
@pytest.mark.parametrize("device", ["phone", "a/b", "a\nb", "ä b", "%41", "100%", "?x=1", "#"])
def test_device_is_revoked(account: Account, device: str) -> None:
    """Its token is dead at once, and others live; whatever characters its name has."""
    token = log_in(account.wire, account.email, device=device).json["token"]
    path = f"{API}/devices/{quote(device, safe='')}"
    answer = account.wire("DELETE", path, token=account.token)
    assert (answer.status, answer.body) == (204, b"")
    assert account.wire("GET", f"{API}/wallet", token=token).code == "unauthorized"
    assert account.get().code == "no_wallet"
    assert account.wire("DELETE", path, token=account.token).code == "not_found"


def test_device_may_revoke_itself(account: Account) -> None:
    """One's own name is no exception."""
    assert account.wire("DELETE", f"{API}/devices/laptop", token=account.token).status == 204
    assert account.get().code == "unauthorized"


@pytest.mark.promise("D-3")
def test_device_of_another_account_is_not_revoked(wire: Wire, account: Account) -> None:
    """A name counts in one's own account only."""
    other = new_account(wire)
    log_in(wire, other.email, device="theirs")
    assert account.wire("DELETE", f"{API}/devices/theirs", token=account.token).code == "not_found"
    assert [each["deviceId"] for each in get(other, f"{API}/devices").json["devices"]] == ["laptop", "theirs"]


def delete_account(account: Account, password: str = PASSWORD) -> Answer:
    return account.wire("POST", f"{API}/account/delete", {"email": account.email, "password": password})


@pytest.mark.promise("P-34", "X-12", "X-40")
def test_deleted_account_is_gone(account: Account) -> None:
    """Token, password, wallet and seed are gone, and the address can sign up anew, at sequence 1."""
    account.post(1)
    fake = seed_of(account.wire, fresh_email()).json["clientSaltSeed"]
    answer = delete_account(account)
    assert (answer.status, answer.body) == (204, b"")
    assert account.get().code == "unauthorized"
    assert log_in(account.wire, account.email).code == "wrong_credentials"
    assert len(seed_of(account.wire, account.email).json["clientSaltSeed"]) == len(fake)
    assert delete_account(account).code == "wrong_credentials"
    assert sign_up(account.wire, account.email).status == 201
    account.token = log_in(account.wire, account.email).json["token"]
    assert account.get().code == "no_wallet"
    assert account.post(1).status == 200


@pytest.mark.promise("X-39")
def test_deletion_needs_the_password(account: Account) -> None:
    """A wrong password is 401, the same as for an address without an account, and nothing is lost."""
    account.post(1)
    wrong = delete_account(account, PASSWORD + "!")
    unknown = delete_account(Account(account.wire, fresh_email(), ""))
    assert (wrong.status, wrong.code) == (401, "wrong_credentials")
    assert (unknown.status, unknown.body) == (wrong.status, wrong.body)
    assert account.get().status == 200
