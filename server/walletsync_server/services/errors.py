"""What can be wrong with a request, as the services say it.

ServiceError
├── BadRequest            the request itself makes no sense
├── UnsupportedVersion    a format of the wallet payload that this server does not know
├── TooLarge              over a limit that `.well-known` tells
├── Unauthorized          no token, or one that is not valid
├── WrongCredentials      address or password, and nobody learns which
├── NotVerified           the password is right, the address not confirmed yet
├── NotAllowed            this address may not sign up here
├── AccountDisabled       the password is right, and the operator lets nobody in
├── AccountExists         somebody signed up with this address
├── TooManyDevices        the account has as many live tokens as it may
├── UpgradeRequired       only a WebSocket makes sense here
├── NoWallet              there is nothing to read yet
├── NotFound
│   ├── NoSuchVersion     a version of the wallet that is not kept
│   └── NoSuchDevice      a device that holds no token
├── Conflict              the sequence is not the next one
├── NothingToFollow       the same, and there is no wallet that stands
├── StalePasswordChange
│   ├── SequenceUsed      another wallet came before the one of this change of the password
│   ├── WalletRequired    the account has a wallet, and the change has none
│   └── NoWalletToChange  the change has a wallet, and the account has none
├── Later                 not now; `retry_after` says when
│   ├── RateLimited       too many requests of this kind
│   ├── TooManySockets    the account has as many WebSockets as it may
│   ├── Busy              too many passwords wait to be checked
│   └── Overloaded        the server has no room for this now
└── Unavailable           the database cannot be asked

Each has a code for programs and a sentence that tells a person what to do. No sentence repeats what the client sent.
"""

import random
from typing import ClassVar

from walletsync.protocol import ErrorCode
from walletsync_server.storage.interface import Content

LEAST_PAUSE, MOST_PAUSE = 2, 8
"""Between how many seconds somebody is told to wait for the database."""


class ServiceError(Exception):
    """A refusal. `sentence` is for a person; `code` is stable."""

    code: ClassVar[ErrorCode]
    sentence: str = ""

    def __init__(self, sentence: str | None = None) -> None:
        if sentence is not None:
            self.sentence = sentence
        super().__init__(self.sentence)


class BadRequest(ServiceError):
    """The request makes no sense; the sentence says which part."""

    code = ErrorCode.BAD_REQUEST
    sentence = "The server could not make sense of this request; correct it before sending it again."


class UnsupportedVersion(ServiceError):
    """The payload has another `version`."""

    code = ErrorCode.UNSUPPORTED_VERSION
    sentence = "This server supports only version 1 of the wallet payload; send that, or leave the field out."


class TooLarge(ServiceError):
    """Over a limit."""

    code = ErrorCode.TOO_LARGE
    sentence = "This is more than the server accepts; /.well-known/walletsync lists its limits."


class Unauthorized(ServiceError):
    """No token came, or one that is unknown, expired or revoked."""

    code = ErrorCode.UNAUTHORIZED
    sentence = "This request needs a valid token; log in again to get one."


class WrongCredentials(ServiceError):
    """There is no account with this address and this password."""

    code = ErrorCode.WRONG_CREDENTIALS
    sentence = "The address or the password is wrong; check both, and that this is the right server."


class NotVerified(ServiceError):
    """A sign-up with this address and this password waits to be confirmed."""

    code = ErrorCode.NOT_VERIFIED
    sentence = "This sign-up is not confirmed yet; open the link in the mail we sent, or sign up again for another."


class NotAllowed(ServiceError):
    """The operator has not allowed this address."""

    code = ErrorCode.NOT_ALLOWED
    sentence = "This address may not sign up here; ask the operator of the server to allow it."


class AccountDisabled(ServiceError):
    """The operator has disabled this account. Only who proves its password is told."""

    code = ErrorCode.NOT_ALLOWED
    sentence = "This account is disabled; ask the operator of the server."


class AccountExists(ServiceError):
    """The address has an account with another password or seed."""

    code = ErrorCode.ACCOUNT_EXISTS
    sentence = "This address already has an account; log in instead of signing up."


class TooManyDevices(ServiceError):
    """The account has as many live tokens as it may."""

    code = ErrorCode.TOO_MANY_DEVICES
    sentence = "Too many devices are logged in to this account; log one of them out first."


class UpgradeRequired(ServiceError):
    """Only a WebSocket makes sense here, and the client asked for none, or came a way that has none."""

    code = ErrorCode.BAD_REQUEST
    sentence = "Only WebSockets are accepted here; open one, or poll the wallet where WebSockets do not get through."


class NoWallet(ServiceError):
    """The account has no wallet yet."""

    code = ErrorCode.NO_WALLET
    sentence = "This account has no wallet yet; post one with sequence 1."


class NotFound(ServiceError):
    """What the address names is not there."""

    code = ErrorCode.NOT_FOUND


class NoSuchVersion(NotFound):
    """This version of the wallet was never stored, or is kept no more."""

    sentence = "This version of the wallet is not kept; the history lists those that are."


class NoSuchDevice(NotFound):
    """No device with this name holds a live token."""

    sentence = "No device with this name is logged in to the account; the list of devices shows those that are."


class StalePasswordChange(ServiceError):
    """The change of the password does not fit the wallet that stands; nothing was changed."""


class SequenceUsed(StalePasswordChange):
    """The wallet of the change is not the next one."""

    code = ErrorCode.CONFLICT
    sentence = "The wallet has changed in the meantime, so the password stays as it was; get the wallet and try again."


class WalletRequired(StalePasswordChange):
    """The account has a wallet, and the change does not bring it under the new key."""

    code = ErrorCode.WALLET_REQUIRED
    sentence = "The account has a wallet; send it as well, encrypted with the new key."


class NoWalletToChange(StalePasswordChange):
    """The change brings a wallet, and the account has none."""

    code = ErrorCode.NO_WALLET
    sentence = "The account has no wallet; leave encryptedWallet, sequence and hmac out."


class Conflict(ServiceError):
    """The wallet was not accepted.

    `current` is the wallet that stands. `applied`: True if exactly the refused wallet was
    accepted earlier and superseded since, False if surely not, None if nobody can know any more.
    """

    code = ErrorCode.CONFLICT
    sentence = "Another device was faster; merge with the wallet in this answer and post the result."

    def __init__(self, current: Content, applied: bool | None) -> None:
        super().__init__()
        self.current = current
        self.applied = applied


class NothingToFollow(ServiceError):
    """The wallet was not accepted: it follows one that the account does not have."""

    code = ErrorCode.NO_WALLET
    sentence = "This account has no wallet yet, so the first one must have sequence 1."


class Later(ServiceError):
    """Not now. `retry_after` is in seconds, at least 1."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(self.sentence.format(in_words(retry_after)))
        self.retry_after = retry_after


class RateLimited(Later):
    """There were too many requests of this kind."""

    code = ErrorCode.RATE_LIMITED
    sentence = "There have been too many requests of this kind; try again in {}."


class TooManySockets(Later):
    """The account has as many WebSockets open as it may."""

    code = ErrorCode.RATE_LIMITED
    sentence = "This account has as many WebSockets open as it may have; close one of them, or try again in {}."

    def __init__(self) -> None:
        super().__init__(60)


class Busy(Later):
    """As many passwords wait to be checked as may."""

    code = ErrorCode.BUSY
    sentence = "The server is busy checking other passwords. Nothing was changed; try again in {}."


class Overloaded(Later):
    """There is no room for this among all that the server does."""

    code = ErrorCode.BUSY
    sentence = "The server has too much to do. Nothing was changed; try again in {}."

    def __init__(self) -> None:
        super().__init__(10)


class Unavailable(ServiceError):
    """The database could not do it. Nothing is stored; only if it failed at the very end it may be, wholly.

    `retry_after` is in seconds, another one each time, so that not all who wait come back at the same moment.
    """

    code = ErrorCode.UNAVAILABLE
    sentence = "The server's database is not available; try again later."

    def __init__(self) -> None:
        super().__init__()
        self.retry_after = random.randint(LEAST_PAUSE, MOST_PAUSE)  # noqa: S311 - no secret


def in_words(seconds: int) -> str:
    """Return a time to wait for a person, rounded up."""
    number, unit = (seconds, "second") if seconds < 100 else (-(-seconds // 60), "minute")
    return f"{number} {unit}{'' if number == 1 else 's'}"
