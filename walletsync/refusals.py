"""What it means when a server refuses: the class of the error, what it says, and what can be done.

A status means one thing where a wallet is asked for and another where a password is changed, so whoever sends a request
picks the meanings for it.
"""

from typing import NamedTuple

from walletsync import errors
from walletsync.protocol import ErrorCode
from walletsync.remedies import Remedy


class Meaning(NamedTuple):
    """An error in the making. `sentence` follows another one about the server's answer."""

    kind: type[errors.ServerError]
    sentence: str
    remedy: Remedy | None = None


UNAUTHORIZED = Meaning(errors.Unauthorized, "This device is no longer logged in.", Remedy.LOG_IN)
WRONG_CREDENTIALS = Meaning(
    errors.WrongCredentials, "It has no account with this address and password.", Remedy.CHECK_CREDENTIALS
)
NOT_VERIFIED = Meaning(errors.NotVerified, "The address has not been confirmed yet.", Remedy.CONFIRM_ADDRESS)
ACCOUNT_EXISTS = Meaning(errors.AccountExists, "There is already an account with this address.", Remedy.LOG_IN)
NOT_ALLOWED = Meaning(
    errors.NotAllowed, "It does not let this address sign up; ask whoever runs the server to allow it."
)
NO_WALLET = Meaning(errors.NoWallet, "There is no wallet yet.", Remedy.MAKE_FIRST_VERSION)
NOT_OFFERED = Meaning(
    errors.NotOffered, "It offers nothing of that kind; getting, posting and syncing work all the same."
)
NO_SUCH_VERSION = Meaning(errors.NotKept, "It does not keep this version.", Remedy.LIST_VERSIONS)
NO_SUCH_DEVICE = Meaning(errors.NotKept, "No device with this name is logged in.", Remedy.LIST_DEVICES)
PASSWORD_UNCHANGED = Meaning(
    errors.PasswordUnchanged,
    "The password is unchanged, since the server has a different wallet than this device.",
    Remedy.SYNC_AND_CHANGE_PASSWORD,
)

BY_CODE: dict[str | None, Meaning] = {
    ErrorCode.NOT_ALLOWED: Meaning(errors.NotAllowed, "It has disabled this account; ask whoever runs the server."),
    ErrorCode.TOO_LARGE: Meaning(
        errors.ServerError, "The wallet is over the server's limit; make it smaller, or ask for a higher limit."
    ),
    ErrorCode.NOT_FOUND: Meaning(
        errors.ServerError, "There is no wallet-sync server at this address; check the URL and its path."
    ),
    ErrorCode.TOO_MANY_DEVICES: Meaning(
        errors.ServerError, "The account has as many devices as it may have; tokens of unused ones expire."
    ),
    ErrorCode.BAD_REQUEST: Meaning(
        errors.ServerError, "It does not understand this client; update the older of the two."
    ),
}
"""What a code means wherever it comes."""
UNKNOWN = Meaning(errors.ServerError, "Try again later, or ask whoever runs the server.")

CHANGED_NOTHING = (400, 413)
"""Statuses that say for certain that this very request has changed nothing, and never will."""
