"""Suite 1 against published vectors, against our frozen ones, and against everyone who changes a bit."""

import base64
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from walletsync import crypto
from walletsync.crypto import NO_PREVIOUS, Binding, Keys
from walletsync.errors import BadWallet
from walletsync.protocol import wallet_digest

VECTORS = Path(__file__).parent.parent / "vectors"
SEED = 20261123


def vectors(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
    return loaded


ENVELOPE = vectors("suite1_envelope")


def named(tests: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", tests, ids=lambda vector: vector["name"])


def account(vector: dict[str, Any]) -> tuple[Keys, Binding]:
    fields = ENVELOPE["account"] | {name: vector[name] for name in ENVELOPE["account"] if name in vector}
    keys = Keys(login="", encryption=bytes.fromhex(fields["encryption"]), mac=bytes.fromhex(fields["mac"]))
    return keys, Binding(fields["realm"], fields["email"], bytes.fromhex(fields["seed"]))


def unseal(vector: dict[str, Any]) -> crypto.Opened:
    return crypto.unseal(
        *account(vector),
        sequence=vector["sequence"],
        encrypted_wallet=vector["encryptedWallet"],
        hmac=vector["hmac"],
    )


@pytest.fixture
def aead_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record every use of the AEAD: what the HMAC refuses must never get there."""
    calls: list[str] = []

    def recorded(key: bytes) -> AESGCM:
        calls.append("aead")
        return AESGCM(key)

    monkeypatch.setattr(crypto, "AESGCM", recorded)
    return calls


def kibibyte() -> dict[str, Any]:
    """Return a wallet of 1 KiB as it travels, its `encryptedWallet` longer than that."""
    plaintext = random.Random(SEED).randbytes(1024)
    sealed = crypto.seal(*account({}), epoch=1, sequence=7, previous=NO_PREVIOUS, plaintext=plaintext)
    assert len(sealed.encrypted_wallet) >= 1024
    return {"sequence": 7, "encryptedWallet": sealed.encrypted_wallet, "hmac": sealed.hmac}


def flipped(data: bytes) -> Iterator[bytes]:
    """Yield `data` with one bit flipped, for every bit of it."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def refused(vector: dict[str, Any], changes: Iterable[dict[str, Any]], aead_calls: list[str]) -> int:
    """Return how many changes of an authentic wallet there are; all are refused, and none gets to the AEAD."""
    aead_calls.clear()
    unseal(vector)
    assert aead_calls == ["aead"], "the wallet itself opens, and that is counted"
    number = 0
    for change in changes:
        with pytest.raises(BadWallet):
            unseal(vector | change)
        assert aead_calls == ["aead"], change
        number += 1
    return number


def test_argon2id_gives_the_tag_of_rfc_9106() -> None:
    """The KDF that we use is the one of the RFC."""
    for test in vectors("argon2id")["tests"]:
        kdf = Argon2id(
            salt=bytes.fromhex(test["salt"]),
            length=test["length"],
            iterations=test["iterations"],
            lanes=test["lanes"],
            memory_cost=test["memory"],
            ad=bytes.fromhex(test["associated_data"]),
            secret=bytes.fromhex(test["secret"]),
        )
        assert kdf.derive(bytes.fromhex(test["password"])).hex() == test["tag"]


@named(vectors("hkdf_sha256")["tests"])
def test_hkdf_gives_the_keys_of_rfc_5869(vector: dict[str, Any]) -> None:
    """HKDF that we use is the one of the RFC."""
    salt, info = bytes.fromhex(vector["salt"]), bytes.fromhex(vector["info"])
    kdf = HKDF(algorithm=SHA256(), length=vector["length"], salt=salt, info=info)
    assert kdf.derive(bytes.fromhex(vector["ikm"])).hex() == vector["okm"]


@pytest.mark.parametrize("vector", vectors("aes_256_gcm")["tests"], ids=lambda vector: str(vector["tcId"]))
def test_aes_gcm_accepts_and_refuses_what_wycheproof_says(vector: dict[str, Any]) -> None:
    """The AEAD that we use opens what is authentic, and only that."""
    sealed = bytes.fromhex(vector["ciphertext"] + vector["tag"])
    nonce, ad = bytes.fromhex(vector["nonce"]), bytes.fromhex(vector["ad"])
    aead = AESGCM(bytes.fromhex(vector["key"]))
    if vector["valid"]:
        assert aead.decrypt(nonce, sealed, ad).hex() == vector["plaintext"]
    else:
        with pytest.raises(InvalidTag):
            aead.decrypt(nonce, sealed, ad)


@pytest.mark.real_kdf
@named(vectors("suite1_derive")["tests"])
def test_a_password_derives_to_the_frozen_keys(vector: dict[str, Any]) -> None:
    """Derivation, at its full cost, gives what a second implementation gave."""
    binding = Binding(vector["realm"], vector["email"], bytes.fromhex(vector["seed"]))
    keys = crypto.derive(vector["password"], binding)
    assert keys.login == vector["login"]
    assert keys.encryption.hex() == vector["encryption"]
    assert keys.mac.hex() == vector["mac"]


@pytest.mark.promise("S-3", "T-3")
def test_every_part_of_the_binding_changes_every_key() -> None:
    """No server can use another's seed, and no account another's password."""
    seed = bytes(range(32))
    bindings = [
        Binding("https://a.example.com", "alice@example.com", seed),
        Binding("https://b.example.com", "alice@example.com", seed),
        Binding("https://a.example.com", "bob@example.com", seed),
        Binding("https://a.example.com", "alice@example.com", bytes(31) + b"\x01"),
        Binding("https://a.example.comalice", "@example.com", seed),
    ]
    derived = [crypto.derive("one password", binding) for binding in bindings]
    derived.append(crypto.derive("another password", bindings[0]))
    secrets = {secret for keys in derived for secret in (keys.login, keys.encryption, keys.mac)}
    assert len(secrets) == 3 * len(derived)


@named(ENVELOPE["valid"])
def test_a_frozen_envelope_opens(vector: dict[str, Any]) -> None:
    """What a second implementation sealed opens to what it sealed, and has the digest that it says."""
    opened = unseal(vector)
    assert opened.plaintext.hex() == vector["plaintext"]
    assert (opened.epoch, opened.previous.hex()) == (vector["epoch"], vector["previous"])
    digest = wallet_digest(vector["sequence"], vector["encryptedWallet"], vector["hmac"])
    assert digest.hex() == vector["digest"]


@named(ENVELOPE["valid"])
def test_sealing_gives_the_frozen_envelope(vector: dict[str, Any]) -> None:
    """With the same random bytes, sealing gives the same envelope to the last byte."""
    sealed = crypto._seal_with_random(
        *account(vector),
        vector["epoch"],
        vector["sequence"],
        bytes.fromhex(vector["previous"]),
        bytes.fromhex(vector["plaintext"]),
        bytes.fromhex(vector["random"]),
    )
    assert (sealed.encrypted_wallet, sealed.hmac) == (vector["encryptedWallet"], vector["hmac"])


@pytest.mark.promise("T-2")
@named(ENVELOPE["invalid"])
def test_an_envelope_with_one_fault_is_refused(vector: dict[str, Any], aead_calls: list[str]) -> None:
    """Each negative vector has one fault; all are refused alike, and unauthenticated ones before the AEAD."""
    with pytest.raises(BadWallet) as refused:
        unseal(vector)
    assert str(refused.value).startswith("The server presented a wallet that is not authentic")
    assert refused.value.__cause__ is None
    if not vector["name"].startswith("authenticated"):
        assert not aead_calls


@pytest.mark.promise("S-2", "T-10")
def test_every_flipped_bit_is_refused_before_the_aead(aead_calls: list[str]) -> None:
    """Flip any bit of a wallet of 1 KiB, as it travels or within its base64, or of its HMAC: the HMAC refuses it."""
    vector = kibibyte()
    wallet, hmac = vector["encryptedWallet"], vector["hmac"]
    changes: list[dict[str, Any]] = [
        *({"encryptedWallet": text.decode("latin-1")} for text in flipped(wallet.encode())),
        *({"encryptedWallet": base64.b64encode(raw).decode()} for raw in flipped(base64.b64decode(wallet))),
        *({"hmac": text.decode("latin-1")} for text in flipped(hmac.encode())),
        *({"hmac": raw.hex()} for raw in flipped(bytes.fromhex(hmac))),
        *({"sequence": sequence} for sequence in (7 ^ 1 << bit for bit in range(32))),
    ]
    assert refused(vector, changes, aead_calls) > 8 * (1024 + 768)


@pytest.mark.promise("S-2", "T-10")
def test_every_truncation_is_refused_before_the_aead(aead_calls: list[str]) -> None:
    """Cut a wallet of 1 KiB, its decoded bytes or its HMAC anywhere, at either end: the HMAC refuses it."""
    vector = kibibyte()
    wallet, hmac = vector["encryptedWallet"], vector["hmac"]
    raw = base64.b64decode(wallet)
    changes = [
        *({"encryptedWallet": part} for at in range(1, len(wallet)) for part in (wallet[:at], wallet[at:])),
        *({"encryptedWallet": base64.b64encode(raw[:length]).decode()} for length in range(len(raw))),
        *({"hmac": part} for at in range(len(hmac)) for part in (hmac[:at], hmac[at + 1 :])),
    ]
    assert refused(vector, changes, aead_calls) > 1024 + 768


@pytest.mark.promise("T-10")
def test_another_spelling_of_the_same_bytes_is_refused_before_the_aead(aead_calls: list[str]) -> None:
    """One wallet has one form: what a lenient decoder would take for the same is another one."""
    vector = ENVELOPE["valid"][1]
    wallet, hmac = vector["encryptedWallet"], vector["hmac"]
    assert wallet.endswith("=")
    assert set(wallet) & set("+/")
    unpadded = wallet.rstrip("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    sibling = unpadded[:-1] + alphabet[alphabet.index(unpadded[-1]) | 1] + "=" * (len(wallet) - len(unpadded))
    assert base64.b64decode(sibling) == base64.b64decode(wallet)
    spellings = [
        *(sibling, unpadded, f"{wallet}=", f"{wallet}\n", f" {wallet}", f"{wallet[:76]}\n{wallet[76:]}"),
        wallet.translate(str.maketrans("+/", "-_")),
    ]
    changes = [
        *({"encryptedWallet": each} for each in spellings),
        *({"hmac": each} for each in (hmac.upper(), f"{hmac} ", f"0x{hmac}", f"{hmac[:32]} {hmac[32:]}")),
    ]
    assert refused(vector, changes, aead_calls) == len(changes)


@pytest.mark.untraced  # far more steps than others
@pytest.mark.promise("S-3", "T-10")
def test_random_blobs_are_refused_before_the_aead(aead_calls: list[str]) -> None:
    """100,000 wallets that nobody sealed: noise, noise in base64, behind a true header, with a true or any HMAC."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    vector = kibibyte()
    header = base64.b64decode(vector["encryptedWallet"])[:81]

    def blob() -> dict[str, Any]:
        noise = chance.randbytes(chance.randrange(1, 1536))
        match chance.randrange(4):
            case 0:
                wallet = noise.decode("latin-1")
            case 1:
                wallet = base64.b64encode(noise).decode()
            case 2:
                wallet = base64.b64encode(header + noise).decode()
            case _:
                wallet = vector["encryptedWallet"]
        hmac = chance.randbytes(32).hex() if chance.randrange(2) or wallet == vector["encryptedWallet"] else None
        return {"encryptedWallet": wallet, "hmac": hmac or vector["hmac"]}

    assert refused(vector, (blob() for _ in range(100_000)), aead_calls) == 100_000


def test_what_is_sealed_opens_again() -> None:
    """Any plaintext of any length comes back, under a fresh key each time."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    keys, binding = account({})
    for length in [*range(40), *(chance.randrange(5000) for _ in range(60))]:
        plaintext = chance.randbytes(length)
        about: dict[str, Any] = {"epoch": 1, "sequence": chance.randint(1, 2**32 - 1), "previous": NO_PREVIOUS}
        sealed = crypto.seal(keys, binding, plaintext=plaintext, **about)
        again = crypto.seal(keys, binding, plaintext=plaintext, **about)
        assert sealed != again
        opened = crypto.unseal(
            keys,
            binding,
            sequence=about["sequence"],
            encrypted_wallet=sealed.encrypted_wallet,
            hmac=sealed.hmac,
        )
        assert (opened.plaintext, opened.previous, opened.epoch) == (plaintext, NO_PREVIOUS, 1)


@pytest.mark.promise("S-16")
def test_padding_follows_padme() -> None:
    """Sizes are those of the paper: few of them, at most 12 % above the length."""
    for length, padded in vectors("padme")["tests"]:
        assert crypto.padded_length(length) == padded
    assert all(n <= crypto.padded_length(n) <= 1.12 * n + 1 for n in range(2, 5000))
    assert len({crypto.padded_length(n) for n in range(65536, 131073)}) == 33


def test_no_repr_shows_a_secret() -> None:
    """Keys, a seed or a plaintext do not get into a log by being printed."""
    keys, binding = account({})
    opened = unseal(ENVELOPE["valid"][1])
    shown = f"{keys!r} {binding!r} {opened!r}"
    for secret in (keys.encryption, keys.mac, binding.seed, opened.plaintext):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_seeds_are_fresh() -> None:
    """Each new account has a seed of its own, of 32 bytes."""
    seeds = {crypto.new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(seed) for seed in seeds} == {crypto.SEED_BYTES}
