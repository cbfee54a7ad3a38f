"""A server that asks to come back later: the client waits within bounds, and says when it does not."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.conftest import PASSWORD
from tests.insides import email_of
from tests.middle import GET_WALLET, LOGIN, POST_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import Client
from walletsync.errors import RetryLater, ServerError
from walletsync.protocol import ErrorCode

Device = Callable[..., Client]
CANARY = "canary-7f3a"


def later(status: int, told: str | None, code: str = ErrorCode.RATE_LIMITED) -> Answer:
    headers = {} if told is None else {"Retry-After": told}
    return Answer(status, {"error": CANARY, "code": code}, headers)


def refuse(middle: Middle, kind: str, times: int, answer: Answer) -> None:
    """Answer the next requests of a kind with `answer`; those after them pass."""
    left = [answer] * times
    middle.change(kind, lambda honest: left.pop() if left else honest)


def sleeps(client: Client) -> list[float]:
    """Return how long the client sleeps from now on; no time passes."""
    slept: list[float] = []
    client._api._sleep = slept.append
    return slept


def edited(device: Device, **options: Any) -> Client:
    client = device("laptop", **options)
    client.new_wallet_state()
    client.set_document({"a": 1})
    return client


def date_in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.promise("P-76")
@pytest.mark.parametrize("kind", [GET_WALLET, POST_WALLET])
@pytest.mark.parametrize("status", [429, 503])
def test_sync_waits_as_it_is_asked_to(device: Device, middle: Middle, status: int, kind: str) -> None:
    """Both statuses are waited for, as long as the server says, and the sync goes on where it was."""
    client = edited(device)
    slept = sleeps(client)
    refuse(middle, kind, 2, later(status, "7", ErrorCode.BUSY))
    assert client.sync().sequence == 1
    assert slept == [7, 7]
    assert not client.has_local_changes


def test_sync_waits_while_it_logs_in(device: Device, middle: Middle) -> None:
    """The steps of logging in are waited for, too."""
    client = device("laptop")
    with Client(middle.url) as other:
        other.set_account(email_of(client), PASSWORD)
        other.set_document({})
        slept = sleeps(other)
        refuse(middle, LOGIN, 1, later(429, "3"))
        refuse(middle, WELL_KNOWN, 1, later(503, "4"))
        assert other.sync().sequence == 1
        assert slept == [4, 3]


def test_sync_waits_no_longer_than_its_patience(device: Device, middle: Middle) -> None:
    """All waits of one sync count together; then an error says when to try again, and the edits are kept."""
    client = edited(device, patience=20)
    slept = sleeps(client)
    middle.always(POST_WALLET, later(429, "8"))
    with pytest.raises(RetryLater, match=r"429 rate_limited\)\. Try again in 8 seconds;") as error:
        client.sync()
    assert slept == [8, 8]
    assert (error.value.retry_after, error.value.status, error.value.code) == (8, 429, "rate_limited")
    assert isinstance(error.value, ServerError)
    assert CANARY not in str(error.value)
    assert client.has_local_changes
    assert not sleeps(client)


def test_next_sync_is_patient_again(device: Device, middle: Middle) -> None:
    """Patience is for one sync."""
    client = edited(device, patience=10)
    for _ in range(2):
        slept = sleeps(client)
        refuse(middle, GET_WALLET, 1, later(503, "10"))
        client.sync()
        assert slept == [10]


def test_a_step_alone_does_not_wait(device: Device, middle: Middle) -> None:
    """Whoever calls the steps decides about waiting; also after a sync."""
    client = edited(device)
    client.sync()
    slept = sleeps(client)
    middle.always(GET_WALLET, later(429, "1"))
    with pytest.raises(RetryLater, match="Try again in 1 second;"):
        client.get_wallet()
    assert slept == []


def test_a_server_cannot_make_the_client_spin(device: Device, middle: Middle) -> None:
    """A wait of nothing counts as a second, so the tries of one sync are bounded as well."""
    client = edited(device, patience=5)
    slept = sleeps(client)
    middle.always(GET_WALLET, later(429, "0"))
    with pytest.raises(RetryLater):
        client.sync()
    assert slept == [1] * 5


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("86401", 86400),
        ("9" * 15, 86400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 1),
    ],
)
def test_waits_are_seconds_or_a_date(device: Device, middle: Middle, told: str, seconds: int) -> None:
    """Both forms of the header are understood, and kept between a second and a day."""
    client = device("laptop")
    middle.always(GET_WALLET, later(503, told))
    with pytest.raises(RetryLater) as error:
        client.get_wallet()
    assert error.value.retry_after == seconds


def test_date_is_counted_from_now(device: Device, middle: Middle) -> None:
    """A date says how long to wait by the clock of this device; one that is past says to come at once."""
    client = device("laptop")
    for seconds, least, most in ((3600, 3000, 3600), (-3600, 1, 1)):
        middle.always(GET_WALLET, later(503, date_in(seconds)))
        with pytest.raises(RetryLater) as error:
            client.get_wallet()
        assert least <= error.value.retry_after <= most


@pytest.mark.parametrize(
    "told", [None, "", "-1", "1.5", "soon", "9" * 5000, "\u0661", "Fri, 99 Dec 2030 23:59:59 GMT", CANARY]
)
def test_a_wait_that_is_none_is_a_plain_error(device: Device, middle: Middle, told: str | None) -> None:
    """Without a wait that makes sense nothing is waited for, and nothing that the server wrote is shown."""
    client = device("laptop")
    slept = sleeps(client)
    middle.always(GET_WALLET, later(503, told and told.encode().decode("latin-1"), "unavailable"))
    with pytest.raises(ServerError, match="503") as error:
        client.sync()
    assert not isinstance(error.value, RetryLater)
    assert CANARY not in str(error.value)
    assert slept == []


PROXY_PAGE = b"<html><h1>Bad Gateway</h1>canary-7f3a</html>"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_does_not_reach_the_server_is_waited_for(device: Device, middle: Middle, status: int) -> None:
    """It says for how long or not; while the server starts again, a sync takes longer, and that is all."""
    client = edited(device, patience=60)
    slept = sleeps(client)
    refuse(middle, GET_WALLET, 3, Answer(status, PROXY_PAGE))
    refuse(middle, POST_WALLET, 1, Answer(status, PROXY_PAGE, {"Retry-After": "5"}))
    assert client.sync().sequence == 1
    assert slept == [1, 2, 4, 5]
    middle.always(GET_WALLET, Answer(status, PROXY_PAGE))
    with pytest.raises(RetryLater, match=rf"in front of it \({status}\)\. Try again in 30 seconds") as error:
        client.sync()
    assert slept[4:] == [1, 2, 4, 8, 16]
    assert CANARY not in str(error.value)


def test_other_answers_are_not_waited_for(device: Device, middle: Middle) -> None:
    """A wait beside another status means nothing to us."""
    client = device("laptop")
    middle.always(GET_WALLET, later(500, "5", "internal_error"))
    with pytest.raises(ServerError) as error:
        client.get_wallet()
    assert not isinstance(error.value, RetryLater)


def test_the_real_clock_is_waited_by(device: Device, middle: Middle) -> None:
    """Unless a test says otherwise, time passes."""
    client = edited(device)
    assert client._api._sleep is time.sleep
