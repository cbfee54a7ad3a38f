"""How a command ends that meets an error: an exit code, a sentence, and a hint that says what to type next."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click
from typing_extensions import override

from walletsync import errors, exactjson
from walletsync.cli.output import addressed, wants_json
from walletsync.cli.wallet import FORMATS
from walletsync.remedies import Remedy

FAILED, USAGE, NETWORK, REFUSED, INTEGRITY, FILE, BUSY, CONFLICTS, DELETIONS = 1, 2, 3, 4, 5, 6, 7, 8, 9

EXIT_CODES = (
    "Exit status: 0 done; 1 failed; 2 called wrongly, or an earlier step is missing; 3 the server cannot be reached, "
    "or asks to come back later; 4 the server refused, or the password is wrong; 5 what the server presents cannot be "
    "trusted; 6 the wallet's file cannot be used, or its program does not answer; 7 another process is at work on this "
    "wallet; 8 conflicts wait for a decision (sync --check-conflicts); 9 done, but for deletions that wait to be "
    "confirmed."
)

_SERVER_FAILED = 500

_CODES: tuple[tuple[type[errors.WalletSyncError], int], ...] = (
    (errors.DocumentError, FILE),
    (errors.WalletFileError, FILE),
    (errors.BridgeError, FILE),
    (errors.WrongPassword, REFUSED),
    (errors.DeletionsUnconfirmed, DELETIONS),
    (errors.UsageError, USAGE),
    (errors.ServerUnreachable, NETWORK),
    (errors.RetryLater, NETWORK),
    (errors.ServerError, REFUSED),
    (errors.ProtocolError, INTEGRITY),
    (errors.IntegrityError, INTEGRITY),
    (errors.StoreLocked, BUSY),
    (errors.StoreError, FILE),
)

# The library has its own words for each of these: calls of Python.
HINTS: Mapping[Remedy, str] = MappingProxyType(
    {
        Remedy.SET_ACCOUNT: "walletsync login",
        Remedy.LOG_IN: "walletsync login",
        Remedy.CHECK_PASSWORD: (
            "type the right one; if it was changed on another device: walletsync login --new-password"
        ),
        Remedy.CHECK_CREDENTIALS: (
            "walletsync login asks for the password again; walletsync register makes an account; if the server has "
            "moved: walletsync init --realm EARLIER_URL"
        ),
        Remedy.CHECK_PASSWORD_AND_REALM: (
            "check the password; if the server has moved: walletsync init --realm EARLIER_URL"
        ),
        Remedy.CONFIRM_ADDRESS: "open the link in the mail, then: walletsync login",
        Remedy.ACCEPT_NEW_PASSWORD: (
            "if the password was changed on another device: walletsync login --new-password, then: walletsync sync; if "
            "the account was deleted: walletsync register --anew; if neither, ask whoever runs the server"
        ),
        Remedy.LIST_DEVICES: "walletsync devices lists those that are logged in",
        Remedy.ASK_ABOUT_PASSWORD_CHANGE: "walletsync login asks the server",
        Remedy.USE_NEW_PASSWORD: "type the new password",
        Remedy.USE_FIRST_NEW_PASSWORD: "walletsync login, with the new password that was given first",
        Remedy.REPEAT_PASSWORD_CHANGE: "walletsync password again, with the old one",
        Remedy.FINISH_OR_CANCEL_PASSWORD_CHANGE: (
            "type that one; or cancel the change with walletsync push, then: walletsync password"
        ),
        Remedy.SYNC_AND_CHANGE_PASSWORD: "walletsync sync, then: walletsync password",
        Remedy.JOIN_OR_USE_ANOTHER_ACCOUNT: (
            "if it is another wallet, give it a name, so that it is kept beside the one in the account: move "
            "FILE.walletsync away, then: walletsync init FILE --wallet NAME …; to make one of both: walletsync sync "
            "--join"
        ),
        Remedy.SYNC: "walletsync sync",
        Remedy.POLL: "walletsync sync from time to time",
        Remedy.GET_OR_MAKE_WALLET: "walletsync sync gets it, or makes the first version from the file",
        Remedy.MAKE_FIRST_VERSION: "make the file in the program that you use, then: walletsync sync",
        Remedy.BRING_WALLET_BACK: (
            "to have it in the account again: walletsync conflicts, if it was edited here and waits there; else edit "
            "the file, or walletsync log, then: walletsync restore SEQUENCE, of a version that had it"
        ),
        Remedy.CHANGE_DOCUMENT: "change the file, then: walletsync sync",
        Remedy.LIST_VERSIONS: "walletsync history lists those that it keeps",
        Remedy.LIST_CONFLICTS: "walletsync conflicts",
        Remedy.EDIT_AND_KEEP_THEIRS: "for any other value, edit the file, then: walletsync resolve NAME theirs",
        Remedy.USE_ITS_FORMAT: (
            "to keep this file beside it in the account: move FILE.walletsync away, then: walletsync init FILE "
            "--wallet NAME …"
        ),
        Remedy.ACCEPT_RESTORED_SERVER: (
            "if it was restored from a backup, or the account was made anew, walletsync sync --accept-restored-server "
            "goes on from there with everything that this device has"
        ),
        Remedy.CONFIRM_DELETIONS: (
            "if that shall go: walletsync resolve earlier mine --confirm-deletions; to keep it: walletsync resolve "
            "earlier theirs; walletsync conflicts --earlier lists it"
        ),
        Remedy.OPEN_IN_PROGRAM: (
            "start it, and open the wallet there; walletsync bridge status asks it again, and walletsync bridge off "
            "goes on without it"
        ),
        Remedy.CHOOSE_BRIDGE_ANEW: (
            "choose it anew, with the options of the first time: walletsync bridge bitcoin-core …; no label is deleted "
            "by that"
        ),
        Remedy.RENAME_DEVICE: (
            "walletsync rename NAME gives this one a name of its own, and keeps its edits; type it on each device that "
            "says this, the original of a copied folder too; a second file on one device is a device of its own; if "
            "there is no other device or file, and no copy of this one, ask whoever runs the server, which may show "
            "different histories to your devices"
        ),
        Remedy.COMPARE_OR_ACCEPT_RESTORED_SERVER: (
            "compare on both devices: walletsync fingerprint; if the server was restored from a backup, or the account "
            "was made anew, walletsync sync --accept-restored-server goes on from there with everything that this "
            "device has"
        ),
        Remedy.ACCEPT_EARLIER_PASSWORD: (
            "if so: walletsync sync --accept-restored-server, with the password of that time; it asks for a new one, "
            "and nothing on this device is lost"
        ),
        Remedy.SET_NEW_PASSWORD: (
            "walletsync sync --accept-restored-server asks for a new password, and goes on from what the server has"
        ),
        Remedy.USE_EARLIER_URL: "if the server has moved: walletsync init --realm EARLIER_URL",
        Remedy.ALLOW_PLAIN_HTTP: "use https; or, on a network that you trust, walletsync init --allow-plain-http",
        Remedy.GIVE_CA_FILE: (
            "if it is the server's own certificate: walletsync init --ca-file FILE, with its authority's; if not, ask "
            "whoever runs the server"
        ),
        Remedy.CLOSE_OTHER_CLIENT: "stop the other one, walletsync watch perhaps, or wait until it is done",
        Remedy.TAKE_BACK: "run the command again",
        Remedy.MAKE_NEW_CLIENT: "run the command again",
    }
)
"""What to type next, for each remedy."""


class Failure(click.ClickException):
    """Ends a command with a sentence, perhaps a hint and the id of the request that failed, and an exit code."""

    def __init__(self, sentence: str, *, code: int, hint: str | None = None, request_id: str | None = None) -> None:
        super().__init__(addressed(sentence))
        self._code = code
        self._wants_json = wants_json()  # asked while there is a command
        self.hint = None if hint is None else addressed(hint)
        self.request_id = request_id

    @property
    @override
    def exit_code(self) -> int:  # type: ignore[override]  # click has it as an attribute of the class
        return self._code

    @override
    def show(self, file: Any = None) -> None:
        told = {"error": self.format_message(), "hint": self.hint, "request id": self.request_id}
        lines = [f"{name}: {said}" for name, said in told.items() if said is not None]
        if self._wants_json:
            told = {"error": told["error"], "hint": self.hint, "requestId": self.request_id}
            lines = [exactjson.dumps(told | {"status": self._code})]
        for line in lines:
            click.echo(line, err=True)


def is_passing(error: errors.WalletSyncError) -> bool:
    """Tell whether the same may work in a while, with nobody doing anything."""
    failed = isinstance(error, errors.ServerError) and error.status >= _SERVER_FAILED
    return failed or isinstance(error, errors.ServerUnreachable | errors.RetryLater | errors.SyncGaveUp)


def failure(error: errors.WalletSyncError) -> Failure:
    """Return how a command ends that met `error`."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
    if code == REFUSED and is_passing(error):
        code = NETWORK
    return Failure(error.message, code=code, hint=_hint(error), request_id=error.request_id)


def _hint(error: errors.WalletSyncError) -> str | None:
    """Return what to type next, None if the sentence says it all."""
    hint = None if error.remedy is None else HINTS[error.remedy]
    if isinstance(error, errors.OtherFormat) and error.format in FORMATS:  # else only another program can open it
        return f"for that document, use another file: walletsync init ANOTHER_FILE --format {error.format} …; {hint}"
    return hint


class Commands(click.Group):
    """Shows commands in the order in which one needs them, and ends each by `failure` where it meets an error."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except errors.WalletSyncError as error:
            raise failure(error) from None
