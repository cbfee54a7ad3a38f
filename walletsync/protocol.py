"""The wire contract: paths, limits, error codes and the messages, as both sides type them.

The server imports this module and nothing else of the client, so it depends on nothing but msgspec. Python names are
snake_case, names on the wire camelCase; a field that a message does not know is an error.
"""

import hashlib
import re
from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

API_PREFIX = "/api/3"
WELL_KNOWN_PATH = "/.well-known/walletsync"
SIGNUP_PATH = "/signup"
AUTH_PATH = "/auth/full"
SEED_PATH = "/client-salt-seed"
WALLET_PATH = "/wallet"
HISTORY_PATH = "/wallet/history"
PASSWORD_PATH = "/password"  # noqa: S105 - a path
DEVICES_PATH = "/devices"
DELETE_ACCOUNT_PATH = "/account/delete"
VERIFY_PATH = "/verify"
RESEND_PATH = "/verify/resend"
WEBSOCKET_PATH = "/websocket"

PAYLOAD_VERSION = 1
MAX_SEQUENCE = 2**32 - 1
MAX_WALLET_BYTES = 4 * 1024 * 1024
"""Default limit of `encryptedWallet`, in bytes of UTF-8; a server tells its own in `.well-known`."""
KEPT_VERSIONS = 10
MAX_DEVICES = 100
TOKEN_DAYS = 14

FEATURE_WALLET_IN_ANSWERS = "wallet-in-answers"
"""A POST is answered, 200 or 409, with the wallet that is the current one now."""
FEATURE_BEARER_TOKEN = "bearer-token"  # noqa: S105 - the name of a feature
"""The token is taken from the `Authorization` header."""
FEATURE_HISTORY = "wallet-history"
"""Earlier versions of the wallet can be listed and read."""
FEATURE_DEVICES = "devices"
"""The devices that hold a token can be listed and signed out."""
FEATURE_LIVE_UPDATES = "live-updates"
"""A WebSocket tells of new versions the moment they are stored."""


class ErrorCode(StrEnum):
    """What went wrong, for programs; the sentence beside it is for people and may change."""

    BAD_REQUEST = "bad_request"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNAUTHORIZED = "unauthorized"
    WRONG_CREDENTIALS = "wrong_credentials"
    NOT_VERIFIED = "not_verified"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NO_WALLET = "no_wallet"
    ACCOUNT_EXISTS = "account_exists"
    CONFLICT = "conflict"
    WALLET_REQUIRED = "wallet_required"
    TOO_LARGE = "too_large"
    TOO_MANY_DEVICES = "too_many_devices"
    RATE_LIMITED = "rate_limited"
    BUSY = "busy"
    INTERNAL_ERROR = "internal_error"
    UNAVAILABLE = "unavailable"


Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(min_length=8, max_length=1024)]
DeviceId = Annotated[str, Meta(min_length=1, max_length=128)]
SaltSeed = Annotated[str, Meta(pattern=r"\A[0-9a-fA-F]{64}\Z")]
Token = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Sequence = Annotated[int, Meta(ge=1, le=MAX_SEQUENCE)]
Hmac = Annotated[str, Meta(min_length=1, max_length=256)]
EncryptedWallet = Annotated[str, Meta(min_length=1)]


class Message(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A JSON object on the wire. Its repr shows nothing: most have a password, a token or a wallet in them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<hidden>)"


class SignupRequest(Message, frozen=True):
    """POST `/signup`. `password` is the derived login password, never the user's."""

    email: Email
    password: Password
    client_salt_seed: SaltSeed | UnsetType = UNSET


class SignupAnswer(Message, frozen=True):
    """201 to POST `/signup`."""

    verified: bool


class LoginRequest(Message, frozen=True):
    """POST `/auth/full`."""

    email: Email
    password: Password
    device_id: DeviceId


class LoginAnswer(Message, frozen=True):
    """200 to POST `/auth/full`. `expiration` is RFC 3339, in UTC."""

    token: str
    device_id: str
    scope: str
    user_id: int
    expiration: str | None = None


class SeedAnswer(Message, frozen=True):
    """200 to GET `/client-salt-seed`."""

    client_salt_seed: str


class WalletRequest(Message, frozen=True):
    """POST `/wallet`. `version` is checked by hand, since a wrong one has an error code of its own."""

    encrypted_wallet: EncryptedWallet
    sequence: Sequence
    hmac: Hmac
    version: int | UnsetType = UNSET
    token: str | UnsetType = UNSET


class WalletAnswer(Message, frozen=True):
    """The current wallet: 200 to GET and POST `/wallet`."""

    encrypted_wallet: EncryptedWallet
    sequence: Sequence
    hmac: Hmac
    version: int = PAYLOAD_VERSION


class KeptVersion(Message, frozen=True):
    """One version in the history. `time` is RFC 3339, in UTC; `size` is the encrypted wallet's bytes of UTF-8."""

    sequence: Sequence
    time: str
    size: int
    device_id: str


class HistoryAnswer(Message, frozen=True):
    """200 to GET `/wallet/history`: every version that is kept, the current one first."""

    versions: list[KeptVersion]


class PasswordRequest(Message, frozen=True):
    """POST `/password`. The three fields of the wallet, under the new key, come all or none. See `WalletRequest`."""

    email: Email
    old_password: Password
    new_password: Password
    client_salt_seed: SaltSeed
    encrypted_wallet: EncryptedWallet | UnsetType = UNSET
    sequence: Sequence | UnsetType = UNSET
    hmac: Hmac | UnsetType = UNSET
    version: int | UnsetType = UNSET


class PasswordAnswer(Message, frozen=True):
    """200 to POST `/password`: the new password holds, and every device is signed out."""


class Device(Message, frozen=True):
    """A device that holds a token. Both times are RFC 3339, in UTC."""

    device_id: str
    since: str
    expiration: str


class DevicesAnswer(Message, frozen=True):
    """200 to GET `/devices`."""

    devices: list[Device]


class DeleteAccountRequest(Message, frozen=True):
    """POST `/account/delete`."""

    email: Email
    password: Password


class ResendRequest(Message, frozen=True):
    """POST `/verify/resend`."""

    email: Email


class ErrorAnswer(Message, frozen=True, omit_defaults=True):
    """Any error. Only a 409 to POST `/wallet` has more than `error` and `code`.

    `applied`: true if exactly that POST was accepted earlier and superseded since, false if surely not, absent if the
    server cannot know any more. `code` is absent only in answers of other servers.
    """

    error: str
    code: str | UnsetType = UNSET
    applied: bool | UnsetType = UNSET
    version: int | UnsetType = UNSET
    encrypted_wallet: EncryptedWallet | UnsetType = UNSET
    sequence: Sequence | UnsetType = UNSET
    hmac: Hmac | UnsetType = UNSET


class Limits(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the server accepts at most: bytes of `encryptedWallet`, versions kept, devices of an account."""

    encrypted_wallet_bytes: int
    kept_versions: int
    devices: int


class WellKnown(Struct, frozen=True, kw_only=True, rename="camel"):
    """GET `/.well-known/walletsync`. Later servers may tell more, so unknown fields are ignored here, and only here."""

    name: str
    server_version: str
    payload_versions: list[int]
    limits: Limits
    features: list[str]


_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)


def canonical_email(address: str) -> str:
    """Return `address` if it is in the one form that both sides derive keys and look accounts up from.

    That form is ASCII in lower case; nothing is folded, so that two programs can never fold differently.

    Raises:
        ValueError: with a sentence that tells what to write instead, without the address in it.
    """
    if _EMAIL.fullmatch(address) and len(address) <= 254:
        return address
    if _EMAIL.fullmatch(address.lower()) and address.isascii():
        raise ValueError("write the e-mail address in lower case")
    raise ValueError("this is no e-mail address of the form name@example.com, in ASCII letters")


def length_prefixed(data: bytes) -> bytes:
    """Return `lp(data)`: its length as 32 bits, big-endian, then `data`. Keeps neighbours in a hash apart."""
    return len(data).to_bytes(4, "big") + data


def wallet_digest(sequence: int, encrypted_wallet: str, hmac: str) -> bytes:
    """Return the SHA-256 that names a version of a wallet: the `ETag`, and `previous` in the version after it."""
    digest = hashlib.sha256(length_prefixed(sequence.to_bytes(8, "big")))
    digest.update(length_prefixed(encrypted_wallet.encode()))
    digest.update(length_prefixed(hmac.encode()))
    return digest.digest()
