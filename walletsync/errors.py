"""Everything that the client raises.

WalletSyncError
├── UsageError                 the call cannot work as it is; nothing was sent
│   ├── InvalidAddress         not an e-mail address in its canonical form
│   ├── InvalidServerURL       not the URL of a server, or plain http off loopback
│   ├── DocumentError          the document is not one of its format
│   │   └── OtherFormat        the wallet holds one of another format, `format`
│   ├── WrongPassword          it does not open the wallet that this device has
│   ├── WalletTooLarge         the encrypted wallet is over the server's limit
│   ├── NotReady               an earlier step is missing; the remedy names it
│   ├── NewPasswordNeeded      the server has an earlier password again: nothing is encrypted under that one
│   ├── DeletionsUnconfirmed   a decision would take away much, and nobody has confirmed that
│   ├── UnsyncedEdits          the device has edits that no version has yet
│   └── UnrelatedWallet        the file and the account's wallet have next to nothing in common
├── ServerUnreachable          no answer: nothing is known of what the server did
│   ├── ServerNameUnknown      no address is known for the server's name
│   ├── ConnectionRefused      the machine is there, and nothing listens on it
│   └── CertificateUntrusted   whoever answers cannot prove to be this server
├── NotEnoughMemory            deriving keys takes 256 MiB, which were not to be had
├── ServerError                the server answered with an error (`status`, `code`)
│   ├── Unauthorized           the token is missing, expired or revoked
│   ├── WrongCredentials       the server does not take this address and password
│   ├── NotVerified            the address is not confirmed yet
│   ├── AccountExists          the address is taken
│   ├── NotAllowed             the server does not let this address sign up, or has disabled the account
│   ├── NoWallet               the account has no wallet yet
│   ├── NotOffered             it has no such thing as histories, or lists of devices; the rest works
│   ├── NotKept                the version, or the device, is not among those that the server lists
│   ├── PasswordUnchanged      the server has another wallet than this device, so the old password holds
│   └── RetryLater             not now; `retry_after` says when
├── ProtocolError              the answer is not what the protocol says; nothing of it was used
├── SyncGaveUp                 the server answered every try with a conflict
├── IntegrityError             what the server presents cannot be trusted; local state is untouched
│   ├── BadWallet              forged, damaged, or of another account, server or password
│   ├── SeedChanged            the salt seed of a known account has changed
│   ├── RollbackDetected       an older wallet than one seen before, or none at all
│   └── ForkDetected           a wallet that does not descend from the one seen before
│       └── NamesakeDetected   because another device writes under this one's name
├── WalletFileError            the wallet's file, which other programs write as well, cannot be read or written
├── BridgeError                the wallet's program, asked for its labels, does not answer, or not about this wallet
│   └── BridgeRefused          it answers that it does not do what it is asked
└── StoreError                 the device's file
    ├── StoreLocked            another process has it open
    └── StoreUnusable          not a store, damaged, or of another account or version

Each has a `message`, which is a sentence or more, and perhaps a `remedy`, a value of `walletsync.remedies.Remedy`: what
can be done about it. One about an answer has its `request_id`, by which whoever runs the server finds it in the log, if
it came with one. The cause of a `ServerUnreachable` is kept, without the request, which has secrets. Each can be copied
and pickled.
"""

from typing import Any

from typing_extensions import override

from walletsync.remedies import Remedy


class WalletSyncError(Exception):
    """Base of all.

    `message` says in plain sentences what is wrong, `remedy` what can be done about it, None where the message says it
    or there is nothing to do. `str()` has both, for a programmer. Neither holds a secret. `request_id` is the answer's
    `X-Request-Id`: 16 to 36 hexadecimal digits or hyphens, whatever the server sent; None without an answer.
    """

    def __init__(self, message: str, *, remedy: Remedy | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.request_id: str | None = None

    def __str__(self) -> str:
        return self.message if self.remedy is None else f"{self.message} {self.remedy.value}"

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        # Not by calling the class, as exceptions do by default: some have arguments without a default.
        return _remade, (type(self), self.message), self.__dict__


def _remade(kind: type[WalletSyncError], message: str) -> WalletSyncError:
    return kind.__new__(kind, message)


class UsageError(WalletSyncError, ValueError):
    """The call cannot work as it is; nothing was sent and nothing changed."""


class InvalidAddress(UsageError):
    """Not an e-mail address in its canonical form."""


class InvalidServerURL(UsageError):
    """Not the URL of a server, or plain http off loopback."""


class DocumentError(UsageError):
    """The document is not one of its format."""


class OtherFormat(DocumentError):
    """The wallet holds a document of another format than the client was made for; `format` is that one's name."""

    def __init__(self, message: str, *, format: str) -> None:
        super().__init__(message, remedy=Remedy.USE_ITS_FORMAT)
        self.format = format

    @classmethod
    def between(cls, found: str, wanted: str, *, wallet: str = "The wallet") -> "OtherFormat":
        """Return the error for a wallet of a format that was found where another one was wanted."""
        return cls(
            f"{wallet} holds a document of the format {found!r}, and this client was made for {wanted!r}. Nothing was "
            "changed.",
            format=found,
        )


class WrongPassword(UsageError):
    """The password does not open the wallet that this device has."""


class WalletTooLarge(UsageError):
    """The encrypted wallet is over the server's limit."""


class NotReady(UsageError):
    """An earlier step is missing; the remedy names it."""


class NewPasswordNeeded(UsageError):
    """The server has a password again that was changed since: nothing is encrypted under that one any more."""


class DeletionsUnconfirmed(UsageError):
    """A decision would take away much, and nobody has confirmed that; nothing was decided."""


class UnsyncedEdits(UsageError):
    """The device has edits that no version has: they would be left behind."""


class UnrelatedWallet(UsageError):
    """A file that the account has not met before has next to nothing of its wallet: it may be another wallet's."""


class ServerUnreachable(WalletSyncError):
    """No answer came: the server may or may not have done what it was asked."""


class ServerNameUnknown(ServerUnreachable):
    """No address is known for the server's name: it is misspelled, or this device has no network."""


class ConnectionRefused(ServerUnreachable):
    """The machine is there, and nothing listens on it: the server does not run, or on another port."""


class CertificateUntrusted(ServerUnreachable):
    """Whoever answers cannot prove to be this server, so nothing was sent."""


class NotEnoughMemory(WalletSyncError):
    """Deriving keys takes more memory than there is."""


class ServerError(WalletSyncError):
    """The server answered with an error.

    `status` is the HTTP status, `code` one of `walletsync.protocol.ErrorCode`, None if neither code nor status tells.
    """

    def __init__(self, message: str, *, status: int, code: str | None = None, remedy: Remedy | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.code = code


class Unauthorized(ServerError):
    """The token is missing, expired or revoked."""


class WrongCredentials(ServerError):
    """The server does not take this address and password."""


class NotVerified(ServerError):
    """The address is not confirmed yet."""


class AccountExists(ServerError):
    """The address is taken."""


class NotAllowed(ServerError):
    """The server does not let this address sign up; or the password is right, and the account is disabled."""


class NoWallet(ServerError):
    """The account has no wallet yet."""


class NotOffered(ServerError):
    """The server has nothing of that kind, as one of other people's may not; the rest works."""


class NotKept(ServerError):
    """The version, or the device, is not among those that the server lists."""


class PasswordUnchanged(ServerError):
    """The server has another wallet than this device, so it did not change the password."""


class RetryLater(ServerError):
    """The server has too much to do, or was asked too often; `retry_after` is how many seconds to wait, at least 1."""

    def __init__(self, message: str, *, status: int, code: str | None = None, retry_after: int) -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after


class ProtocolError(WalletSyncError):
    """The answer is not what the protocol says; nothing of it was used."""


class SyncGaveUp(WalletSyncError):
    """The server answered every try with a conflict; the local changes are kept."""


class IntegrityError(WalletSyncError):
    """What the server presents cannot be trusted; the local state is untouched."""


class BadWallet(IntegrityError):
    """Forged, damaged, or of another account, server or password: one class, so that it tells an attacker nothing."""


class SeedChanged(IntegrityError):
    """The server presents a different salt seed than the one that this device knows for the account."""


class RollbackDetected(IntegrityError):
    """The server presents an older wallet than one that this device has seen, or none at all."""


class ForkDetected(IntegrityError):
    """The server presents a wallet that does not descend from the one that this device has seen."""


class NamesakeDetected(ForkDetected):
    """The wallet has a write under this device's name that it did not make: it is not the only one with that name, or
    has forgotten what it wrote, as a copy of it has."""


class WalletFileError(WalletSyncError):
    """The wallet's file cannot be read or written; it is as it was."""


class BridgeError(WalletSyncError):
    """The wallet's program does not answer, or not about this wallet; nothing was taken from it."""


class BridgeRefused(BridgeError):
    """The wallet's program answers that it does not do what it is asked; `code` says why, None if it gave none."""

    def __init__(self, message: str, *, remedy: Remedy | None = None, code: int | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


class StoreError(WalletSyncError):
    """Something is wrong with the file of the device's state."""


class StoreLocked(StoreError):
    """Another process has the file open."""


class StoreUnusable(StoreError):
    """Not a store, damaged, written by another version, or of another account."""
