"""From an error to an exit code, a sentence and a hint: what to type next."""

from typing import Any

import click

from walletsync import errors
from walletsync.walletfile import WalletFileError

FAILED, USAGE, NETWORK, REFUSED, INTEGRITY, FILE, BUSY, CONFLICTS = 1, 2, 3, 4, 5, 6, 7, 8

EXIT_CODES = (
    "Exit status: 0 done; 1 failed; 2 called wrongly, or an earlier step is missing; 3 the server cannot be reached, "
    "or asks to come back later; 4 the server refused, or the password is wrong; 5 what the server presents cannot be "
    "trusted; 6 the wallet's file cannot be used; 7 another process is at work on this wallet; 8 conflicts wait for a "
    "decision (conflicts, and sync --check-conflicts)."
)

_CODES: tuple[tuple[type[errors.WalletSyncError], int], ...] = (
    (errors.DocumentError, FILE),
    (WalletFileError, FILE),
    (errors.WrongPassword, REFUSED),
    (errors.UsageError, USAGE),
    (errors.ServerUnreachable, NETWORK),
    (errors.RetryLater, NETWORK),
    (errors.ServerError, REFUSED),
    (errors.ProtocolError, INTEGRITY),
    (errors.IntegrityError, INTEGRITY),
    (errors.StoreLocked, BUSY),
    (errors.StoreError, FILE),
)
_HINTS: tuple[tuple[type[errors.WalletSyncError], str], ...] = (
    (errors.SeedChanged, "if you changed the password on another device: walletsync login --new-password"),
    (errors.WrongPassword, "if you changed the password on another device: walletsync login --new-password"),
    (errors.WrongCredentials, "walletsync login asks for the password again; walletsync register makes an account"),
    (errors.Unauthorized, "walletsync login"),
    (errors.NotVerified, "open the link in the mail, then: walletsync login"),
    (errors.AccountExists, "walletsync login"),
    (errors.UnsyncedEdits, "walletsync sync"),
    (errors.PasswordUnchanged, "walletsync sync, then change the password again"),
    (errors.NotReady, "walletsync login, or walletsync sync"),
    (errors.NoWallet, "walletsync sync makes the first version from the wallet's file"),
    (errors.RollbackDetected, "if the server was restored from a backup: walletsync sync --accept-restored-server"),
    (errors.ForkDetected, "compare on both devices: walletsync fingerprint"),
    (errors.StoreLocked, "stop the other one, walletsync watch perhaps, or wait until it is done"),
)


class Failure(click.ClickException):
    """Ends a command with a sentence, perhaps a hint, and an exit code."""

    def __init__(self, sentence: str, *, code: int, hint: str | None = None) -> None:
        super().__init__(sentence)
        self._code = code
        self._hint = hint

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click has it as an attribute of the class
        """What the command ends with."""
        return self._code

    def show(self, file: Any = None) -> None:
        """Write it to stderr."""
        click.echo(f"error: {self.format_message()}", err=True)
        if self._hint is not None:
            click.echo(f"hint: {self._hint}", err=True)


def failure(error: errors.WalletSyncError) -> Failure:
    """Return how a command ends that met `error`."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
    hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), None)
    return Failure(str(error), code=code, hint=hint)


class Commands(click.Group):
    """Shows commands in the order in which one needs them, and ends each by `failure` where it meets an error."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See `click.Group`."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group`."""
        try:
            return super().invoke(ctx)
        except errors.WalletSyncError as error:
            raise failure(error) from None
