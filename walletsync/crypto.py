"""Suite 1: from a password to keys, and wallets in and out of their envelope. Bytes in, bytes out.

    root     = Argon2id(NFC(password), salt)        salt from the realm, the address and the account's seed
    K_login, K_enc, K_mac = HKDF-Expand(root, …)    one for the server, two that never leave the device
    envelope = header ‖ AES-256-GCM(padded plaintext), authenticated with the header and the account's binding
    hmac     = HMAC-SHA-256(K_mac, everything that says which version of whose wallet this is)

What each layer is for: the HMAC binds the envelope to realm, address, seed and sequence, so that a server can neither
swap nor renumber wallets; the AEAD keeps it secret and carries what the next version is checked against (epoch,
previous). The HMAC comes first, in constant time: nothing that it does not cover is ever decoded or decrypted.

The cost of the KDF is a constant of the suite. No server can lower it.

Sources: RFC 9106 (Argon2id), RFC 5869 (HKDF), RFC 2104 (HMAC), NIST SP 800-38D (GCM), Padmé from "Reducing Metadata
Leakage from Encrypted Files and Communication with PURBs" (2019).
"""

import base64
import binascii
import hashlib
import os
import struct
import unicodedata
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from walletsync.errors import BadWallet, NotEnoughMemory
from walletsync.protocol import length_prefixed as lp
from walletsync.remedies import Remedy

SUITE = 1
MAGIC = b"WSY1"
SEED_BYTES = 32
NO_PREVIOUS = bytes(32)
"""`previous` of the first version."""

_HEADER = struct.Struct(">4sBIQ32s32s")  # magic, suite, epoch, sequence, previous, random
_RANDOM_BYTES = 32
_ARGON2_KIB = 256 * 1024
_ARGON2_PASSES = 4
_ARGON2_LANES = 4


@dataclass(frozen=True)
class Binding:
    """Whose wallet: keys and wallets of one binding are worthless under any other.

    `realm` is the server's normalised origin and path, `email` the canonical address, `seed` 32 random bytes.
    """

    realm: str
    email: str
    seed: bytes = field(repr=False)

    @property
    def encoded(self) -> bytes:
        """The bytes that stand for it in a salt, an HMAC or associated data."""
        return lp(self.realm.encode()) + lp(self.email.encode()) + self.seed


@dataclass(frozen=True, repr=False)
class Keys:
    """What a password derives to: `login` (base64) goes to the server as the password, the 32-byte others nowhere."""

    login: str
    encryption: bytes
    mac: bytes

    def __repr__(self) -> str:
        return "Keys(<hidden>)"


@dataclass(frozen=True)
class Sealed:
    """A wallet as it travels."""

    encrypted_wallet: str
    hmac: str


@dataclass(frozen=True)
class Opened:
    """What an authentic envelope held. `previous` is the digest of the version before, zeros for the first."""

    epoch: int
    previous: bytes
    plaintext: bytes = field(repr=False)


def new_seed() -> bytes:
    """Return a fresh salt seed: 32 random bytes."""
    return os.urandom(SEED_BYTES)


def derive(password: str, binding: Binding) -> Keys:
    """Derive the three keys. Takes 256 MiB and about a second: call it once per process and account.

    Raises:
        NotEnoughMemory: they are not to be had.
    """
    normalised = unicodedata.normalize("NFC", password).encode()
    salt = hashlib.sha256(b"walletsync/1/salt" + binding.encoded).digest()[:16]
    root = _argon2id(normalised, salt)
    return Keys(
        login=base64.b64encode(_expand(root, b"walletsync/1/login")).decode(),
        encryption=_expand(root, b"walletsync/1/enc"),
        mac=_expand(root, b"walletsync/1/mac"),
    )


def seal(keys: Keys, binding: Binding, *, epoch: int, sequence: int, previous: bytes, plaintext: bytes) -> Sealed:
    """Encrypt and authenticate one version of a wallet, under a key of its own."""
    return _seal_with_random(keys, binding, epoch, sequence, previous, plaintext, os.urandom(_RANDOM_BYTES))


def unseal(keys: Keys, binding: Binding, *, sequence: int, encrypted_wallet: str, hmac: str) -> Opened:
    """Check and decrypt what a server presents as version `sequence`.

    Raises:
        BadWallet: whatever is wrong with it; which check failed is not told.
    """
    mac = _mac(keys, binding, sequence, encrypted_wallet)
    try:
        mac.verify(_bytes_of_hex(hmac))
        return _open_envelope(keys, binding, sequence, encrypted_wallet)
    except (InvalidSignature, InvalidTag, binascii.Error, struct.error, ValueError):
        raise BadWallet(
            "The server presented a wallet that is not authentic: damaged, forged, or of another account, server or "
            "password. Nothing of it was used.",
            remedy=Remedy.CHECK_PASSWORD_AND_REALM,
        ) from None


def padded_length(length: int) -> int:
    """Return the Padmé size for `length` bytes, at least 2: at most 12 % more, and few sizes to tell apart."""
    exponent = length.bit_length() - 1
    zero_bits = exponent - exponent.bit_length()
    mask = (1 << zero_bits) - 1
    return (length + mask) & ~mask


def _seal_with_random(
    keys: Keys,
    binding: Binding,
    epoch: int,
    sequence: int,
    previous: bytes,
    plaintext: bytes,
    random: bytes,
) -> Sealed:
    header = _HEADER.pack(MAGIC, SUITE, epoch, sequence, previous, random)
    aead, nonce = _message_key(keys, random)
    envelope = header + aead.encrypt(nonce, _pad(plaintext), header + binding.encoded)
    encrypted_wallet = base64.b64encode(envelope).decode()
    mac = _mac(keys, binding, sequence, encrypted_wallet)
    return Sealed(encrypted_wallet, mac.finalize().hex())


def _open_envelope(keys: Keys, binding: Binding, sequence: int, encrypted_wallet: str) -> Opened:
    envelope = base64.b64decode(encrypted_wallet, validate=True)
    if base64.b64encode(envelope).decode() != encrypted_wallet:
        raise ValueError("not the one spelling in base64")
    header, ciphertext = envelope[: _HEADER.size], envelope[_HEADER.size :]
    magic, suite, epoch, header_sequence, previous, random = _HEADER.unpack(header)
    if magic != MAGIC or suite != SUITE:
        raise ValueError("another suite")
    aead, nonce = _message_key(keys, random)
    plaintext = _unpad(aead.decrypt(nonce, ciphertext, header + binding.encoded))
    if header_sequence != sequence or epoch < 1:
        raise ValueError("header and answer differ")
    return Opened(epoch, previous, plaintext)


def _argon2id(password: bytes, salt: bytes) -> bytes:
    kdf = Argon2id(salt=salt, length=32, iterations=_ARGON2_PASSES, lanes=_ARGON2_LANES, memory_cost=_ARGON2_KIB)
    try:
        return kdf.derive(password)
    except MemoryError:
        raise NotEnoughMemory(
            f"Deriving the keys from the password takes {_ARGON2_KIB // 1024} MiB of memory for a moment, and this "
            "device does not have them free. Close other programs, or raise the limit that this one runs under."
        ) from None


def _expand(root: bytes, info: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=32, info=info).derive(root)


def _message_key(keys: Keys, random: bytes) -> tuple[AESGCM, bytes]:
    okm = HKDF(algorithm=SHA256(), length=44, salt=random, info=b"walletsync/1/message")
    material = okm.derive(keys.encryption)
    return AESGCM(material[:32]), material[32:]


def _mac(keys: Keys, binding: Binding, sequence: int, encrypted_wallet: str) -> HMAC:
    mac = HMAC(keys.mac, SHA256())
    mac.update(lp(b"wallet") + binding.encoded + sequence.to_bytes(8, "big"))
    mac.update(lp(encrypted_wallet.encode()))
    return mac


def _bytes_of_hex(text: str) -> bytes:
    """Decode lower-case hex only, so that one HMAC has one spelling."""
    decoded = bytes.fromhex(text)
    if decoded.hex() != text:
        raise ValueError("not lower-case hex")
    return decoded


def _pad(plaintext: bytes) -> bytes:
    # The marker makes the end explicit: the plaintext itself may end in zeros.
    marked = plaintext + b"\x80"
    return marked.ljust(padded_length(max(len(marked), 2)), b"\x00")


def _unpad(padded: bytes) -> bytes:
    plaintext, marker, _ = padded.rpartition(b"\x80")
    if not marker or _pad(plaintext) != padded:
        raise ValueError("not padded by this suite")
    return plaintext
