"""The wire contract: paths, limits, error codes and the messages, as both sides type them.

The server imports this module and nothing else of the client, so it depends on nothing but msgspec. Python names are
snake_case, names on the wire camelCase; a field that a message does not know is an error.
"""

import hashlib
import re
from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Decoder

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
"""The devices that hold a token can be listed and logged out."""
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


_EMAIL_TEXT = (
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)

# What stands in `Meta` beside the limits is for readers of the document that a server makes from these types.
Email = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=254,
        description="ASCII, in lower case already: the server refuses any other spelling.",
        examples=["alice@example.com"],
        extra_json_schema={"pattern": f"^{_EMAIL_TEXT}$"},
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=1024,
        description="The derived login password, never the user's own.",
        examples=["5c7a0e9d4f2b81663d09ce57a1b4f8e2"],
    ),
]
DeviceId = Annotated[
    str, Meta(min_length=1, max_length=128, description="The device's own name for itself.", examples=["laptop"])
]
SaltSeed = Annotated[
    str,
    Meta(
        pattern=r"\A[0-9a-fA-F]{64}\Z",
        description="32 bytes in hex, from which the client salts the keys that it derives.",
        examples=["00112233445566778899aabbccddeeff" * 2],
    ),
]
Token = Annotated[
    str,
    Meta(
        pattern=r"\A[0-9a-f]{64}\Z",
        description="What a device shows instead of the password.",
        examples=["0123456789abcdef" * 4],
    ),
]
Sequence = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_SEQUENCE,
        description="Goes up by exactly one with every accepted wallet; the first wallet has 1.",
        examples=[7],
    ),
]
Hmac = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        description="Opaque to the server, made by the client over sequence and wallet.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ),
]
EncryptedWallet = Annotated[
    str,
    Meta(
        min_length=1,
        description="Opaque to the server. Its limit in bytes of UTF-8 stands in `/.well-known/walletsync`.",
        examples=["AAECAwQFBgcICQoLDA0ODw=="],
    ),
]
PayloadVersion = Annotated[
    int,
    Meta(
        description="Format of the wallet payload. Absent means 1.",
        examples=[PAYLOAD_VERSION],
        extra_json_schema={"const": PAYLOAD_VERSION},
    ),
]
"""Checked by hand where it comes in, since another version has an error code of its own."""
Time = Annotated[
    str,
    Meta(
        description="RFC 3339, in UTC.",
        examples=["2026-11-23T08:00:00Z"],
        extra_json_schema={"format": "date-time"},
    ),
]


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

    verified: Annotated[bool, Meta(description="False until the link in the mail was followed.", examples=[True])]


class LoginRequest(Message, frozen=True):
    """POST `/auth/full`."""

    email: Email
    password: Password
    device_id: DeviceId


class LoginAnswer(Message, frozen=True):
    """200 to POST `/auth/full`. `expiration` is RFC 3339, in UTC."""

    token: Annotated[str, Meta(examples=["0123456789abcdef" * 4])]
    device_id: Annotated[str, Meta(examples=["laptop"])]
    scope: Annotated[str, Meta(examples=["*"])]
    user_id: Annotated[int, Meta(examples=[4711])]
    expiration: Time | None = None


class SeedAnswer(Message, frozen=True):
    """200 to GET `/client-salt-seed`."""

    client_salt_seed: Annotated[str, Meta(examples=["00112233445566778899aabbccddeeff" * 2])]


class WalletRequest(Message, frozen=True):
    """POST `/wallet`."""

    encrypted_wallet: EncryptedWallet
    sequence: Sequence
    hmac: Hmac
    version: PayloadVersion | UnsetType = UNSET
    token: (
        Annotated[str, Meta(description="For clients that send no header.", examples=["0123456789abcdef" * 4])]
        | UnsetType
    ) = UNSET


class WalletAnswer(Message, frozen=True):
    """The current wallet: 200 to GET and POST `/wallet`."""

    encrypted_wallet: EncryptedWallet
    sequence: Sequence
    hmac: Hmac
    version: PayloadVersion = PAYLOAD_VERSION


class KeptVersion(Message, frozen=True):
    """One version in the history. `time` is RFC 3339, in UTC; `size` is the encrypted wallet's bytes of UTF-8."""

    sequence: Sequence
    time: Time
    size: Annotated[int, Meta(examples=[4096])]
    device_id: Annotated[
        str, Meta(description="Who wrote it; empty if that was a change of the password.", examples=["laptop"])
    ]


class HistoryAnswer(Message, frozen=True):
    """200 to GET `/wallet/history`: every version that is kept, the current one first."""

    versions: list[KeptVersion]


class PasswordRequest(Message, frozen=True):
    """POST `/password`. The three fields of the wallet, under the new key, come all or none."""

    email: Email
    old_password: Password
    new_password: Password
    client_salt_seed: SaltSeed
    encrypted_wallet: EncryptedWallet | UnsetType = UNSET
    sequence: Sequence | UnsetType = UNSET
    hmac: Hmac | UnsetType = UNSET
    version: PayloadVersion | UnsetType = UNSET


class PasswordAnswer(Message, frozen=True):
    """200 to POST `/password`: the new password holds, and every device is logged out."""


class Device(Message, frozen=True):
    """A device that holds a token. Both times are RFC 3339, in UTC."""

    device_id: DeviceId
    since: Time
    expiration: Time


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


class ResendAnswer(Message, frozen=True):
    """200 to POST `/verify/resend`: if a sign-up waits, a mail will come."""


class ErrorAnswer(Message, frozen=True, omit_defaults=True):
    """Any error. Only a 409 to POST `/wallet` has more than `error` and `code`.

    `applied`: true if exactly that POST was accepted earlier and superseded since, false if surely not, absent if the
    server cannot know any more. `code` is absent only in answers of other servers.
    """

    error: Annotated[str, Meta(description="A sentence for a person, which may change.", examples=["Try again."])]
    code: Annotated[str, Meta(description="Stable, for programs.", examples=["busy"])] | UnsetType = UNSET
    applied: Annotated[bool, Meta(examples=[False])] | UnsetType = UNSET
    version: PayloadVersion | UnsetType = UNSET
    encrypted_wallet: EncryptedWallet | UnsetType = UNSET
    sequence: Sequence | UnsetType = UNSET
    hmac: Hmac | UnsetType = UNSET


class Limits(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the server accepts at most: bytes of `encryptedWallet`, versions kept, devices of an account."""

    encrypted_wallet_bytes: Annotated[int, Meta(examples=[MAX_WALLET_BYTES])]
    kept_versions: Annotated[int, Meta(examples=[KEPT_VERSIONS])]
    devices: Annotated[int, Meta(examples=[MAX_DEVICES])]


class WellKnown(Struct, frozen=True, kw_only=True, rename="camel"):
    """GET `/.well-known/walletsync`. Later servers may tell more, so unknown fields are ignored here, and only here."""

    name: Annotated[str, Meta(examples=["walletsync"])]
    server_version: Annotated[str, Meta(examples=["1.0.0"])]
    payload_versions: list[Annotated[int, Meta(examples=[PAYLOAD_VERSION])]]
    limits: Limits
    features: list[Annotated[str, Meta(examples=[FEATURE_WALLET_IN_ANSWERS])]]


# msgspec makes a type ready when it is first decoded, and takes the process down if two threads come at once then.
for _message in (*Message.__subclasses__(), WellKnown):
    Decoder(_message)


_EMAIL = re.compile(_EMAIL_TEXT)


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
    raise ValueError("this is not an e-mail address of the form name@example.com, in ASCII letters")


def length_prefixed(data: bytes) -> bytes:
    """Return `lp(data)`: its length as 32 bits, big-endian, then `data`. Keeps neighbours in a hash apart."""
    return len(data).to_bytes(4, "big") + data


def wallet_digest(sequence: int, encrypted_wallet: str, hmac: str) -> bytes:
    """Return the SHA-256 that names a version of a wallet: the `ETag`, and `previous` in the version after it."""
    digest = hashlib.sha256(length_prefixed(sequence.to_bytes(8, "big")))
    digest.update(length_prefixed(encrypted_wallet.encode()))
    digest.update(length_prefixed(hmac.encode()))
    return digest.digest()
