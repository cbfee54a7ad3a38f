"""From an error to an exit code, a sentence and a hint: what to type next."""

import re
from typing import Any

import click

from walletsync import errors
from walletsync.cli.wallet import FORMATS

FAILED, USAGE, NETWORK, REFUSED, INTEGRITY, FILE, BUSY, CONFLICTS = 1, 2, 3, 4, 5, 6, 7, 8

EXIT_CODES = (
    "Exit status: 0 done; 1 failed; 2 called wrongly, or an earlier step is missing; 3 the server cannot be reached, "
    "or asks to come back later; 4 the server refused, or the password is wrong; 5 what the server presents cannot be "
    "trusted; 6 the wallet's file cannot be used; 7 another process is at work on this wallet; 8 conflicts wait for a "
    "decision (sync --check-conflicts)."
)

_SERVER_FAILED = 500

_CODES: tuple[tuple[type[errors.WalletSyncError], int], ...] = (
    (errors.DocumentError, FILE),
    (errors.WalletFileError, FILE),
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
    (errors.WrongCredentials, "walletsync login asks for the password again; walletsync register makes an account"),
    (errors.Unauthorized, "walletsync login"),
    (errors.NotVerified, "open the link in the mail, then: walletsync login"),
    (errors.AccountExists, "walletsync login"),
    (errors.UnsyncedEdits, "walletsync sync"),
    (errors.PasswordUnchanged, "walletsync sync, then: walletsync password"),
    (errors.NoWallet, "make the file in the program that you use, then: walletsync sync"),
    (errors.ForkDetected, "compare on both devices: walletsync fingerprint"),
    (errors.StoreLocked, "stop the other one, walletsync watch perhaps, or wait until it is done"),
)

# The library speaks of Python. Sentences first, then what is left of names.
_PHRASES = {
    "Call set_account() with the right one; if it was changed on another device, with the new one and "
    "accept_new_password=True.": "If it was changed on another device: walletsync login --new-password.",
    "set_account() with the new one and accept_new_password=True, then sync()": "walletsync login --new-password, then "
    "walletsync sync",
    "set_account() with the password of that time, then accept_restored_server()": "walletsync sync "
    "--accept-restored-server, with the password of that time",
    "has landed: set_account() with the new password.": "has landed: type the new password.",
    "set_account() with the new password that was": "walletsync login, with the new password that was",
    "set_account() with that one, then change_password() again": "walletsync password again, with that one",
    "Whose wallet is it? Call set_account() first": "Whose wallet is it? walletsync login first",
    "set_document(), then sync(), makes the first one": "walletsync sync makes the first one from the file",
    "sync() gets it; set_document(), or new_wallet_state() for an empty one, makes the first": "walletsync sync "
    "gets it, or makes the first from the file",
    "change it with set_document()": "change the file",
    "set_document() and then keep": "edit the file and then keep",
    "let post_wallet() use up its sequence": "let walletsync push use up its sequence",
    "accept_restored_server()": "walletsync sync --accept-restored-server",
    "call get_auth_token()": "walletsync login",
    "get_auth_token()": "walletsync login",
    "as `realm=`": "as `walletsync init --realm`",
    "`realm=`": "`walletsync init --realm`",
    "pass allow_plain_http=True": "give walletsync init --allow-plain-http",
}
_CALL = re.compile(r"\b(sync|register|history|devices)\(\)")


class Failure(click.ClickException):
    """Ends a command with a sentence, perhaps a hint, and an exit code."""

    def __init__(self, sentence: str, *, code: int, hint: str | None = None) -> None:
        super().__init__(sentence)
        self._code = code
        self.hint = hint

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click has it as an attribute of the class
        """What the command ends with."""
        return self._code

    def show(self, file: Any = None) -> None:
        """Write it to stderr."""
        click.echo(f"error: {self.format_message()}", err=True)
        if self.hint is not None:
            click.echo(f"hint: {self.hint}", err=True)


def in_commands(sentence: str) -> str:
    """Return a sentence of the library with commands where it speaks of calls."""
    for phrase, words in _PHRASES.items():
        sentence = sentence.replace(phrase, words)
    return _CALL.sub(r"walletsync \1", sentence)


def is_passing(error: errors.WalletSyncError) -> bool:
    """Tell whether the same may work in a while, with nobody doing anything."""
    failed = isinstance(error, errors.ServerError) and error.status >= _SERVER_FAILED
    return failed or isinstance(error, errors.ServerUnreachable | errors.RetryLater | errors.SyncGaveUp)


def failure(error: errors.WalletSyncError) -> Failure:
    """Return how a command ends that met `error`."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
    if code == REFUSED and is_passing(error):
        code = NETWORK
    return Failure(in_commands(str(error)), code=code, hint=_hint(error))


def _hint(error: errors.WalletSyncError) -> str | None:
    """Return what to type next, None if the sentence says it all."""
    if isinstance(error, errors.OtherFormat):
        hint = "for this file, another account: move FILE.walletsync away, then: walletsync init FILE --email ADDRESS …"
        if error.format in FORMATS:  # else it is of a program that keeps a format of its own
            hint = f"for that document, another file: walletsync init ANOTHER_FILE --format {error.format} …; {hint}"
        return hint
    return next((hint for kind, hint in _HINTS if isinstance(error, kind)), None)


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
