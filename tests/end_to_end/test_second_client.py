"""The pages about protocol and cryptography are enough: a client written from them alone works with ours."""

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import second_client as second
from tests.end_to_end.second_client import Account, Fork, Json, Refused, Rollback, SecondClient
from tests.insides import known_of
from walletsync import Client, compression
from walletsync.payload import Payload
from walletsync.results import OutOfDate
from walletsync_server.testing import RunningServer

VECTORS = Path(__file__).parents[1] / "vectors"
VERSIONS = ("first", "second", "late", "third", "rekeyed", "restored")


def vectors(name: str) -> Json:
    loaded: Json = json.loads((VECTORS / f"{name}.json").read_text())
    return loaded


WALK = vectors("walkthrough")
ENVELOPE = vectors("suite1_envelope")
HISTORY = vectors("suite1_history")
COMPRESSION = vectors("suite1_compression")


def account_of(fields: Json) -> Account:
    bound = second.binding(fields["realm"], fields["email"], bytes.fromhex(fields["seed"]))
    return Account(bound, bytes.fromhex(fields["encryption"]), bytes.fromhex(fields["mac"]))


def test_it_has_nothing_of_ours() -> None:
    """It imports the standard library and `cryptography`, so what it can do, the pages say."""
    source = Path(second.__file__).read_text()
    assert not re.search(r"^\s*(from|import) (walletsync|walletsync_server|tests)\b", source, re.MULTILINE)


@pytest.mark.parametrize(
    "fields", [WALK["account"], WALK["newAccount"], *vectors("suite1_derive")["tests"]], ids=lambda f: f["password"]
)
def test_it_derives_the_same_keys(fields: Json) -> None:
    """From password, realm, address and seed, at the suite's full cost."""
    bound = second.binding(fields["realm"], fields["email"], bytes.fromhex(fields["seed"]))
    assert fields.get("binding", bound.hex()) == bound.hex()
    keys = second.derive(fields["password"], bound)
    assert {"salt": keys.salt.hex(), "root": keys.root.hex(), "login": keys.login} == {
        name: fields[name] for name in ("salt", "root", "login")
    }
    assert (keys.encryption.hex(), keys.mac.hex()) == (fields["encryption"], fields["mac"])


@pytest.mark.parametrize("name", VERSIONS)
def test_it_makes_every_version_of_the_walkthrough_again_and_opens_it(name: str) -> None:
    """Byte for byte, with every step in between."""
    vector = WALK[name]
    account = account_of(WALK["newAccount" if name == "rekeyed" else "account"])
    plaintext = second.plaintext_of(json.loads(vector["about"]), vector["document"].encode())
    assert plaintext.hex() == vector["plaintext"]
    assert second.pad(plaintext).hex() == vector["padded"]
    random, previous = bytes.fromhex(vector["random"]), bytes.fromhex(vector["previous"])
    key, nonce = second.message_key(account.encryption, random)
    assert (key.hex(), nonce.hex()) == (vector["key"], vector["nonce"])
    sealed = second.seal(
        account,
        epoch=vector["epoch"],
        sequence=vector["sequence"],
        previous=previous,
        plaintext=plaintext,
        random=random,
    )
    travels = {field: vector[field] for field in ("encryptedWallet", "sequence", "hmac")}
    assert sealed == travels
    authenticated = second.authenticated(account.bound, vector["sequence"], vector["encryptedWallet"])
    assert authenticated.hex() == vector["authenticated"]
    version, document = second.open_version(account, travels)
    assert (version["digest"], version["epoch"]) == (vector["digest"], vector["epoch"])
    assert document.decode() == vector["document"]


@pytest.mark.parametrize("vector", COMPRESSION["valid"], ids=lambda vector: vector["name"])
def test_it_unpacks_what_is_compressed(vector: Json) -> None:
    """And what is not, and makes itself what our client unpacks."""
    about, rest = taken_apart(vector["plaintext"])
    assert second.document_in(about, rest).decode() == vector["document"]
    about.pop("compression", None)
    document = vector["document"].encode()
    assert Payload.decode(second.plaintext_of(about, document)).document == document


@pytest.mark.parametrize("vector", COMPRESSION["invalid"], ids=lambda vector: vector["name"])
def test_it_refuses_what_is_badly_compressed(vector: Json) -> None:
    """Cut off, with more behind it, of another kind, or damaged."""
    with pytest.raises(Refused):
        second.document_in(*taken_apart(vector["plaintext"]))


@pytest.mark.parametrize("more", [0, 1])
def test_it_refuses_a_bomb(more: int) -> None:
    """A document of the largest size is taken, a larger one is not."""
    largest = compression.MAX_DOCUMENT_BYTES
    bomb = zlib.compress(bytes(largest + more), 1)
    if more:
        with pytest.raises(Refused):
            second.document_in({"compression": "zlib"}, bomb)
    else:
        assert len(second.document_in({"compression": "zlib"}, bomb)) == largest


def taken_apart(plaintext: str) -> tuple[Json, bytes]:
    data = bytes.fromhex(plaintext)
    size = 4 + int.from_bytes(data[:4], "big")
    return json.loads(data[4:size]), data[size:]


def test_it_makes_the_fingerprint() -> None:
    """The thirty digits that people compare."""
    version, _ = second.open_version(account_of(WALK["account"]), WALK["third"])
    made = second.fingerprint(WALK["account"]["realm"], WALK["account"]["email"], second.known_by(version))
    assert made == WALK["fingerprint"]["digits"]


def test_the_walkthrough_is_a_history() -> None:
    """Each version continues the one before, also with another seed and after a restore; the late one does not."""
    tablet: Json | None = None
    for name in ("first", "second"):
        tablet = known_after(tablet, name)
    with pytest.raises(Fork):
        known_after(tablet, "late")
    tablet = known_after(tablet, "third")
    with pytest.raises(Rollback):
        known_after(tablet, "late")
    shown_late = known_after(known_after(None, "first"), "late")
    with pytest.raises(Fork):
        known_after(shown_late, "third")
    assert known_after(tablet, "restored")["restores"]
    rekeyed, _ = second.open_version(account_of(WALK["newAccount"]), WALK["rekeyed"])
    assert second.is_news(tablet, rekeyed, "tablet", other_seed=True)
    with pytest.raises(Fork):
        second.is_news(tablet, rekeyed, "tablet")


def known_after(known: Json | None, name: str) -> Json:
    version, _ = second.open_version(account_of(WALK["account"]), WALK[name])
    assert second.is_news(known, version, "tablet")
    return second.known_by(version)


@pytest.mark.parametrize("vector", ENVELOPE["valid"], ids=lambda vector: vector["name"])
def test_it_makes_the_frozen_envelopes_again(vector: Json) -> None:
    """Byte for byte, and opens them."""
    account = account_of(ENVELOPE["account"])
    sealed = second.seal(
        account,
        epoch=vector["epoch"],
        sequence=vector["sequence"],
        previous=bytes.fromhex(vector["previous"]),
        plaintext=bytes.fromhex(vector["plaintext"]),
        random=bytes.fromhex(vector["random"]),
    )
    assert sealed == {name: vector[name] for name in ("encryptedWallet", "sequence", "hmac")}
    assert second.digest_of(vector["sequence"], sealed["encryptedWallet"], sealed["hmac"]) == vector["digest"]
    assert second.open_sealed(account, vector)[2].hex() == vector["plaintext"]


@pytest.mark.promise("T-2")
@pytest.mark.parametrize("vector", ENVELOPE["invalid"], ids=lambda vector: vector["name"])
def test_it_refuses_every_fault(vector: Json) -> None:
    """The order of the checks, as the page has it, leaves no gap."""
    with pytest.raises(Refused):
        second.open_sealed(account_of(ENVELOPE["account"] | vector), vector)


@pytest.mark.parametrize("case", HISTORY["cases"], ids=lambda case: case["name"])
def test_it_judges_histories_as_we_do(case: Json) -> None:
    """News, the same, a rollback, a fork, or a contradiction."""
    version, _ = second.open_version(account_of(HISTORY["account"]), case)
    errors = {"rollback": Rollback, "fork": Fork, "contradiction": Refused}
    if case["expected"] in errors:
        with pytest.raises(errors[case["expected"]]) as caught:
            second.is_news(HISTORY["known"], version, HISTORY["device"])
        assert type(caught.value) is errors[case["expected"]]
    else:
        assert second.is_news(HISTORY["known"], version, HISTORY["device"]) == (case["expected"] == "news")


@pytest.mark.real_kdf
def test_both_clients_share_an_account(running_server: RunningServer, address: Callable[[], str]) -> None:
    """Each reads what the other wrote, through a conflict and a change of the password, and neither sees a fork."""
    email, password, new = address(), "correct horse battery staple", "nine lions in a green boat"
    theirs = SecondClient(running_server.url, email, password, "second")
    theirs.sign_up()
    theirs.log_in()
    assert theirs.post({"labels": {"tx1": "rent"}})
    with Client(running_server.url, device_id="ours") as ours:
        ours.set_account(email, password)
        ours.sync()
        assert ours.get_document() == {"labels": {"tx1": "rent"}}
        ours.set_document({"labels": {"tx1": "rent", "tx2": "coffee"}})
        ours.sync()
        assert not theirs.post({"labels": {"tx1": "rent, May"}})
        assert theirs.document == {"labels": {"tx1": "rent", "tx2": "coffee"}}
        assert theirs.post({"labels": {"tx1": "rent, May", "tx2": "coffee"}})
        ours.sync()
        assert ours.get_document() == theirs.document
        assert len(known_of(ours).entries["second"].abandoned) == 1
        theirs.get()
        ours.set_document({"labels": {}})
        assert theirs.post({"labels": {"tx1": "rent, June"}})
        assert isinstance(ours.post_wallet(), OutOfDate)
        ours.set_document({"labels": {"tx3": "tea"}})
        ours.sync(on_conflict="theirs")
        theirs.get()
        assert theirs.known is not None
        assert len(theirs.known["entries"]["ours"]["abandoned"]) == 1

        theirs.change_password(new)
        theirs.log_in()
        ours.set_account(email, new, accept_new_password=True)
        ours.sync()
        ours.set_document({})
        ours.sync()
        theirs.get()
        assert theirs.document == {}
        assert theirs.known is not None
        made = second.fingerprint(running_server.url, email, theirs.known)
        assert made == str(ours.fingerprint().digits)


def test_our_change_of_the_password_reaches_it(
    running_server: RunningServer, address: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It logs in with the new password, and the wallet continues what it knows though the seed is another one."""
    monkeypatch.setattr(second, "Argon2id", cheap)
    email = address()
    with Client(running_server.url, device_id="ours") as ours:
        ours.set_account(email, "correct horse battery staple")
        ours.register()
        ours.set_document({"a": 1})
        ours.sync()
        theirs = SecondClient(running_server.url, email, "correct horse battery staple", "second")
        theirs.log_in()
        theirs.get()
        ours.change_password("nine lions in a green boat")
        theirs.log_in("nine lions in a green boat")
        theirs.get()
        assert theirs.known is not None
        assert (theirs.document, theirs.known["epoch"], theirs.known["sequence"]) == ({"a": 1}, 2, 2)


def cheap(*, salt: bytes, length: int, iterations: int, lanes: int, memory_cost: int) -> Any:
    """What the fixture `cheap_kdf` makes of the KDF."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id(salt=salt, length=length, iterations=1, lanes=1, memory_cost=32)
