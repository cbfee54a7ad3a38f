"""What SECURITY.md says that nobody is kept from: each limit is said there, and is really one."""

import base64
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.conftest import PASSWORD
from tests.insides import email_of, token_of
from tests.middle import GET_WALLET, POST_WALLET, Answer, Middle
from walletsync import Client, crypto
from walletsync.errors import BadWallet
from walletsync_server.testing import RunningServer

Device = Callable[..., Client]
SECURITY = " ".join((Path(__file__).parents[2] / "SECURITY.md").read_text().split())
LIMITS = SECURITY.partition("## What it cannot promise")[2].partition("## ")[0]


def seed_of(url: str, email: str) -> str:
    """Return what anybody is told of an address."""
    query = {"email": base64.b64encode(email.encode()).decode()}
    seed: str = requests.get(f"{url}/api/3/client-salt-seed", params=query, timeout=30).json()["clientSaltSeed"]
    return seed


def presented(middle: Middle, client: Client) -> Answer:
    """Return the wallet as the server has it now."""
    return middle.wallet(token_of(client))


@pytest.mark.promise("S-10")
def test_a_weak_password_is_found_by_whoever_has_the_ciphertext(device: Device, middle: Middle) -> None:
    """With what a server has, a guess is wrong or right without anybody being asked; the KDF is all that it costs."""
    assert "it can try passwords offline" in LIMITS
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    laptop.sync()
    email = email_of(laptop)
    wallet = presented(middle, laptop).json
    binding = crypto.Binding(middle.url, email, bytes.fromhex(seed_of(middle.url, email)))

    def opens(guess: str) -> bool:
        fields = {"encrypted_wallet": wallet["encryptedWallet"], "hmac": wallet["hmac"]}
        try:
            return bool(crypto.unseal(crypto.derive(guess, binding), binding, sequence=1, **fields).plaintext)
        except BadWallet:
            return False

    assert [opens(guess) for guess in ("123456", PASSWORD)] == [False, True]


@pytest.mark.promise("S-13")
def test_a_new_device_can_be_shown_an_old_version(device: Device, middle: Middle) -> None:
    """It has nothing to compare with; one that has seen more is not deceived."""
    assert "A new device, which knows nothing yet, can be shown an old version" in LIMITS
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    laptop.sync()
    old = presented(middle, laptop)
    laptop.set_document({"a": 2})
    laptop.sync()
    middle.always(GET_WALLET, old)
    phone = device("phone")
    assert phone.sync().sequence == 1
    assert phone.get_document() == {"a": 1}


@pytest.mark.promise("S-15")
def test_news_can_be_withheld(device: Device, middle: Middle) -> None:
    """A server that goes on with what it told before is told apart from a quiet account by nothing."""
    assert "A server can withhold news" in LIMITS
    laptop, phone = device("laptop"), device("phone")
    laptop.set_document({"a": 1})
    laptop.sync()
    phone.sync()
    old = presented(middle, phone)
    laptop.set_document({"a": 2})
    laptop.sync()
    middle.always(GET_WALLET, old)
    assert phone.sync().sequence == 1
    middle.honest()
    phone.sync()
    assert phone.get_document() == {"a": 2}


@pytest.mark.promise("S-16")
def test_size_and_time_of_a_write_are_seen(device: Device, middle: Middle) -> None:
    """A small change is hidden by the padding, a large one is not; and that something was written is seen."""
    assert "sees when you sync and about how large the wallet is" in LIMITS
    text = random.Random(1).randbytes(45_000).hex()  # seeded; compression makes half of it
    laptop = device("laptop")
    sizes = [size_of(text[:length], laptop, middle) for length in (80_000, 80_010, 80_020, 90_000)]
    assert sizes[0] == sizes[1] == sizes[2]
    assert sizes[3] > sizes[2] + 5_000
    assert middle.requests.count(POST_WALLET) == 4


@pytest.mark.promise("S-17")
def test_the_size_tells_what_repeats(device: Device, middle: Middle) -> None:
    """Who can add a guess to a wallet, and sees by how much it grows, learns whether that text was in it already."""
    assert "can test whether it is there already" in LIMITS
    secret, guess = (random.Random(seed).randbytes(10_000).hex() for seed in (1, 2))
    laptop = device("laptop")
    without = size_of(secret, laptop, middle)
    assert size_of(secret + secret[:10_000], laptop, middle) - without < 1_000
    assert size_of(secret + guess[:10_000], laptop, middle) - without > 3_000


def size_of(text: str, laptop: Client, middle: Middle) -> int:
    """Return the size of the wallet that has `text`, as the server sees it."""
    laptop.set_document({"text": text})
    laptop.sync()
    return len(presented(middle, laptop).json["encryptedWallet"])


@pytest.mark.promise("S-18")
def test_a_seed_tells_when_an_account_changes(running_server: RunningServer, address: Callable[[], str]) -> None:
    """It is the same whenever one asks, until there is an account, another password, or none again."""
    assert "sees when it changes" in LIMITS
    email, url = address(), running_server.url
    seeds = [seed_of(url, email), seed_of(url, email)]
    with Client(url) as client:
        client.set_account(email, PASSWORD)
        client.register()
        seeds += [seed_of(url, email), seed_of(url, email)]
        client.get_auth_token()
        client.change_password("another horse, another battery")
        seeds += [seed_of(url, email), seed_of(url, email)]
        client.delete_account()
        seeds += [seed_of(url, email)]
    assert seeds[::2][:3] == seeds[1::2]
    assert len(set(seeds[:6])) == 3
    assert seeds[6] != seeds[5]


@pytest.mark.parametrize(
    "said",
    [
        "guess a weak password offline",
        "be shown an old version",
        "compare `fingerprint`",
        "withhold news",
        "when you sync and roughly how much",
        "salt seed again and again sees when its account changes",
    ],
)
def test_readme_says_the_limits_as_well(said: str) -> None:
    """Who reads only that is not promised more."""
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text().split())
    assert said in readme.partition("## What it cannot do")[2].partition("## ")[0]
