"""A second client, written from docs/crypto.md and docs/protocol.md alone: it shares no line with walletsync.

It is small, and does not merge; whoever uses it says what the next document is. Suite 1 is in functions, bytes in and
bytes out; `SecondClient` is one device against one server.
"""

import base64
import hashlib
import hmac
import json
import os
import struct
import unicodedata
import urllib.error
import urllib.parse
import urllib.request
import zlib
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

NO_PREVIOUS = bytes(32)
_HEADER = struct.Struct(">4sBIQ32s32s")
_MAX_DOCUMENT = 67_108_864
Json = dict[str, Any]


class Refused(Exception):
    """What a server presents cannot be used."""


class Rollback(Refused):
    """It is older than what this device knows."""


class Fork(Refused):
    """It is of another line than what this device knows."""


def lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def binding(realm: str, email: str, seed: bytes) -> bytes:
    return lp(realm.encode()) + lp(email.encode()) + seed


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out += block
    return out[:length]


@dataclass(frozen=True)
class Keys:
    salt: bytes
    root: bytes
    login: str
    encryption: bytes
    mac: bytes


def derive(password: str, bound: bytes) -> Keys:
    salt = hashlib.sha256(b"walletsync/1/salt" + bound).digest()[:16]
    kdf = Argon2id(salt=salt, length=32, iterations=4, lanes=4, memory_cost=262_144)
    root = kdf.derive(unicodedata.normalize("NFC", password).encode())
    login, encryption, mac = (hkdf_expand(root, f"walletsync/1/{use}".encode(), 32) for use in ("login", "enc", "mac"))
    return Keys(salt, root, base64.b64encode(login).decode(), encryption, mac)


def pad(plaintext: bytes) -> bytes:
    marked = plaintext + b"\x80"
    length = max(len(marked), 2)
    exponent = length.bit_length() - 1
    unit = 1 << (exponent - exponent.bit_length())
    return marked.ljust(-(-length // unit) * unit, b"\0")


def unpad(padded: bytes) -> bytes:
    end = padded.rfind(b"\x80")
    if end < 0 or pad(padded[:end]) != padded:
        raise Refused
    return padded[:end]


def message_key(encryption: bytes, random: bytes) -> tuple[bytes, bytes]:
    extracted = hmac.digest(random, encryption, "sha256")
    material = hkdf_expand(extracted, b"walletsync/1/message", 44)
    return material[:32], material[32:]


def authenticated(bound: bytes, sequence: int, encrypted_wallet: str) -> bytes:
    return lp(b"wallet") + bound + struct.pack(">Q", sequence) + lp(encrypted_wallet.encode())


def digest_of(sequence: int, encrypted_wallet: str, mac: str) -> str:
    parts = (struct.pack(">Q", sequence), encrypted_wallet.encode(), mac.encode())
    return hashlib.sha256(b"".join(map(lp, parts))).hexdigest()


@dataclass(frozen=True)
class Account:
    """The keys that make and open wallets, and what they are bound to."""

    bound: bytes
    encryption: bytes
    mac: bytes


def seal(account: Account, *, epoch: int, sequence: int, previous: bytes, plaintext: bytes, random: bytes) -> Json:
    """Return a version as it travels."""
    header = _HEADER.pack(b"WSY1", 1, epoch, sequence, previous, random)
    key, nonce = message_key(account.encryption, random)
    ciphertext = AESGCM(key).encrypt(nonce, pad(plaintext), header + account.bound)
    encrypted_wallet = base64.b64encode(header + ciphertext).decode()
    mac = hmac.digest(account.mac, authenticated(account.bound, sequence, encrypted_wallet), "sha256").hex()
    return {"encryptedWallet": encrypted_wallet, "sequence": sequence, "hmac": mac}


def open_sealed(account: Account, wallet: Json) -> tuple[int, str, bytes]:
    """Return epoch, `previous` and plaintext of a version that a server presents."""
    sequence, encrypted_wallet = wallet["sequence"], wallet["encryptedWallet"]
    expected = hmac.digest(account.mac, authenticated(account.bound, sequence, encrypted_wallet), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), wallet["hmac"].encode()):
        raise Refused
    try:
        envelope = base64.b64decode(encrypted_wallet, validate=True)
        if base64.b64encode(envelope).decode() != encrypted_wallet or len(envelope) < _HEADER.size:
            raise Refused
        header = envelope[: _HEADER.size]
        magic, suite, epoch, header_sequence, previous, random = _HEADER.unpack(header)
        if (magic, suite) != (b"WSY1", 1):
            raise Refused
        key, nonce = message_key(account.encryption, random)
        plaintext = unpad(AESGCM(key).decrypt(nonce, envelope[_HEADER.size :], header + account.bound))
    except (ValueError, InvalidTag):
        raise Refused from None
    if header_sequence != sequence or epoch < 1:
        raise Refused
    return epoch, previous.hex(), plaintext


def plaintext_of(about: Json, document: bytes) -> bytes:
    def written(about: Json) -> bytes:
        return lp(json.dumps(about, separators=(",", ":"), ensure_ascii=False).encode())

    plain = written(about) + document
    packed = written(about | {"compression": "zlib"}) + zlib.compress(document, 9)
    return packed if len(packed) < len(plain) else plain


def document_in(about: Json, rest: bytes) -> bytes:
    """Return the document that stands behind `about`."""
    if "compression" not in about:
        return rest
    if about["compression"] != "zlib":
        raise Refused
    unpacking = zlib.decompressobj()
    try:
        document = unpacking.decompress(rest, _MAX_DOCUMENT)
        if not unpacking.eof and unpacking.decompress(unpacking.unconsumed_tail, 1):
            raise Refused
    except zlib.error:
        raise Refused from None
    if not unpacking.eof or unpacking.unused_data:
        raise Refused
    return document


def open_version(account: Account, wallet: Json) -> tuple[Json, bytes]:
    """Return what a version says of itself, and its document."""
    epoch, previous, plaintext = open_sealed(account, wallet)
    size = int.from_bytes(plaintext[:4], "big")
    about = json.loads(plaintext[4 : 4 + size])
    required = about.keys() - {"restores", "abandoned", "compression"}
    if required != {"format", "device", "entries"} or 4 + size > len(plaintext):
        raise Refused
    digest = digest_of(wallet["sequence"], wallet["encryptedWallet"], wallet["hmac"])
    of_header = {"sequence": wallet["sequence"], "epoch": epoch, "previous": previous, "digest": digest}
    return {"restores": [], "abandoned": [], **about, **of_header}, document_in(about, plaintext[4 + size :])


def known_by(version: Json) -> Json:
    """Return what a device knows once it has accepted a version."""
    own = {"sequence": version["sequence"], "digest": version["digest"]}
    if version["abandoned"]:
        own["abandoned"] = version["abandoned"]
    return {
        **{name: version[name] for name in ("sequence", "digest", "epoch", "restores")},
        "entries": {**version["entries"], version["device"]: own},
    }


def cover(seen: Json, entries: Json) -> bool:
    return all(
        device in seen
        and (
            seen[device] == entry
            or (
                seen[device]["sequence"] > entry["sequence"]
                and entry["digest"] not in seen[device].get("abandoned", [])
            )
        )
        for device, entry in entries.items()
    )


def contradicts_itself(version: Json) -> bool:
    before = (version["sequence"] - 1, version["previous"])
    writes = [(entry["sequence"], entry["digest"]) for entry in version["entries"].values()]
    latest = [write for write in writes if write[0] >= before[0]]
    if version["sequence"] == 1:
        follows = version["previous"] == NO_PREVIOUS.hex() and not version["entries"]
    else:
        follows = latest == [before]
    restored = [restore["sequence"] for restore in version["restores"]]
    return not follows or restored != sorted(restored) or any(each > version["sequence"] for each in restored)


def is_news(known: Json | None, version: Json, device: str, *, other_seed: bool = False) -> bool:
    """Tell whether a version continues what is known; False if it is the same. Raises Refused."""
    if contradicts_itself(version):
        raise Refused
    if known is None:
        return True
    if (version["sequence"], version["digest"]) == (known["sequence"], known["digest"]):
        return False
    line = known["restores"][-1]["name"] if known["restores"] else ""
    if version["epoch"] >= known["epoch"] and any(
        restore["line"] == line
        and restore["entries"].get(device) == known["entries"].get(device)
        and cover(restore["entries"], known["entries"])
        for restore in version["restores"]
    ):
        return True
    if version["epoch"] < known["epoch"] or (other_seed and version["epoch"] == known["epoch"]):
        raise Rollback
    if version["sequence"] < known["sequence"]:
        raise Rollback
    if (
        version["sequence"] == known["sequence"]
        or version["restores"][: len(known["restores"])] != known["restores"]
        or (version["restores"] == known["restores"] and version["epoch"] > known["epoch"] and not other_seed)
        or version["device"] == device
        or version["entries"].get(device) != known["entries"].get(device)
        or not cover(version["entries"], known["entries"])
    ):
        raise Fork
    return True


def fingerprint(realm: str, email: str, known: Json) -> str:
    numbers = (struct.pack(">Q", known["epoch"]), struct.pack(">Q", known["sequence"]))
    parts = (realm.encode(), email.encode(), *numbers, bytes.fromhex(known["digest"]))
    digest = hashlib.sha256(b"walletsync/1/fingerprint" + b"".join(map(lp, parts))).digest()
    digits = str(int.from_bytes(digest, "big")).zfill(30)[-30:]
    return " ".join(digits[start : start + 5] for start in range(0, 30, 5))


class SecondClient:
    """One device. `document` and `known` are those of the version that it accepted last."""

    def __init__(self, url: str, email: str, password: str, device: str) -> None:
        self.document: Any = None
        self.known: Json | None = None
        self._url = url
        self._email = email
        self._password = password
        self._device = device
        self._token = ""
        self._abandoned: list[str] = []

    def sign_up(self) -> None:
        self._use(os.urandom(32))
        body = {"email": self._email, "password": self._keys.login, "clientSaltSeed": self._seed.hex()}
        self._expect(201, self._ask("POST", "/api/3/signup", body))

    def log_in(self, password: str | None = None) -> None:
        self._password = password or self._password
        query = urllib.parse.urlencode({"email": base64.b64encode(self._email.encode()).decode()})
        told = self._expect(200, self._ask("GET", f"/api/3/client-salt-seed?{query}"))["clientSaltSeed"]
        seed = bytes.fromhex(told)
        if len(seed) != 32 or not any(seed):
            raise Refused
        self._use(seed)
        body = {"email": self._email, "password": self._keys.login, "deviceId": self._device}
        self._token = self._expect(200, self._ask("POST", "/api/3/auth/full", body))["token"]

    def get(self) -> None:
        """Accept the current wallet, unless it is the known one."""
        is_current = self.known is not None and self._known_under == self._seed
        condition = {"If-None-Match": f'"{self.known["digest"]}"'} if self.known and is_current else {}
        status, answer = self._ask("GET", "/api/3/wallet", headers=condition)
        if not (status == 304 and condition):
            self._accept(self._expect(200, (status, answer)))

    def post(self, document: Any) -> bool:
        """POST a document as the next version. False: another device was faster, and its version is accepted."""
        about, epoch, previous = self._next(document)
        wallet = self._sealed(self._account, about, epoch, previous, document)
        status, answer = self._ask("POST", "/api/3/wallet", wallet)
        if status == 409:
            self._accept(answer)
            self._abandoned.append(digest_of(wallet["sequence"], wallet["encryptedWallet"], wallet["hmac"]))
            return False
        self._expect(200, (status, answer))
        assert answer == {**wallet, "version": 1}
        self._took(self._account, wallet)
        return True

    def change_password(self, password: str) -> None:
        about, epoch, previous = self._next(self.document)
        old = self._keys.login
        self._password = password
        self._use(os.urandom(32))
        wallet = self._sealed(self._account, about, epoch + 1, previous, self.document)
        body = {
            **{"email": self._email, "oldPassword": old, "newPassword": self._keys.login},
            **{"clientSaltSeed": self._seed.hex(), **wallet},
        }
        self._expect(200, self._ask("POST", "/api/3/password", body))
        self._took(self._account, wallet)

    def _use(self, seed: bytes) -> None:
        """Derive the keys that go with a seed."""
        self._seed = seed
        bound = binding(self._url, self._email, seed)
        self._keys = derive(self._password, bound)
        self._account = Account(bound, self._keys.encryption, self._keys.mac)

    def _next(self, document: Any) -> tuple[Json, int, str]:
        """Return what the next version says of itself, its epoch and its `previous`."""
        known = self.known or {"epoch": 1, "digest": NO_PREVIOUS.hex(), "entries": {}, "restores": []}
        about = {"format": "json", "device": self._device, "entries": known["entries"]}
        if known["restores"]:
            about["restores"] = known["restores"]
        own = known["entries"].get(self._device, {})
        if abandoned := list(dict.fromkeys([*own.get("abandoned", []), *self._abandoned]))[-32:]:
            about["abandoned"] = abandoned
        return about, known["epoch"], known["digest"]

    def _sealed(self, account: Account, about: Json, epoch: int, previous: str, document: Any) -> Json:
        return seal(
            account,
            epoch=epoch,
            sequence=self.known["sequence"] + 1 if self.known else 1,
            previous=bytes.fromhex(previous),
            plaintext=plaintext_of(about, json.dumps(document).encode()),
            random=os.urandom(32),
        )

    def _accept(self, wallet: Json) -> None:
        version, _ = open_version(self._account, wallet)
        other_seed = self.known is not None and self._known_under != self._seed
        if is_news(self.known, version, self._device, other_seed=other_seed):
            self._took(self._account, wallet)

    def _took(self, account: Account, wallet: Json) -> None:
        version, document = open_version(account, wallet)
        if version["format"] != "json":
            raise Refused
        self.known, self.document = known_by(version), json.loads(document)
        self._known_under = self._seed

    def _ask(
        self, method: str, path: str, body: Json | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Json]:
        data = None if body is None else json.dumps(body).encode()
        headers = (headers or {}) | ({"Authorization": f"Bearer {self._token}"} if self._token else {})
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310 - http, by the test
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http, by the test
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def _expect(self, status: int, answer: tuple[int, Json]) -> Json:
        if answer[0] != status:
            raise Refused(*answer)
        return answer[1]
