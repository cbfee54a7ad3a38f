"""What devices of the simulator may say, and what that means."""

from walletsync.errors import (
    AccountExists,
    ForkDetected,
    NewPasswordNeeded,
    NotReady,
    NoWallet,
    PasswordUnchanged,
    RollbackDetected,
    SeedChanged,
    ServerUnreachable,
    SyncGaveUp,
    Unauthorized,
    UnsyncedEdits,
    WrongCredentials,
    WrongPassword,
)

HARMLESS = (
    *(ServerUnreachable, SyncGaveUp, Unauthorized, NotReady, NoWallet, UnsyncedEdits, PasswordUnchanged),
    AccountExists,
)
"""What a device may meet although nobody did anything wrong."""
OTHER_PASSWORD = (SeedChanged, WrongPassword, WrongCredentials)
"""What it says when the password was changed; the person then types another one."""
OTHER_LINE = (RollbackDetected, ForkDetected)
"""What it says when the server was restored from a backup, or the account made anew."""
EARLIER_PASSWORD = (NewPasswordNeeded,)
"""What it says when the server has a password again that was changed since; the person then makes up a new one."""
