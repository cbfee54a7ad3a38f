"""Sign-up, login, logout and salt seeds, through both front doors."""

import base64
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.server.helpers import (
    API,
    PASSWORD,
    SEED,
    UNKNOWN_TOKEN,
    Account,
    Answer,
    Wire,
    fresh_email,
    log_in,
    new_account,
    seed_of,
    sign_up,
)

pytestmark = pytest.mark.every_database


@pytest.mark.promise("A-1")
def test_sign_up_answers_201(wire: Wire) -> None:
    """A new address is signed up and verified at once."""
    answer = sign_up(wire, fresh_email())
    assert (answer.status, answer.json) == (201, {"verified": True})


@pytest.mark.promise("X-3")
def test_repeated_sign_up_is_a_lost_answer(wire: Wire) -> None:
    """The same address, password and seed again is 201."""
    email = fresh_email()
    assert [sign_up(wire, email).status for _ in range(3)] == [201, 201, 201]


def twice_at_once(ask: Callable[[], Answer]) -> list[Answer]:
    """Return both answers to the same request, sent by two threads."""
    both = threading.Barrier(2)

    def after_the_other_is_here() -> Answer:
        both.wait()
        return ask()

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(after_the_other_is_here) for _ in range(2)]
        return [each.result() for each in asked]


@pytest.mark.promise("N-8")
def test_sign_up_that_comes_twice_at_once_is_one(wire: Wire) -> None:
    """Whichever is first, both are answered 201, and the password opens the account."""
    email = fresh_email()
    assert [answer.status for answer in twice_at_once(lambda: sign_up(wire, email))] == [201, 201]
    assert log_in(wire, email).status == 200


@pytest.mark.promise("N-5", "N-7")
def test_login_that_comes_twice_at_once_leaves_one_token(wire: Wire) -> None:
    """The later one counts, whichever that was; one more login takes its place."""
    email = fresh_email()
    sign_up(wire, email)
    tokens = [answer.json["token"] for answer in twice_at_once(lambda: log_in(wire, email, device="laptop"))]
    statuses = {token: wire("GET", f"{API}/devices", token=token).status for token in tokens}
    assert sorted(statuses.values()) == [200, 401]
    token = log_in(wire, email, device="laptop").json["token"]
    listed = wire("GET", f"{API}/devices", token=token).json["devices"]
    assert [each["deviceId"] for each in listed] == ["laptop"]
    assert [wire("GET", f"{API}/devices", token=each).status for each in tokens] == [401, 401]


def test_repeated_sign_up_without_a_seed_is_a_lost_answer(wire: Wire) -> None:
    """A client that knows no seed may lose an answer, too."""
    body = {"email": fresh_email(), "password": PASSWORD}
    assert [wire("POST", "/signup", body).status for _ in range(2)] == [201, 201]


@pytest.mark.promise("A-2", "S-19", "X-29")
@pytest.mark.parametrize("other", [{"password": PASSWORD + "!"}, {"clientSaltSeed": "ab" * 32}])
def test_taken_address_is_refused(wire: Wire, other: dict[str, str]) -> None:
    """The same address with another password or seed is 409 and changes nothing."""
    email = fresh_email()
    sign_up(wire, email)
    answer = sign_up(wire, email, **other)
    assert (answer.status, answer.code) == (409, "account_exists")
    assert log_in(wire, email).status == 200
    assert seed_of(wire, email).json == {"clientSaltSeed": SEED}


@pytest.mark.promise("A-4", "P-26", "X-31")
def test_login_answers_a_token(wire: Wire) -> None:
    """A login tells token, device, scope, an account's id that JSON can hold, and when the token expires."""
    email = fresh_email()
    sign_up(wire, email)
    answer = log_in(wire, email, device="phone")
    assert answer.status == 200
    assert set(answer.json) == {"token", "deviceId", "scope", "userId", "expiration"}
    assert re.fullmatch(r"[0-9a-f]{64}", answer.json["token"])
    assert (answer.json["deviceId"], answer.json["scope"]) == ("phone", "*")
    assert 0 < answer.json["userId"] < 2**53
    expires = datetime.fromisoformat(answer.json["expiration"])
    assert abs(expires - datetime.now(UTC) - timedelta(days=14)) < timedelta(minutes=5)


@pytest.mark.promise("A-5", "A-6", "X-30")
def test_wrong_password_and_unknown_address_look_the_same(wire: Wire) -> None:
    """Nobody learns from a refused login whether the address has an account."""
    email = fresh_email()
    sign_up(wire, email)
    wrong = log_in(wire, email, password="another password")
    unknown = log_in(wire, fresh_email())
    assert (wrong.status, wrong.code) == (401, "wrong_credentials")
    assert wrong.body == unknown.body
    assert wrong.headers.keys() == unknown.headers.keys()


@pytest.mark.promise("X-9")
def test_new_login_replaces_the_token_of_its_device_only(wire: Wire) -> None:
    """A device has one token; another device keeps its own."""
    email = fresh_email()
    sign_up(wire, email)
    first, other, second = (
        Account(wire, email, log_in(wire, email, device=device).json["token"]) for device in ("a", "b", "a")
    )
    assert first.get().code == "unauthorized"
    assert other.get().code == "no_wallet"
    assert second.get().code == "no_wallet"


@pytest.mark.promise("P-25")
def test_device_ids_that_differ_are_two_devices(wire: Wire) -> None:
    """Device ids are compared byte for byte."""
    email = fresh_email()
    sign_up(wire, email)
    devices = ["a", "A", "a ", "a\0", "\u00e4", "a\u0308"]
    tokens = [log_in(wire, email, device=device).json["token"] for device in devices]
    assert {Account(wire, email, token).get().code for token in tokens} == {"no_wallet"}


@pytest.mark.promise("X-10")
@pytest.mark.parametrize("prefix", ["", API])
@pytest.mark.parametrize("in_query", [False, True])
def test_logout_revokes_the_token(account: Account, prefix: str, in_query: bool) -> None:
    """DELETE is 204 without a body, and the token is void from then on, also for a second DELETE."""
    query = {"token": account.token} if in_query else None
    token = None if in_query else account.token
    answer = account.wire("DELETE", f"{prefix}/auth/full", query=query, token=token)
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers
    assert account.get().code == "unauthorized"
    assert account.post(1).code == "unauthorized"
    again = account.wire("DELETE", f"{prefix}/auth/full", query=query, token=token)
    assert (again.status, again.code) == (401, "unauthorized")


@pytest.mark.promise("B-1", "W-2", "X-19")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_wallet_without_a_live_token_is_401(account: Account, method: str) -> None:
    """No token, an unknown one, and what cannot be one are 401 and name the way in, whatever the account has."""
    account.post(1)
    body = b'{"encryptedWallet":"x","sequence":2,"hmac":"h"}' if method == "POST" else b""
    wrong = [None, "", UNKNOWN_TOKEN, "x", account.token.upper(), account.token + "0", "\xff"]
    for token in wrong:
        answer = account.wire(method, f"{API}/wallet", body, token=token)
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set(answer.json) == {"error", "code"}
    assert account.get().json["sequence"] == 1


@pytest.mark.promise("B-2")
def test_token_of_the_header_comes_first(account: Account) -> None:
    """The header decides over the body, the body over the query; another scheme in the header is no token."""
    post = account.wire
    good, bad = account.token, UNKNOWN_TOKEN
    body = {"encryptedWallet": "-", "sequence": 1, "hmac": "h"}
    path = f"{API}/wallet"
    assert post("POST", path, body | {"token": good}, token=bad).status == 401
    assert post("POST", path, body | {"token": bad}, query={"token": good}).status == 401
    assert post("POST", path, body | {"token": bad}, token=good).status == 200
    assert post("POST", path, body | {"token": good}, query={"token": bad}).status == 200
    assert post("POST", path, body, query={"token": good}).status == 200
    basic = {"Authorization": "Basic Zm9vOmJhcg=="}
    assert post("POST", path, body | {"token": good}, headers=basic).status == 200
    lower = {"authorization": f"bearer {good}"}
    assert post("POST", path, body, headers=lower).status == 200
    assert post("GET", path, query={"token": bad}, token=good).status == 200
    assert post("GET", path, query={"token": good}, token=bad).status == 401


@pytest.mark.promise("A-3")
def test_seed_comes_back(account: Account) -> None:
    """The seed of an account is told to anybody."""
    assert seed_of(account.wire, account.email).json == {"clientSaltSeed": SEED}


@pytest.mark.promise("X-4")
def test_seed_of_an_unknown_address_is_a_stable_fake(wire: Wire) -> None:
    """It has the shape of a real one, is the same every time, and differs between addresses."""
    email, other = fresh_email(), fresh_email()
    fakes = [seed_of(wire, email).json["clientSaltSeed"] for _ in range(3)]
    assert len(set(fakes)) == 1
    assert re.fullmatch(r"[0-9a-f]{64}", fakes[0])
    assert seed_of(wire, other).json["clientSaltSeed"] != fakes[0]


def test_account_without_a_seed_keeps_the_fake(wire: Wire) -> None:
    """Signing up without a seed does not change what anybody sees."""
    email = fresh_email()
    before = seed_of(wire, email)
    assert wire("POST", "/signup", {"email": email, "password": PASSWORD}).status == 201
    after = seed_of(wire, email)
    assert after.body == before.body
    assert after.headers.keys() == before.headers.keys()


@pytest.mark.promise("X-33")
def test_seed_in_capitals_is_not_told_apart_from_a_fake(wire: Wire) -> None:
    """A seed comes back in small letters, as fakes do, and is the same seed for a repeated sign-up."""
    email = fresh_email()
    assert sign_up(wire, email, clientSaltSeed=SEED.upper()).status == 201
    assert seed_of(wire, email).json == {"clientSaltSeed": SEED}
    assert sign_up(wire, email).status == 201


def test_seed_tolerates_line_breaks_and_spaces_in_base64(wire: Wire) -> None:
    """What existing clients and careless escaping make of base64 is understood."""
    email = "~~~" * 20 + "@example.com"  # long enough for MIME to break it, with a plus
    sign_up(wire, email)
    plain = base64.b64encode(email.encode()).decode()
    broken = base64.encodebytes(email.encode()).decode()
    assert broken.count("\n") >= 2
    for text in (plain, broken, broken.replace("\n", "\r\n"), plain + "\n"):
        answer = wire("GET", f"{API}/client-salt-seed", query={"email": text})
        assert answer.json == {"clientSaltSeed": SEED}


def test_seed_tolerates_a_plus_that_became_a_space(wire: Wire) -> None:
    """A plus that was not escaped in the query arrives as a space and is meant as a plus."""
    email = "~~~@example.com"
    sign_up(wire, email)
    text = base64.b64encode(email.encode()).decode()
    assert "+" in text
    answer = wire("GET", f"{API}/client-salt-seed?email={text}")
    assert answer.json == {"clientSaltSeed": SEED}


BAD_EMAIL_PARAMETERS = {
    "missing": "",
    "empty": "?email=",
    "not base64": "?email=!!!!",
    "without padding": "?email=YUBleGFtcGxlLmNvbQ",
    "url-safe alphabet": "?email=fn5-QGV4YW1wbGUuY29t",
    "not in ASCII": "?email=%C3%A4",
    "no UTF-8 inside": "?email=/////w==",
    "no address inside": "?email=" + base64.b64encode(b"nobody").decode(),
    "capitals inside": "?email=" + base64.b64encode(b"Alice@example.com").decode(),
    "twice": "?email=YUBleGFtcGxlLmNvbQ==&email=YUBleGFtcGxlLmNvbQ==",
}


@pytest.mark.parametrize("query", BAD_EMAIL_PARAMETERS.values(), ids=BAD_EMAIL_PARAMETERS.keys())
def test_bad_email_parameter_is_400(wire: Wire, query: str) -> None:
    """What is no canonical address in base64 is refused with a sentence."""
    answer = wire("GET", f"{API}/client-salt-seed{query}")
    assert (answer.status, answer.code) == (400, "bad_request")


def test_accounts_do_not_see_each_other(wire: Wire) -> None:
    """A token opens its own account and no other."""
    one, two = new_account(wire), new_account(wire)
    one.post(1, "one")
    two.post(1, "two")
    assert one.get().json["encryptedWallet"] == "one"
    assert two.get().json["encryptedWallet"] == "two"
