"""What a device believes that has seen nothing yet: only a server's own word says that there is no wallet.

Else it would offer its own document as the first version, or tell a person to make one, though there is a wallet.
"""

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import PASSWORD
from tests.insides import email_of, state_of
from tests.middle import GET_SEED, GET_WALLET, LOGIN, POST_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import Client
from walletsync.errors import NoWallet, WalletSyncError, WrongCredentials

Device = Callable[..., Client]

NO_WORD = {
    "a page of a proxy": Answer(404, b"<html><h1>404 Not Found</h1></html>"),
    "a 404 without a body": Answer(404, b""),
    "a 404 about the address": Answer(404, {"error": "There is nothing here.", "code": "not_found"}),
    "a 410": Answer(410, b""),
    "an empty answer": Answer(200, b""),
    "an empty object": Answer(200, {}),
    "an empty list": Answer(200, []),
    "nothing, as JSON": Answer(200, b"null"),
    "no content": Answer(204, b""),
    "a proxy's error": Answer(502, b"<html>Bad Gateway</html>"),
}


@pytest.fixture
def fresh(device: Device, middle: Middle) -> Iterator[Client]:
    """A device with a document of its own, of an account that has a wallet; it has asked the server for nothing yet."""
    laptop = device("laptop")
    laptop.set_document({"laptop": 1})
    laptop.sync()
    with Client(middle.url, timeout=0.5, patience=0, device_id="fresh") as client:
        client.set_account(email_of(laptop), PASSWORD)
        client.set_document({"fresh": 1})
        middle.requests.clear()
        yield client


def believes_nothing(fresh: Client, middle: Middle) -> None:
    """The sync fails, nothing was offered as a first version, and once the server is back both documents are there."""
    with pytest.raises(WalletSyncError) as error:
        fresh.sync()
    assert not isinstance(error.value, NoWallet | WrongCredentials)
    assert POST_WALLET not in middle.requests
    assert state_of(fresh).synced is None
    assert state_of(fresh).pending is None
    assert fresh.get_document() == {"fresh": 1}
    middle.honest()
    assert fresh.sync().sequence == 2
    assert fresh.get_document() == {"fresh": 1, "laptop": 1}


@pytest.mark.promise("P-58")
@pytest.mark.parametrize("answer", NO_WORD.values(), ids=NO_WORD.keys())
@pytest.mark.parametrize("what", [GET_SEED, LOGIN, GET_WALLET])
def test_no_other_answer_says_that_there_is_no_wallet(fresh: Client, middle: Middle, what: str, answer: Answer) -> None:
    """Whichever request gets it."""
    middle.always(what, answer)
    believes_nothing(fresh, middle)


@pytest.mark.parametrize("what", [WELL_KNOWN, GET_SEED, LOGIN, GET_WALLET])
def test_a_time_out_says_nothing(fresh: Client, middle: Middle, what: str) -> None:
    """Not at any step."""
    release = threading.Event()

    def never(_: bytes) -> Answer:
        release.wait()
        return Answer(200, {})

    middle.instead(what, never)
    try:
        believes_nothing(fresh, middle)
    finally:
        release.set()


@pytest.mark.promise("P-13", "P-43", "P-44")
@pytest.mark.parametrize(
    "answer", [each for each in NO_WORD.values() if each.status != 404], ids=lambda each: str(each.status)
)
def test_what_the_server_can_do_is_not_guessed(fresh: Client, middle: Middle, answer: Answer) -> None:
    """Only a 404 says that it has no extras."""
    middle.always(WELL_KNOWN, answer)
    believes_nothing(fresh, middle)


def test_a_server_without_extras_is_believed_in_its_own_words_only(fresh: Client, middle: Middle) -> None:
    """Where `.well-known` says 404, a 404 for the wallet counts only if it is an error as such servers word it."""
    middle.always(WELL_KNOWN, Answer(404, b""))
    middle.always(GET_WALLET, Answer(404, b"<html>none</html>"))
    with pytest.raises(WalletSyncError) as error:
        fresh.sync()
    assert not isinstance(error.value, NoWallet)
    assert POST_WALLET not in middle.requests
    middle.always(GET_WALLET, Answer(404, {"error": "Not Found: there is no wallet"}))
    with pytest.raises(NoWallet):
        fresh.get_wallet()
