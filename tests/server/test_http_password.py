"""Changing the password: one transaction, its lost answers, and what it leaves alive. Through both front doors."""

from typing import Any

import pytest

from tests.server.helpers import API, PASSWORD, SEED, Account, Answer, fresh_email, log_in, seed_of, wallet_body

pytestmark = pytest.mark.every_database

NEW = "another derived login password"
NEW_SEED = "fedcba9876543210" * 4


def change(account: Account, **more: Any) -> Answer:
    """Change the password; a field given as None is left out."""
    body = {"email": account.email, "oldPassword": PASSWORD, "newPassword": NEW, "clientSaltSeed": NEW_SEED} | more
    return account.wire("POST", f"{API}/password", {key: value for key, value in body.items() if value is not None})


def assert_unchanged(account: Account) -> None:
    """The old password holds, and so does the token."""
    assert log_in(account.wire, account.email, device="other").status == 200
    assert log_in(account.wire, account.email, NEW).status == 401
    assert seed_of(account.wire, account.email).json == {"clientSaltSeed": SEED}
    assert account.get().status in (200, 404)


def assert_changed(account: Account) -> str:
    """Only the new password holds, and the tokens of before are dead; return a new token."""
    assert account.get().code == "unauthorized"
    assert log_in(account.wire, account.email).code == "wrong_credentials"
    assert seed_of(account.wire, account.email).json == {"clientSaltSeed": NEW_SEED}
    answer = log_in(account.wire, account.email, NEW)
    assert answer.status == 200
    return str(answer.json["token"])


def test_password_changes_without_a_wallet(account: Account) -> None:
    """Password and seed are new, every device is logged out, and there is still no wallet."""
    answer = change(account)
    assert (answer.status, answer.json) == (200, {})
    account.token = assert_changed(account)
    assert account.get().code == "no_wallet"
    assert account.post(1).status == 200


@pytest.mark.promise("H-4", "P-78", "S-31", "X-11")
def test_password_changes_with_the_wallet(account: Account) -> None:
    """The wallet under the new key is the current one, and the history holds no other."""
    for sequence in (1, 2):
        account.post(sequence, f"old {sequence}")
    assert change(account, **wallet_body(3, "new", "n")).status == 200
    account.token = assert_changed(account)
    assert account.get().json == {"version": 1, **wallet_body(3, "new", "n")}
    history = account.wire("GET", f"{API}/wallet/history", token=account.token).json
    assert [(each["sequence"], each["deviceId"]) for each in history["versions"]] == [(3, "")]
    assert account.wire("GET", f"{API}/wallet/history/2", token=account.token).status == 404
    assert account.post(4).status == 200


@pytest.mark.promise("P-87")
@pytest.mark.parametrize("wallet", [{}, wallet_body(2, "new")])
def test_repeated_change_is_a_lost_answer(account: Account, wallet: dict[str, Any]) -> None:
    """The same request again is 200 and signs nobody out."""
    if wallet:
        account.post(1)
    assert change(account, **wallet).status == 200
    account.token = assert_changed(account)
    answer = change(account, **wallet)
    assert (answer.status, answer.json) == (200, {})
    assert account.get().status == (200 if wallet else 404)


@pytest.mark.parametrize("other", [{"clientSaltSeed": SEED}, {"hmac": "other"}, {"encryptedWallet": "other"}])
def test_repeated_change_that_differs_is_refused(account: Account, other: dict[str, str]) -> None:
    """A request of which not all is current is no lost answer: its old password is wrong by now."""
    account.post(1)
    assert change(account, **wallet_body(2, "new")).status == 200
    assert change(account, **wallet_body(2, "new") | other).code == "wrong_credentials"


def test_change_back_is_a_change(account: Account) -> None:
    """The first password may come back."""
    assert change(account).status == 200
    assert change(account, oldPassword=NEW, newPassword=PASSWORD, clientSaltSeed=SEED).status == 200
    assert_unchanged_token = log_in(account.wire, account.email)
    assert assert_unchanged_token.status == 200


@pytest.mark.promise("X-36")
def test_change_needs_the_wallet(account: Account) -> None:
    """An account with a wallet would lose it with the key: 409, without the wallet, and nothing changes."""
    account.post(1)
    answer = change(account)
    assert (answer.status, answer.code, set(answer.json)) == (409, "wallet_required", {"error", "code"})
    assert_unchanged(account)


@pytest.mark.promise("X-25", "X-38")
def test_change_needs_no_wallet_where_there_is_none(account: Account) -> None:
    """A wallet for an account without one is 409 and not stored."""
    answer = change(account, **wallet_body(1, "new"))
    assert (answer.status, answer.code, set(answer.json)) == (409, "no_wallet", {"error", "code"})
    assert_unchanged(account)
    assert account.get().code == "no_wallet"


@pytest.mark.promise("X-37")
@pytest.mark.parametrize("sequence", [1, 2, 4])
def test_change_needs_the_next_sequence(account: Account, sequence: int) -> None:
    """A wallet that does not follow the current one is 409, without the wallet, and nothing changes."""
    account.post(1)
    account.post(2, "two")
    answer = change(account, **wallet_body(sequence, "new"))
    assert (answer.status, answer.code, set(answer.json)) == (409, "conflict", {"error", "code"})
    assert_unchanged(account)
    assert account.get().json["encryptedWallet"] == "two"


@pytest.mark.promise("X-35")
def test_wrong_old_password_is_refused(account: Account) -> None:
    """A wrong password is 401, the same as for an address without an account."""
    account.post(1)
    wrong = change(account, oldPassword=PASSWORD + "!", **wallet_body(2, "new"))
    unknown = change(Account(account.wire, fresh_email(), ""), **wallet_body(2, "new"))
    assert (wrong.status, wrong.code) == (401, "wrong_credentials")
    assert (unknown.status, unknown.body) == (wrong.status, wrong.body)
    assert_unchanged(account)


@pytest.mark.promise("X-34")
@pytest.mark.parametrize("missing", ["encryptedWallet", "sequence", "hmac"])
def test_part_of_a_wallet_is_refused(account: Account, missing: str) -> None:
    """The three fields come all or none."""
    account.post(1)
    answer = change(account, **wallet_body(2) | {missing: None})
    assert (answer.status, answer.code) == (400, "bad_request")
    assert_unchanged(account)


@pytest.mark.promise("X-34")
@pytest.mark.parametrize(
    "wrong",
    [
        {"newPassword": PASSWORD},
        {"newPassword": "short"},
        {"oldPassword": None},
        {"newPassword": None},
        {"clientSaltSeed": None},
        {"clientSaltSeed": "ab"},
        {"email": None},
        {"email": "Alice@example.com"},
        {"token": "0" * 64},
        {"sequence": True, "encryptedWallet": "-", "hmac": "h"},
    ],
)
def test_malformed_change_is_refused(account: Account, wrong: dict[str, Any]) -> None:
    """Every field is checked, and the old password may not be the new one."""
    answer = change(account, **wrong)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert_unchanged(account)


def test_change_knows_version_1_only(account: Account) -> None:
    """The version of the payload is checked as in a POST of the wallet."""
    account.post(1)
    body = wallet_body(2, "new")
    assert change(account, version=2, **body).code == "unsupported_version"
    assert_unchanged(account)
    assert change(account, version=1, **body).status == 200


def test_wallet_over_the_limit_is_refused(account: Account) -> None:
    """The limit of the wallet holds here, too."""
    account.post(1)
    answer = change(account, **wallet_body(2, "x" * (4 * 1024 * 1024 + 1)))
    assert (answer.status, answer.code) == (413, "too_large")
    assert_unchanged(account)


def test_change_is_not_on_the_flat_paths(account: Account) -> None:
    """The flat paths know sign-up, login and wallet only."""
    assert account.wire("POST", "/password", {}).status == 404
