"""What the verbs of `Client` return: values that read well in a notebook's cell and hold no secret."""

from dataclasses import dataclass

from walletsync.merge import Conflict


@dataclass(frozen=True)
class Account:
    """An address at a server. `realm` is what keys are bound to: the server's origin and path, unless given."""

    email: str
    realm: str


@dataclass(frozen=True)
class Registered:
    """The account exists now. `verified` is False where the server wants the address confirmed first."""

    email: str
    verified: bool


@dataclass(frozen=True, repr=False)
class AuthToken:
    """A token, valid for `device` until `expiration` (RFC 3339, UTC; None if the server does not say)."""

    value: str
    device: str
    expiration: str | None

    def __repr__(self) -> str:
        return f"AuthToken(<hidden>, device={self.device!r}, expiration={self.expiration!r})"


@dataclass(frozen=True, repr=False)
class WalletState:
    """A version of the encrypted wallet and its sequence; 0 and "" before the first one is made."""

    sequence: int
    encrypted_wallet: str

    def __repr__(self) -> str:
        wallet = self.encrypted_wallet
        shown = f"{wallet[:6]}…{wallet[-8:]}" if wallet else ""
        return f"WalletState(sequence={self.sequence}, encrypted_wallet={shown!r})"


@dataclass(frozen=True)
class Posted:
    """The server accepted this device's wallet as version `sequence`."""

    sequence: int


@dataclass(frozen=True)
class OutOfDate:
    """The server has a later version, `latest`. It is merged already; what is left is to post again."""

    latest: int
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """The server has version `sequence`; `newer` says if it was new here, `merged` if local edits are on top.

    `conflicts` are those that this merge made; `Client.conflicts` has all that wait for a decision.
    """

    sequence: int
    newer: bool
    merged: bool = False
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True)
class PasswordChanged:
    """The new password holds. `sequence` is the version under the new key, None for an account without a wallet."""

    sequence: int | None


@dataclass(frozen=True)
class KeptVersion:
    """A version that the server keeps, as it says: when and by which device it was stored, and its size.

    Only the version itself is authenticated, when it is opened. `time` is RFC 3339, in UTC; `size` is in bytes.
    """

    sequence: int
    time: str
    size: int
    device: str


@dataclass(frozen=True)
class LoggedInDevice:
    """A device that holds a token, as the server says. Both times are RFC 3339, in UTC."""

    device: str
    since: str
    expiration: str


@dataclass(frozen=True)
class Fingerprint:
    """Two people, or two devices, that are at the same `sequence` and see the same `digits` have the same history."""

    sequence: int
    digits: str

    def __str__(self) -> str:
        return f"version {self.sequence}: {self.digits}"


@dataclass(frozen=True)
class Synced:
    """Device and server both have version `sequence`, with every edit of either in it or in `conflicts`."""

    sequence: int
    conflicts: tuple[Conflict, ...] = ()
