"""The endpoints: which servers are talked to, what of an answer is never believed, and what no error shows."""

import random
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
from typing_extensions import override

from tests.conftest import PASSWORD
from tests.insides import token_of
from tests.middle import CHANGE_PASSWORD, DELETE_ACCOUNT, GET_WALLET, LOGIN, POST_WALLET, WELL_KNOWN, Answer, Middle
from walletsync import Client
from walletsync.errors import (
    InvalidServerURL,
    NotAllowed,
    NotVerified,
    ProtocolError,
    ServerError,
    ServerUnreachable,
    Unauthorized,
    WalletTooLarge,
)
from walletsync.realm import normalised_url
from walletsync_server.testing import RunningServer

Device = Callable[..., Client]


@pytest.mark.parametrize(
    ("given", "normalised"),
    [
        ("https://wallet.example.com", "https://wallet.example.com"),
        ("HTTPS://Wallet.Example.COM:443/", "https://wallet.example.com"),
        ("https://wallet.example.com:8443/sync/", "https://wallet.example.com:8443/sync"),
        ("https://xn--bcher-kva.example.com", "https://xn--bcher-kva.example.com"),
        ("http://[0:0:0:0:0:0:0:1]:8090/a", "http://[::1]:8090/a"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://localhost:80/", "http://localhost"),
        ("http://[::1]:8090", "http://[::1]:8090"),
    ],
)
def test_a_servers_url_has_one_form(given: str, normalised: str) -> None:
    """Keys are bound to it, so every spelling of an address is the same one."""
    assert normalised_url(given) == normalised


@pytest.mark.parametrize(
    "url",
    [
        "",
        "wallet.example.com",
        "ftp://wallet.example.com",
        "https://",
        "https://wallet.example.com:port",
        "https://wallet.example.com:99999",
        "https://[::1",
        "https://" + "a" * 70 + ".example.com",
        "https://b\u00fccher.example.com",
        "https://wallet.example.com.",
        "https://wallet..example.com",
        "https://wallet example.com",
        "https://wallet.example.com\\@other.example.com",
        "https://%61.example.com",
        "https://127.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://[fe80::1%25eth0]",
        "https://wallet.example.com/a/../b",
        "https://wallet.example.com/a//b",
        "https://wallet.example.com/%7Euser",
        "https://wallet.example.com/?",
        "https://me:secret@wallet.example.com",
        "https://wallet.example.com/?token=secret",
        "https://wallet.example.com/#secret",
    ],
)
def test_what_is_no_servers_url_is_refused(url: str) -> None:
    """The error says how one looks, and does not repeat what may be a secret."""
    with pytest.raises(InvalidServerURL) as refused:
        Client(url, allow_plain_http=True)
    assert "secret" not in str(refused.value)


@pytest.mark.promise("P-4", "T-16")
@pytest.mark.parametrize("host", ["wallet.example.com", "192.0.2.1", "127.0.0.1.example.com", "[2001:db8::1]"])
def test_plain_http_is_refused_off_loopback_unless_asked_for(host: str) -> None:
    """Tokens do not cross a network in the clear by mistake."""
    with pytest.raises(InvalidServerURL, match="Use https, or pass allow_plain_http"):
        Client(f"http://{host}")
    Client(f"http://{host}", allow_plain_http=True).close()


HOSTILE = {
    "not JSON": b"<html>hello</html>",
    "empty": b"",
    "a list": b"[]",
    "NaN": b'{"encryptedWallet": "a", "sequence": NaN, "hmac": "b"}',
    "true as sequence": b'{"encryptedWallet": "a", "sequence": true, "hmac": "b"}',
    "a float": b'{"encryptedWallet": "a", "sequence": 1.0, "hmac": "b"}',
    "a huge integer": b'{"encryptedWallet": "a", "sequence": %s, "hmac": "b"}' % (b"9" * 100_000),
    "sequence 0": b'{"encryptedWallet": "a", "sequence": 0, "hmac": "b"}',
    "sequence 2^32": b'{"encryptedWallet": "a", "sequence": 4294967296, "hmac": "b"}',
    "a lone surrogate": b'{"encryptedWallet": "\\ud800", "sequence": 1, "hmac": "b"}',
    "bad UTF-8": b'{"encryptedWallet": "\xff", "sequence": 1, "hmac": "b"}',
    "an unknown field": b'{"encryptedWallet": "a", "sequence": 1, "hmac": "b", "suite": 0}',
    "a missing field": b'{"encryptedWallet": "a", "sequence": 1}',
    "an empty wallet": b'{"encryptedWallet": "", "sequence": 1, "hmac": "b"}',
    "deep nesting": b'{"encryptedWallet": ' + b"[" * 200_000,
    "another version": b'{"encryptedWallet": "a", "sequence": 1, "hmac": "b", "version": 2}',
}


@pytest.mark.promise("P-10", "T-14")
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_answer_that_is_not_the_protocols_is_refused(body: bytes, device: Device, middle: Middle) -> None:
    """Whatever comes with a 200 or a 409, it is a ProtocolError, and nothing of it is used."""
    client = device("laptop")
    client.new_wallet_state()
    middle.always(GET_WALLET, Answer(200, body))
    middle.always(POST_WALLET, Answer(200, body))
    for call in (client.get_wallet, client.post_wallet):
        with pytest.raises(ProtocolError):
            call()
    conflict = body.replace(b"{", b'{"error": "a", ', 1)
    middle.always(POST_WALLET, Answer(409, conflict))
    if body != HOSTILE["a missing field"]:  # then there is no wallet in the answer, which is legitimate
        with pytest.raises(ProtocolError):
            client.post_wallet()


@pytest.mark.promise("T-14")
def test_deeply_nested_well_known_is_refused(middle: Middle) -> None:
    """Where unknown fields are ignored, they cannot exhaust the stack either."""
    middle.always(WELL_KNOWN, Answer(200, b'{"later": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"))
    with Client(middle.url) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ProtocolError):
            client.register()


@pytest.mark.promise("P-41")
def test_what_is_told_beyond_the_page_is_ignored(device: Device, middle: Middle) -> None:
    """A later server may have fields, limits and features that nobody here has heard of."""
    later = {"later": {"nested": [1, {"a": None}]}}

    def told_more(answer: Answer) -> Answer:
        told = answer.json | later
        told["limits"] |= {"later": 1}
        told["features"] = ["later", *told["features"]]
        return Answer(200, told)

    middle.change(WELL_KNOWN, told_more)
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    assert laptop.sync().sequence == 1
    assert WELL_KNOWN in middle.requests


@pytest.mark.promise("P-42")
def test_a_server_without_our_payload_version_is_refused(middle: Middle) -> None:
    """The message says what to do."""
    middle.change(WELL_KNOWN, lambda answer: Answer(200, answer.json | {"payloadVersions": [2]}))
    with Client(middle.url) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ProtocolError, match="Update this client"):
            client.register()


def test_an_unreachable_server_is_named(middle: Middle) -> None:
    """Nobody listens there: the error names the address and says that nothing is lost."""
    with Client("http://127.0.0.1:9/sync") as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ServerUnreachable, match=r"No answer from http://127\.0\.0\.1:9/sync"):
            client.register()


@pytest.mark.promise("P-13", "P-123")
@pytest.mark.parametrize(
    ("what", "answer", "error", "hint"),
    [
        (GET_WALLET, Answer(404, b"<html>none</html>"), ServerError, "check the URL and its path"),
        (POST_WALLET, Answer(413, b"<html>too large</html>"), ServerError, "make it smaller"),
        (LOGIN, Answer(401, {"error": "Not yet.", "code": "not_verified"}), NotVerified, "Open the link in the mail"),
        (LOGIN, Answer(403, {"error": "Full.", "code": "too_many_devices"}), ServerError, "unused ones expire"),
        (LOGIN, Answer(403, {"error": "No.", "code": "not_allowed"}), NotAllowed, "has disabled this account"),
        (WELL_KNOWN, Answer(500, b""), ServerError, "ask whoever runs the server"),
    ],
)
def test_an_error_says_what_to_do(
    what: str, answer: Answer, error: type[ServerError], hint: str, middle: Middle, address: Callable[[], str]
) -> None:
    """From the code where there is one, else from the status; a 404 of something in between is no word of a wallet."""
    middle.always(what, answer)
    with Client(middle.url) as client:
        client.set_account(address(), "a password")
        client.set_document({})

        def whole_flow() -> None:
            client.register()
            client.sync()

        with pytest.raises(ServerError, match=hint) as raised:
            whole_flow()
    assert type(raised.value) is error


@pytest.mark.promise("P-32")
def test_the_token_travels_in_a_header_only(device: Device, middle: Middle) -> None:
    """No URL and no body has it, where the server takes it in a header."""
    client = device("laptop")
    client.set_document({})
    client.sync()
    token = token_of(client)
    lines = [head.partition("\n")[0] for head in middle.heads]
    assert not any(token in line or "token" in line for line in lines)
    assert not any(token.encode() in body for body in middle.bodies)
    assert sum(f"Authorization: Bearer {token}" in head for head in middle.heads) == 2


@pytest.mark.promise("P-35")
def test_the_token_is_shown_beside_a_password(device: Device, middle: Middle) -> None:
    """A change of the password and a deletion show it, too, so that a server that strangers keep busy has room."""
    client = device("laptop")
    client.set_document({})
    client.sync()
    before = token_of(client)
    client.change_password("another long password")
    after = token_of(client)
    client.delete_account()
    heads = {head.partition(" HTTP")[0]: head for head in middle.heads}
    assert f"Authorization: Bearer {before}" in heads[CHANGE_PASSWORD]
    assert f"Authorization: Bearer {after}" in heads[DELETE_ACCOUNT]


@pytest.mark.promise("P-42")
def test_a_server_that_tells_extras_without_the_header_is_refused(middle: Middle) -> None:
    """The token goes into a URL only where there is definitely no `.well-known`."""
    middle.change(WELL_KNOWN, lambda answer: Answer(200, answer.json | {"features": []}))
    with Client(middle.url) as client:
        client.set_account("alice@example.com", "a password")
        with pytest.raises(ProtocolError, match="tokens in a header"):
            client.register()


@pytest.mark.promise("P-38")
def test_a_wallet_of_exactly_the_limit_is_sent(device: Device, middle: Middle) -> None:
    """The limit is inclusive."""
    client = device("laptop")
    client.set_document({"a": 1})
    client.post_wallet()
    client.post_wallet()
    state = client.wallet_state
    assert state is not None
    client._api.max_wallet_bytes = len(state.encrypted_wallet)
    client.post_wallet()
    client._api.max_wallet_bytes -= 1
    with pytest.raises(WalletTooLarge):
        client.post_wallet()


@pytest.mark.promise("P-123")
def test_what_a_server_writes_does_not_get_into_an_error(device: Device, middle: Middle) -> None:
    """It could be our own token, reflected into a log."""
    client = device("laptop")
    token = token_of(client)
    for body in ({"error": token, "code": token}, {"error": token, "code": "bad_request"}, token.encode()):
        middle.always(GET_WALLET, Answer(418, body))
        with pytest.raises(ServerError) as raised:
            client.get_wallet()
        assert raised.value.status == 418
        assert token not in f"{raised.value!s} {raised.value!r} {raised.value.__dict__}"


def test_an_error_carries_status_and_code(device: Device, middle: Middle) -> None:
    """For programs; the sentence is for people."""
    client = device("laptop")
    middle.always(GET_WALLET, Answer(401, {"error": "Log in.", "code": "unauthorized"}))
    with pytest.raises(Unauthorized, match="get_auth_token") as raised:
        client.get_wallet()
    assert (raised.value.status, raised.value.code) == (401, "unauthorized")


@pytest.mark.promise("P-38")
def test_a_wallet_over_the_servers_limit_is_not_sent(device: Device, middle: Middle) -> None:
    """The limit is the server's own, and the document stays as it is."""
    limits = {"encryptedWalletBytes": 1000, "keptVersions": 10, "devices": 100}
    middle.change(WELL_KNOWN, lambda answer: Answer(200, answer.json | {"limits": limits}))
    client = device("laptop")
    long = {"long": random.Random(1).randbytes(500).hex()}  # of what compression makes little smaller
    client.set_document(long)
    middle.requests.clear()
    with pytest.raises(WalletTooLarge, match="the server takes at most 1,000"):
        client.post_wallet()
    assert POST_WALLET not in middle.requests
    assert client.get_document() == long
    client.set_document({"short": "x"})
    assert client.sync().sequence == 1


class Below(Middle):
    """A proxy that has the server below a path of its own, and nothing anywhere else."""

    PATH = "/sync"

    @override
    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        if not handler.path.startswith(f"{self.PATH}/"):
            return Answer(404, b"")
        handler.path = handler.path.removeprefix(self.PATH)
        return super()._ask(handler, body)


@pytest.mark.promise("P-3")
def test_a_server_may_stand_below_a_path(running_server: RunningServer, address: Callable[[], str]) -> None:
    """All that a device asks for, it asks for there; the extras, too."""
    email = address()
    with Below(running_server.url) as proxy:
        for device_id in ("laptop", "phone"):
            with Client(f"{proxy.url}{Below.PATH}/", device_id=device_id) as client:
                client.set_account(email, PASSWORD)
                if device_id == "laptop":
                    client.register()
                    client.set_document({"a": 1})
                assert client.sync().sequence == 1
                assert client.get_document() == {"a": 1}
                assert [each.device for each in client.history()] == ["laptop"]
    assert {each.split()[1].split("/")[1] for each in proxy.requests} == {"sync"}
