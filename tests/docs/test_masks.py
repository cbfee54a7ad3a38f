"""What can't be the same in two runs is masked by meaning; what readers must not see is refused."""

import base64
import os

import pytest

from tools.docs.masks import Masks, refused

ONE, TWO = "0a" * 16 + "1b" * 16, "2c" * 16 + "3d" * 16
WALLET = base64.b64encode(b"WSY1\x01" + bytes(range(150))).decode()
OTHER = base64.b64encode(b"WSY1\x01" + os.urandom(151)).decode()


def masked(*texts: str) -> list[str]:
    masks = Masks(texts)
    return [masks.apply(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:4567/api/3", "http://127.0.0.1:<port 1>/api/3"),
        ("ws://localhost:4567", "ws://localhost:<port 1>"),
        ("Host: 127.0.0.1:4567", "Host: 127.0.0.1:<port 1>"),
        ("User-Agent: python-requests/2.34.2", "User-Agent: python-requests/<version>"),
        (f"hmac='{ONE}'", "hmac='<hmac 1>'"),
        (f'{{"hmac":"{ONE}"}}', '{"hmac":"<hmac 1>"}'),
        (f'{{"hmac": "{ONE}"}}', '{"hmac": "<hmac 1>"}'),
        (f"{{'hmac': '{ONE}'}}", "{'hmac': '<hmac 1>'}"),
        (f"salt_seed='{ONE}'", "salt_seed='<salt seed 1>'"),
        (f'"clientSaltSeed": "{ONE}"', '"clientSaltSeed": "<salt seed 1>"'),
        (f"ETag: {ONE}", "ETag: <digest 1>"),
        (f"encrypted_wallet='{WALLET}'", "encrypted_wallet='<encrypted wallet 1>'"),
        (f"encrypted_wallet='V1NZMQ…{WALLET[-8:]}'", "encrypted_wallet='<encrypted wallet 1>'"),
        ("expiration='2026-12-07T04:53:25Z'", "expiration='<time>'"),
        ("at 2026-12-07T04:53:25.123+00:00.", "at <time>."),
    ],
)
def test_each_value_is_masked_by_what_it_is(text: str, expected: str) -> None:
    """A reader sees what stood there, and all around it is as it was."""
    assert list(refused(text)) == []
    assert masked(text) == [expected]


@pytest.mark.parametrize(
    "text",
    ["0" * 64, "a" * 63, "b" * 65, ONE.upper(), "2026-12-07", "10.0.0.1:80", "device 12345", "V1NZ"],
)
def test_what_is_the_same_in_every_run_stays(text: str) -> None:
    """Zeros, other lengths, dates, other addresses: no rule takes more than it knows."""
    assert masked(text) == [text]


def test_the_same_value_is_the_same_mask_everywhere() -> None:
    """A reader sees what equals what, over the whole notebook; numbers go by first appearance."""
    assert masked(f"hmac='{ONE}' hmac='{TWO}'", f"hmac='{TWO}' hmac='{ONE}'") == [
        "hmac='<hmac 1>' hmac='<hmac 2>'",
        "hmac='<hmac 2>' hmac='<hmac 1>'",
    ]


def test_a_value_has_the_name_of_its_clearest_place_everywhere() -> None:
    """A bare digest that is called an HMAC later is the same HMAC at its first appearance."""
    assert masked(f"{ONE} {TWO}", f"hmac='{ONE}'") == ["<hmac 1> <digest 1>", "hmac='<hmac 1>'"]


def test_a_wallet_in_full_and_in_short_is_the_same() -> None:
    """The client shows the last 8 characters, and these tell wallets apart."""
    texts = (f"V1NZMQ…{OTHER[-8:]}", WALLET, OTHER, f"V1NZMQ…{WALLET[-8:]}")
    assert masked(*texts) == [f"<encrypted wallet {number}>" for number in (1, 2, 1, 2)]


def test_times_have_no_number() -> None:
    """Whether two events fall into one second is chance, so it must not show."""
    assert masked("2026-12-07T04:53:25Z 2026-12-07T04:53:26Z") == ["<time> <time>"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("http://127.0.0.1:99999", "port"),
        ("2026-13-07T04:53:25Z", "time"),
        ("V1NZMQEAAAA=", "encrypted wallet"),
        ("V1NZMQ" + "A" * 200, "encrypted wallet"),
        ("V1NZMQ…abc", "encrypted wallet"),
    ],
)
def test_a_value_of_the_wrong_shape_is_refused(text: str, what: str) -> None:
    """A mask must not hide that the system puts out something broken."""
    assert list(refused(text)) == [f"a malformed {what}"]


@pytest.mark.parametrize(
    "text",
    [
        f"AuthToken(token='{ONE}')",
        f'{{"token": "{ONE}"}}',
        f"Authorization: Bearer {ONE}",
        f"password='{base64.b64encode(bytes(32)).decode()}'",
        f"encryption_key={ONE}",
    ],
)
def test_a_secret_is_refused(text: str) -> None:
    """Tokens and keys have an opaque repr; one in an output is a leak, and is not masked away."""
    assert list(refused(text)) == ["a secret"]


def test_an_opaque_secret_passes() -> None:
    """What the client shows of a token may be read by everybody."""
    assert list(refused("AuthToken(<hidden>, device='laptop')")) == []


def test_a_memory_address_is_refused() -> None:
    """A default repr tells a reader nothing."""
    assert list(refused("<Client object at 0x7f81a2b3c4d0>")) == ["a memory address"]
