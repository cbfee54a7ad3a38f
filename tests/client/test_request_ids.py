"""By which id whoever runs a server finds in its log what a client met."""

import copy
import pickle
from collections.abc import Callable

import pytest

from tests.conftest import PASSWORD
from tests.middle import GET_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import Client
from walletsync.errors import CertificateUntrusted, NoWallet, ProtocolError, RetryLater, ServerError, WalletSyncError
from walletsync_server.testing import RunningServer

Device = Callable[..., Client]
ID = "0f1e2d3c4b5a6978"


def failed(ask: Callable[[], object]) -> WalletSyncError:
    with pytest.raises(WalletSyncError) as raised:
        ask()
    return raised.value


@pytest.mark.promise("X-2")
def test_id_is_that_of_the_servers_log(running_server: RunningServer, address: Callable[[], str]) -> None:
    """What a real server refused stands there under the id that the error has, also in its copies; and in no text."""
    with Client(running_server.url, device_id="laptop") as client:
        client.set_account(address(), PASSWORD)
        client.register()
        client.get_auth_token()
        error = failed(client.get_wallet)
    assert isinstance(error, NoWallet)
    assert error.request_id is not None
    (line,) = [line for line in running_server.log().splitlines() if f"request_id={error.request_id}" in line]
    assert "route=/api/3/wallet status=404 code=no_wallet" in line
    copies = [copy.copy(error), pickle.loads(pickle.dumps(error))]  # noqa: S301 - our own
    assert [each.request_id for each in copies] == [error.request_id] * 2
    assert error.request_id not in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(500, b""), ServerError),
        (Answer(200, b"<html>"), ProtocolError),
        (Answer(302, b"", {"Location": "/"}), ProtocolError),
        (Answer(503, {"error": "Busy.", "code": "busy"}, {"Retry-After": "9"}), RetryLater),
    ],
)
def test_every_error_about_an_answer_has_it(
    answer: Answer, kind: type[WalletSyncError], device: Device, middle: Middle
) -> None:
    """A refusal, an answer that makes no sense, a redirect, and one that asks to come back."""
    client = device("laptop")
    answer.headers["X-Request-Id"] = ID
    middle.always(GET_WALLET, answer)
    error = failed(client.get_wallet)
    assert (type(error), error.request_id) == (kind, ID)


@pytest.mark.parametrize(
    "sent", ["", "short", "a" * 37, "0" * 64, "a secret of sixteen", PASSWORD, "zzzzzzzzzzzzzzzz", f"{ID}\u00e9"]
)
def test_only_what_servers_make_is_an_id(sent: str, device: Device, middle: Middle) -> None:
    """Text, and what could be a token, a seed or a password that comes back, is none."""
    client = device("laptop")
    middle.always(GET_WALLET, Answer(500, b"", {"X-Request-Id": sent}))
    assert failed(client.get_wallet).request_id is None


def test_no_answer_has_none(device: Device, middle: Middle) -> None:
    """Nor has an error the id of an earlier answer."""
    client = device("laptop")
    middle.always(WELL_KNOWN, Answer(500, b"", {"X-Request-Id": ID}))
    middle.always(GET_WALLET, Answer(500, b"", {"X-Request-Id": ID}))
    assert failed(client.get_wallet).request_id == ID
    middle.honest()
    middle.lose_answer(GET_WALLET)
    assert failed(client.get_wallet).request_id is None
    assert CertificateUntrusted("x").request_id is None
