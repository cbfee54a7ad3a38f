"""A server that lies, over real HTTP: each lie is noticed, and the device's state stays as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.insides import email_of, state_of, token_of
from tests.middle import GET_SEED, GET_WALLET, LOGIN, POST_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import Client
from walletsync.errors import (
    BadWallet,
    ForkDetected,
    NoWallet,
    ProtocolError,
    RollbackDetected,
    SeedChanged,
    SyncGaveUp,
    WalletSyncError,
)
from walletsync.results import Posted

Device = Callable[..., Client]
NOT_FOUND = Answer(404, {"error": "There is none.", "code": "no_wallet"})


@pytest.fixture
def laptop(device: Device) -> Client:
    """A device at version 2, with an edit that it has not POSTed."""
    client = device("laptop")
    client.set_document({"label": "one"})
    client.sync()
    client.set_document({"label": "two"})
    client.sync()
    client.set_document({"label": "local"})
    return client


def current(middle: Middle, client: Client) -> Answer:
    """Return the server's present answer to GET, to be presented again later."""
    return middle.wallet(token_of(client))


def refuses(client: Client, error: type[WalletSyncError], call: Callable[[], Any]) -> None:
    """Assert that `call` raises and that nothing in the device's state has changed."""
    before = state_of(client)
    with pytest.raises(error):
        call()
    assert state_of(client) == before


@pytest.mark.promise("P-47", "T-1")
@pytest.mark.parametrize(
    "told",
    [
        {"clientSaltSeed": "ab" * 31 + "a"},
        {"clientSaltSeed": "ab" * 32 + "a"},
        {"clientSaltSeed": "zz" * 32},
        {"clientSaltSeed": "00" * 32},
        {"clientSaltSeed": "ab" * 32 + "\n"},
        {"clientSaltSeed": "\u0661" * 64},
        {"clientSaltSeed": ""},
        {"clientSaltSeed": None},
        {"clientSaltSeed": "ab" * 32, "iterations": 1},
        {"clientSaltSeed": "ab" * 32, "kdf": {"memory": 8}},
        {},
    ],
)
def test_a_bad_seed_is_refused_before_any_login(told: Any, middle: Middle, address: Callable[[], str]) -> None:
    """No seed but 64 hex characters, and no parameter of the KDF, is taken from a server."""
    middle.always(GET_SEED, Answer(200, told))
    with Client(middle.url, device_id="laptop") as client:
        client.set_account(address(), "a password")
        with pytest.raises(ProtocolError):
            client.get_auth_token()
    assert LOGIN not in middle.requests


@pytest.mark.promise("P-48", "P-96", "T-4")
def test_a_changed_seed_stops_a_device_that_knows_the_account(laptop: Client, middle: Middle) -> None:
    """Another seed would mean other keys: no login leaves until the user says so."""
    middle.always(GET_SEED, Answer(200, {"clientSaltSeed": "ab" * 32}))
    middle.requests.clear()
    refuses(laptop, SeedChanged, laptop.get_auth_token)
    assert LOGIN not in middle.requests


@pytest.mark.promise("P-26", "P-49")
@pytest.mark.parametrize(
    "change",
    [{"deviceId": "another"}, {"token": ""}, {"token": "a\r\nSet-Cookie: b"}, {"token": "x" * 513}, {"token": 7}],
)
def test_a_token_that_is_none_is_refused(change: dict[str, Any], laptop: Client, middle: Middle) -> None:
    """What goes into a header later is checked first."""
    middle.change(LOGIN, lambda answer: Answer(answer.status, answer.json | change))
    refuses(laptop, ProtocolError, laptop.get_auth_token)


@pytest.mark.promise("P-137", "P-139", "S-4", "T-5")
def test_an_older_wallet_is_a_rollback_also_after_a_restart(tmp_path: Path, device: Device, middle: Middle) -> None:
    """A device in a file has seen version 2; neither version 1 nor none at all passes, before or after a restart."""
    file = tmp_path / "laptop.wallet"
    client = device("laptop", store=file)
    client.set_document({"label": "one"})
    client.sync()
    first = current(middle, client)
    client.set_document({"label": "two"})
    client.sync()
    client.set_document({"label": "local"})
    for lie in (first, NOT_FOUND):
        middle.always(GET_WALLET, lie)
        refuses(client, RollbackDetected, client.get_wallet)
        refuses(client, RollbackDetected, client.sync)
    client.close()
    restarted = device("laptop", store=file)
    for lie in (first, NOT_FOUND):
        middle.always(GET_WALLET, lie)
        refuses(restarted, RollbackDetected, restarted.sync)
    assert restarted.get_document() == {"label": "local"}
    middle.honest()
    restarted.sync()
    assert restarted.wallet_state is not None
    assert restarted.wallet_state.sequence == 3


@pytest.mark.promise("P-137")
def test_no_wallet_is_no_rollback_for_a_device_that_has_seen_none(device: Device) -> None:
    """A new account has none, and the error says what to do."""
    client = device("laptop")
    with pytest.raises(NoWallet, match="set_document"):
        client.sync()


def pretend_to_store(body: bytes) -> Answer:
    return Answer(200, json.loads(body) | {"version": 1})


@pytest.mark.promise("T-8")
def test_a_server_that_says_200_and_stores_nothing_is_found_out(laptop: Client, middle: Middle) -> None:
    """The next sync notices that the acknowledged version is gone, and the edit is still there."""
    middle.instead(POST_WALLET, pretend_to_store)
    assert laptop.sync().sequence == 3
    refuses(laptop, RollbackDetected, laptop.sync)
    assert laptop.get_document() == {"label": "local"}


@pytest.mark.promise("P-59")
def test_a_200_that_presents_another_wallet_is_refused(laptop: Client, middle: Middle) -> None:
    """The answer to an accepted POST is that very wallet; the edit stays pending and lands at the next honest sync."""
    other = current(middle, laptop)
    middle.always(POST_WALLET, other)
    with pytest.raises(ProtocolError, match="does not present it as the current one"):
        laptop.sync()
    middle.always(POST_WALLET, Answer(200, {}))
    with pytest.raises(ProtocolError, match="does not present it as the current one"):
        laptop.sync()
    middle.honest()
    laptop.sync()
    assert laptop.merge_base == {"label": "local"}


@pytest.mark.promise("P-139", "S-5", "T-6")
def test_a_fork_is_noticed_when_the_lines_are_joined(device: Device, middle: Middle) -> None:
    """The server tells the phone that its write is current, and shows the laptop another line; then it joins them."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"label": "one"})
    laptop.sync()
    phone.sync()
    phone.set_document({"label": "phone's"})
    middle.instead(POST_WALLET, pretend_to_store)
    phone.post_wallet()
    middle.honest()
    for label in ("laptop's", "laptop's next"):
        laptop.set_document({"label": label})
        laptop.sync()
        refuses(phone, ForkDetected, phone.sync)
    assert phone.get_document() == {"label": "phone's"}


def conflict_with(answer: Answer) -> Answer:
    return Answer(409, {"error": "There is a later version.", "code": "conflict", "applied": True} | answer.json)


@pytest.mark.promise("P-66", "T-9")
def test_a_409_without_a_later_version_is_found_out(laptop: Client, middle: Middle) -> None:
    """Refusing the next sequence while presenting nothing newer is a lie; the edit is kept and not doubled."""
    present = current(middle, laptop)
    middle.always(POST_WALLET, conflict_with(present))
    with pytest.raises(ProtocolError, match="has no later version"):
        laptop.sync()
    middle.honest()
    laptop.sync()
    assert laptop.merge_base == {"label": "local"}


@pytest.mark.promise("T-9")
def test_a_409_with_an_older_version_is_a_rollback(device: Device, middle: Middle) -> None:
    """The wallet in a refusal is checked like any other."""
    client = device("laptop")
    client.set_document({"label": "one"})
    client.sync()
    first = current(middle, client)
    client.set_document({"label": "two"})
    client.sync()
    client.set_document({"label": "local"})
    middle.always(POST_WALLET, conflict_with(first))
    with pytest.raises(RollbackDetected):
        client.sync()
    assert client.get_document() == {"label": "local"}
    assert client.merge_base == {"label": "two"}


@pytest.mark.promise("P-62", "T-9")
def test_a_409_with_the_devices_own_write_is_success(laptop: Client, middle: Middle) -> None:
    """What the wallet itself authenticates counts, not the status and not `applied`."""

    def lie(answer: Answer) -> Answer:
        return Answer(409, conflict_with(answer).json | {"applied": False})

    middle.change(POST_WALLET, lie)
    assert laptop.post_wallet() == Posted(3)
    assert laptop.merge_base == {"label": "local"}
    assert not laptop.has_local_changes


@pytest.mark.promise("S-3", "T-3", "T-9", "T-10")
def test_a_409_with_a_foreign_wallet_is_refused(laptop: Client, middle: Middle, address: Callable[[], str]) -> None:
    """A wallet of another account at the same server does not authenticate."""
    with Client(middle.url, device_id="laptop") as other:
        other.set_account(address(), "another password")
        other.register()
        other.get_auth_token()
        other.set_document({"label": "of somebody else"})
        for _ in range(3):
            other.post_wallet()
    foreign = middle.answers[-1]
    middle.always(POST_WALLET, conflict_with(foreign))
    with pytest.raises(BadWallet):
        laptop.sync()
    middle.always(GET_WALLET, foreign)
    refuses(laptop, BadWallet, laptop.get_wallet)
    assert laptop.get_document() == {"label": "local"}


@pytest.mark.promise("P-65", "P-143", "T-9")
def test_endless_conflicts_end_after_eight_tries(device: Device, middle: Middle) -> None:
    """Somebody else is faster every single time: at most 8 tries, then an error, and the edit is kept, once."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"labels": []})
    laptop.sync()
    phone.sync()
    laptop.set_document({"labels": [], "laptop": True})
    tries = 0

    real_post = laptop._syncing.post

    def outrun() -> Any:
        nonlocal tries
        tries += 1
        phone.get_wallet()
        phone.set_document(phone.get_document() | {"phone": tries})
        phone.post_wallet()
        return real_post()

    laptop._syncing.post = outrun  # type: ignore[method-assign]  # makes the race happen each time
    with pytest.raises(SyncGaveUp, match="each of 8 times"):
        laptop.sync()
    assert tries == 8
    assert laptop.get_document() == {"labels": [], "phone": 8, "laptop": True}
    laptop._syncing.post = real_post  # type: ignore[method-assign]
    laptop.sync()
    phone.sync()
    assert phone.get_document() == {"labels": [], "phone": 8, "laptop": True}


@pytest.mark.promise("P-131", "P-135")
def test_extras_cannot_be_taken_back(laptop: Client, middle: Middle, tmp_path: Path, device: Device) -> None:
    """A device that has once seen `.well-known` never falls back to sending its token in a URL."""
    file = tmp_path / "phone.wallet"
    device("phone", store=file).close()
    middle.always(WELL_KNOWN, Answer(404, b"not found"))
    with pytest.raises(ProtocolError, match="no longer says what it can do"):
        device("phone", store=file)


def test_nothing_new_is_told_in_a_few_bytes(laptop: Client, middle: Middle) -> None:
    """A sync without news is one request, whose answer has no body; and the news after it come once."""
    laptop.sync()
    middle.requests.clear()
    middle.answers.clear()
    for _ in range(3):
        laptop.sync()
    assert middle.requests == [GET_WALLET] * 3
    assert [(answer.status, answer.raw) for answer in middle.answers] == [(304, b"")] * 3


def test_news_are_fetched_once(device: Device, middle: Middle) -> None:
    """However often is asked after them: all but the first answer say that nothing is new."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"label": "one"})
    laptop.sync()
    phone.sync()
    laptop.set_document({"label": "two"})
    laptop.sync()
    middle.answers.clear()
    for _ in range(3):
        phone.sync()
    assert [answer.status for answer in middle.answers] == [200, 304, 304]
    assert phone.get_document() == {"label": "two"}


@pytest.mark.promise("P-60")
def test_the_lie_that_nothing_is_new_withholds_news_and_no_more(device: Device, middle: Middle) -> None:
    """It is as if the server presented the known version again: the edits are kept and sent, and merged when it is
    honest."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 1})
    laptop.sync()
    phone.sync()
    laptop.set_document({"a": 1, "laptop": True})
    laptop.sync()
    before = state_of(phone)
    middle.always(GET_WALLET, Answer(304, b""))
    assert phone.sync().sequence == 1
    assert state_of(phone) == before
    phone.set_document({"a": 1, "phone": True})
    assert phone.sync().sequence == 3  # the 409 has brought what was withheld
    middle.honest()
    laptop.sync()
    assert laptop.get_document() == phone.get_document() == {"a": 1, "laptop": True, "phone": True}


@pytest.mark.promise("P-60")
def test_the_lie_that_nothing_is_new_hides_no_rollback(laptop: Client, middle: Middle) -> None:
    """A server that refuses an edit and says all the same that it has nothing later is found out."""
    middle.always(POST_WALLET, Answer(409, {"error": "There is a later one.", "code": "conflict"}))
    middle.always(GET_WALLET, Answer(304, b""))
    with pytest.raises(ProtocolError, match="has no later version"):
        laptop.sync()
    assert laptop.get_document() == {"label": "local"}
    middle.honest()
    assert laptop.sync().sequence == 3


@pytest.mark.promise("P-60")
def test_nothing_new_is_no_answer_where_nothing_is_known(device: Device, middle: Middle) -> None:
    """Nor where it is about something else than the wallet."""
    client = device("laptop")
    middle.always(GET_WALLET, Answer(304, b""))
    refuses(client, ProtocolError, client.get_wallet)
    middle.always("GET /api/3/devices", Answer(304, b""))
    refuses(client, ProtocolError, client.devices)


@pytest.mark.promise("P-60")
def test_nothing_new_says_nothing_under_another_password(device: Device, middle: Middle) -> None:
    """The known version is under the password before, so it is no more believed than if the server presented it."""
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 1})
    laptop.sync()
    phone.sync()
    new = "another password, a long one"
    laptop.change_password(new)
    phone.set_account(email_of(phone), new, accept_new_password=True)
    phone.get_auth_token()
    middle.always(GET_WALLET, Answer(304, b""))
    refuses(phone, BadWallet, phone.sync)
    middle.honest()
    assert phone.sync().sequence == 2
