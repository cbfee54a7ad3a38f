"""A field that comes twice: two programs that read the request could take different values, so it is refused."""

import json
import random
import tracemalloc
from typing import Any

import pytest

from tests.server.helpers import API, Account, Wire
from walletsync.protocol import WalletRequest
from walletsync_server.api.bodies import decode
from walletsync_server.services.errors import BadRequest

WALLETS = ['\\\\"\\', "-", '"', '""', "\\", '\\"', '{"hmac":"x"}', "ä🔑", "\0", "\u2028"]


def body_of(pairs: list[tuple[str, Any]], *, ascii_only: bool) -> bytes:
    return (
        "{" + ", ".join(f"{json.dumps(n)}: {json.dumps(v, ensure_ascii=ascii_only)}" for n, v in pairs) + "}"
    ).encode()


@pytest.mark.promise("X-22")
@pytest.mark.parametrize("again", ["sequence", "hmac", "encryptedWallet", "token", "hm\\u0061c"])
def test_field_that_comes_twice_is_refused(wire: Wire, account: Account, again: str) -> None:
    """Whether with the same value or another, in whatever spelling, first or last; and nothing is stored."""
    name = json.loads(f'"{again}"')
    value: Any = {"sequence": 1, "token": "0" * 64}.get(name, "x")
    for wallet in ("-", '"quoted"'):
        known = {"encryptedWallet": wallet, "sequence": 1, "hmac": "h", "token": account.token}
        text = json.dumps(known)
        twice = [f'{{"{again}": {json.dumps(value)}, {text[1:]}', f'{text[:-1]}, "{again}": {json.dumps(value)}}}']
        for body in twice:
            answer = wire("POST", f"{API}/wallet", body.encode(), token=account.token)
            assert (answer.status, answer.code) == (400, "bad_request")
            assert "twice" in answer.json["error"]
    assert account.get().status == 404


@pytest.mark.parametrize("wallet", WALLETS)
def test_quotes_in_values_are_no_fields(wire: Wire, account: Account, wallet: str) -> None:
    """What looks like a field inside of a value is none."""
    assert account.post(1, wallet, wallet).json["encryptedWallet"] == wallet


def test_any_request_is_refused_exactly_if_a_name_repeats() -> None:
    """Over random requests of every spelling, a careful reader and this one agree."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    refused = 0
    for _ in range(3000):
        pairs: list[tuple[str, Any]] = [
            ("encryptedWallet", chance.choice(WALLETS)),
            ("hmac", chance.choice(WALLETS)),
            ("sequence", 1),
        ]
        pairs += chance.sample([("token", "t"), ("version", 1), ("hmac", "h"), ("version", 1)], chance.randrange(4))
        chance.shuffle(pairs)
        names = [name for name, _ in pairs]
        body = body_of(pairs, ascii_only=chance.random() < 0.5)
        if len(names) == len(set(names)):
            assert decode(body, WalletRequest).sequence == 1
        else:
            refused += 1
            with pytest.raises(BadRequest, match="twice"):
                decode(body, WalletRequest)
    assert 300 < refused < 2700


@pytest.mark.parametrize("more", [',"hmac":"h"' * 100_000, ',"hm\\u0061c":"\\\\"' * 50_000], ids=["plain", "escaped"])
def test_repeated_names_take_no_memory_of_their_own(more: str) -> None:
    """However often a name repeats, looking for it takes no more than the body and what was found in it."""
    body = f'{{"sequence":1,"encryptedWallet":"w","hmac":"h"{more}}}'.encode()
    tracemalloc.start()
    try:
        with pytest.raises(BadRequest, match="twice"):
            decode(body, WalletRequest)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * len(body)
