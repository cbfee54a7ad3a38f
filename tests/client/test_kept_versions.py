"""A server that keeps four versions and presents any of them as any other: no path takes it."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.client.edits import edit
from tests.client.rollbacks import restore_backup, take_backup
from tests.conftest import PASSWORD
from tests.insides import email_of, state_of, token_of
from tests.middle import GET_WALLET, HISTORY, POST_WALLET, Answer, Middle
from walletsync import Client
from walletsync.errors import BadWallet, ProtocolError, RollbackDetected, WalletSyncError
from walletsync.live import Listener
from walletsync_server.testing import RunningServer

Device = Callable[..., Client]
Wallet = dict[str, Any]
LAST = 4
PAIRS = list(itertools.permutations(range(1, LAST + 1), 2))
PATIENCE = 30.0


@dataclass
class Kept:
    """Four versions of one account, by number; a device that knows all of them, and one that knows none."""

    versions: dict[int, Wallet]
    laptop: Client
    fresh: Client

    def lies(self, shown: int, as_number: int) -> Iterator[Wallet]:
        """Yield the ways to present one version as another: renumbered, and with parts of both."""
        wallet, other = self.versions[shown], self.versions[as_number]
        yield wallet | {"sequence": as_number}
        yield other | {"encryptedWallet": wallet["encryptedWallet"]}
        yield other | {"hmac": wallet["hmac"]}

    @property
    def devices(self) -> tuple[Client, Client]:
        return self.laptop, self.fresh


@pytest.fixture
def kept(device: Device, middle: Middle) -> Iterator[Kept]:
    """Made by two devices in turns, so that authors differ as well."""
    laptop, phone = device("laptop"), device("phone")
    for number in range(1, LAST + 1):
        author = (phone, laptop)[number % 2]
        if number > 1:
            author.sync()
        edit(author, **{f"v{number}": number})
    laptop.sync()
    for number in range(1, LAST + 1):
        laptop._api.version(token_of(laptop), number)
    answers = [answer.json for answer in middle.answers[-LAST:]]
    with Client(middle.url, device_id="fresh") as fresh:
        fresh.set_account(email_of(laptop), PASSWORD)
        fresh.get_auth_token()
        fresh.set_document({"fresh": 1})
        yield Kept({answer["sequence"]: answer for answer in answers}, laptop, fresh)


def refuses(client: Client, call: Callable[[], object], *errors: type[WalletSyncError]) -> None:
    """Assert that `call` raises one of `errors`, and that the device believes and shows what it did before."""
    before = state_of(client)
    with pytest.raises(errors):
        call()
    after = state_of(client)
    for name in ("document", "synced", "passed", "conflicts", "abandoned", "seed", "seeds", "owed_restores"):
        assert getattr(after, name) == getattr(before, name), name


@pytest.mark.promise("T-11")
def test_as_the_current_version(kept: Kept, middle: Middle) -> None:
    """GET, whoever asks: one that knows the last version, or one that knows nothing."""
    for shown, as_number in PAIRS:
        for lie in kept.lies(shown, as_number):
            middle.always(GET_WALLET, Answer(200, lie))
            for client in kept.devices:
                refuses(client, client.get_wallet, BadWallet)
                refuses(client, client.sync, BadWallet)
    for shown in range(1, LAST):
        middle.always(GET_WALLET, Answer(200, kept.versions[shown]))
        refuses(kept.laptop, kept.laptop.sync, RollbackDetected)


@pytest.mark.promise("T-11")
def test_as_the_later_version_of_a_conflict(kept: Kept, middle: Middle) -> None:
    """A 409 to a POST. What was POSTed stays to be sent again."""
    kept.laptop.set_document({"laptop": 1})
    for shown, as_number in PAIRS:
        for lie in kept.lies(shown, as_number):
            answer = {"error": "There is a later version.", "code": "conflict", "applied": True} | lie
            middle.always(POST_WALLET, Answer(409, answer))
            for client in kept.devices:
                refuses(client, client.post_wallet, BadWallet)
    middle.honest()
    assert kept.laptop.sync().sequence == LAST + 1
    assert kept.fresh.sync().sequence == LAST + 2
    assert kept.fresh.get_document() == {"laptop": 1, "fresh": 1}


@pytest.mark.promise("T-11")
def test_as_news_that_are_told_live(kept: Kept, middle: Middle, running_server: RunningServer) -> None:
    """The WebSocket is the server's own: what is fetched at its word is checked like anything else."""
    told = threading.Semaphore(0)
    url = running_server.url.replace("http", "ws", 1) + "/api/3/websocket"
    for client in kept.devices:
        client.sync()  # so that the lie finds both at the last version

        def look(client: Client = client) -> None:
            refuses(client, client.sync, BadWallet)
            told.release()

        for shown, as_number in PAIRS:
            middle.always(GET_WALLET, Answer(200, next(kept.lies(shown, as_number))))
            token = token_of(client)
            with Listener(url, token=lambda token=token: token, on_news=look, tls=None):  # type: ignore[misc]
                assert told.acquire(timeout=PATIENCE), (client, shown, as_number)
        middle.honest()


@pytest.mark.promise("T-11")
def test_as_an_earlier_version(kept: Kept, middle: Middle) -> None:
    """`version()` and `restore()`: what is asked for itself, and each that leads to it."""
    laptop = kept.laptop
    middle.requests.clear()
    for shown, as_number in PAIRS:
        for lie in (kept.versions[shown], *kept.lies(shown, as_number)):
            middle.always(f"{HISTORY}/{as_number}", Answer(200, lie))
            refuses(laptop, lambda as_number=as_number: laptop.restore(as_number), BadWallet, ProtocolError)  # type: ignore[misc]
            # The last one is known, so nobody asks for it on the way to another.
            for asked in range(LAST if as_number == LAST else 1, as_number + 1):
                refuses(laptop, lambda asked=asked: laptop.version(asked), BadWallet, ProtocolError)  # type: ignore[misc]
        middle.honest()
    assert POST_WALLET not in middle.requests
    assert laptop.version(1) == {"v1": 1}


@pytest.mark.promise("T-11")
def test_as_what_both_sides_of_a_restore_have_in_common(
    kept: Kept, middle: Middle, running_server: RunningServer
) -> None:
    """Consent is to what the server has now; what it presents as older than that is checked all the same."""
    backup = take_backup(running_server.database, email_of(kept.laptop))
    edit(kept.laptop, left=1)
    restore_backup(running_server.database, backup)
    kept.fresh.sync()
    for shown in range(1, LAST):
        for lie in (kept.versions[shown], *kept.lies(shown, LAST)):
            middle.always(f"{HISTORY}/{LAST}", Answer(200, lie))
            refuses(kept.laptop, kept.laptop.accept_restored_server, BadWallet, ProtocolError)
    middle.honest()
    kept.laptop.accept_restored_server()
    assert kept.laptop.get_document() == {"v1": 1, "v2": 2, "v3": 3, "v4": 4, "left": 1, "fresh": 1}
