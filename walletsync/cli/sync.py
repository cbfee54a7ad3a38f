"""Commands that move versions: pull, push, sync, watch."""

import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from walletsync import errors
from walletsync.cli.errors import CONFLICTS, FAILED, Failure, in_commands, is_passing
from walletsync.cli.talk import as_json, say, show
from walletsync.cli.versions import conflict_as_json
from walletsync.cli.wallet import Place, Wallet

if TYPE_CHECKING:
    from walletsync.client import Client
    from walletsync.merge import Conflict
    from walletsync.results import Synced

_LOOK_SECONDS = 0.2
_POLL_SECONDS = 60.0
_MAX_SYNCS = 8
"""How many syncs there are at most where the file is edited during each."""


@click.command("pull")
@as_json
@click.pass_obj
def pull_command(place: Place, as_json: bool) -> None:
    """Get the current version, and put it into the file together with your edits. Nothing is sent.

    Example: walletsync pull
    """
    wallet = place.wallet()
    with wallet.signed_in() as client:
        file = wallet.content()
        file.take_edits(client)
        fetched = wallet.asked(client, client.get_wallet)
        file.put(client)
    _tell_conflicts(len(fetched.conflicts))
    news = "new" if fetched.newer else "known already"
    show({"sequence": fetched.sequence, "newer": fetched.newer}, f"version {fetched.sequence}, {news}", as_json=as_json)


@click.command("push")
@as_json
@click.pass_obj
def push_command(place: Place, as_json: bool) -> None:
    """Send what is in the file as the next version.

    If the server has a later one, nothing is overwritten: that one is merged into the file, and the status is 1.

    Example: walletsync push
    """
    from walletsync.results import OutOfDate

    wallet = place.wallet()
    with wallet.signed_in() as client:
        file = wallet.content()
        file.take_edits(client)
        posted = wallet.asked(client, client.post_wallet)
        file.put(client)
    if isinstance(posted, OutOfDate):
        _tell_conflicts(len(posted.conflicts))
        raise Failure(
            f"The server has version {posted.latest} already. It is merged into the file.",
            code=FAILED,
            hint="walletsync push again, or walletsync sync",
        )
    show({"sequence": posted.sequence}, f"version {posted.sequence}", as_json=as_json)


@click.command("sync")
@click.option("--on-conflict", type=click.Choice(["mine", "theirs"]), help="Decide conflicts this way.")
@click.option("--check-conflicts", is_flag=True, help=f"End with status {CONFLICTS} if conflicts wait for a decision.")
@click.option(
    "--accept-restored-server",
    is_flag=True,
    help="The server was restored from a backup: go on from what it has, with everything that this device has.",
)
@as_json
@click.pass_obj
def sync_command(
    place: Place, on_conflict: Any, check_conflicts: bool, accept_restored_server: bool, as_json: bool
) -> None:
    """Bring the file and the server to the same version, with the edits of both.

    Where both sides changed the same thing, the file gets theirs and mine waits: walletsync conflicts.

    Example: walletsync sync
    """
    if accept_restored_server and on_conflict is not None:
        raise click.UsageError("--accept-restored-server decides no conflicts; sync once more with --on-conflict.")
    wallet = place.wallet()
    with wallet.unlocked() as client:
        synced = _synced(wallet, client, on_conflict, accept_restored_server=accept_restored_server)
        waiting = len(client.conflicts)
    _tell_conflicts(len(synced.conflicts))
    told = {"sequence": synced.sequence, "conflicts": [conflict_as_json(each) for each in synced.conflicts]}
    show(told, f"version {synced.sequence}", as_json=as_json)
    if check_conflicts and waiting:
        raise Failure(f"{waiting} conflicts wait for a decision.", code=CONFLICTS, hint="walletsync conflicts")


@click.command("watch")
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=_POLL_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Ask the server at least this often, about.",
)
@as_json
@click.pass_obj
def watch_command(place: Place, every: float, as_json: bool) -> None:
    """Sync whenever the file or the server has something new, until Ctrl-C.

    Example: walletsync watch
    """
    wallet = place.wallet()
    news = threading.Event()
    with wallet.unlocked() as client, suppress(KeyboardInterrupt):
        # Wherever it comes: a process may end between any two steps, and a network that hangs must not hold it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _sync_and_tell(wallet, client, as_json)
        with client.listen(news.set):
            say("Watching; Ctrl-C ends it.")
            _watch(wallet, client, news, every=every, as_json=as_json)


def _watch(wallet: Wallet, client: "Client", news: threading.Event, *, every: float, as_json: bool) -> None:
    """Sync again and again: when the file was written, when there may be news, and from time to time."""
    file = wallet.content()
    synced = file.signature()
    is_edited = file.is_edited()  # since the sync, and before that look
    looks_left, trouble = _looks(every), ""
    while True:
        time.sleep(_LOOK_SECONDS)
        looks_left -= 1
        last = file.signature()
        if not (is_edited or last != synced or news.is_set() or looks_left <= 0):
            continue
        news.clear()
        synced, is_edited, looks_left = last, False, _looks(every)
        try:
            _sync_and_tell(wallet, client, as_json)
            synced = file.signature()
            is_edited = file.is_edited()
            trouble = ""
        except errors.WalletSyncError as error:
            if not is_passing(error) and not isinstance(error, errors.DocumentError | errors.WalletFileError):
                raise
            # The server is back with the next news, the file whole when it is written again.
            if in_commands(str(error)) != trouble:
                trouble = in_commands(str(error))
                say(f"{trouble} It is tried again.")


def _looks(every: float) -> int:
    """Return after how many looks at the file the server is asked; with jitter, so that devices spread out."""
    return max(1, round(every * random.uniform(0.75, 1.25) / _LOOK_SECONDS))  # noqa: S311


def _sync_and_tell(wallet: Wallet, client: "Client", as_json: bool) -> None:
    before = client.wallet_state
    synced = _synced(wallet, client)
    _tell_conflicts(len(synced.conflicts))
    if client.wallet_state != before:
        show({"sequence": synced.sequence}, f"version {synced.sequence}", as_json=as_json)


def _synced(
    wallet: Wallet, client: "Client", on_conflict: Any = None, *, accept_restored_server: bool = False
) -> "Synced":
    """Take the file's edits, sync, and put the result into the file; again while it was edited meanwhile.

    Raises what these steps raise, and:
        SyncGaveUp: it was edited each time; the edits are kept.
    """
    from walletsync.results import Synced

    file, waiting = wallet.content(), client.conflicts
    file.take_edits(client)
    for number in range(_MAX_SYNCS):
        consents = accept_restored_server and number == 0  # once, to what the server has now
        try:
            synced = client.accept_restored_server() if consents else client.sync(on_conflict)
        except errors.NoWallet as error:
            told = (
                f"There is no file {wallet.file} yet, and no wallet on the server: the first version is made from the "
                "file."
            )
            raise errors.NoWallet(told, status=error.status, code=error.code) from None
        file.put(client)
        if not client.has_local_changes:
            return Synced(synced.sequence, _new_conflicts(client.conflicts, waiting))
    raise errors.SyncGaveUp(
        f"{wallet.file} was edited during each of {_MAX_SYNCS} syncs. The edits are kept; sync again in a while."
    )


def _new_conflicts(now: "tuple[Conflict, ...]", before: "tuple[Conflict, ...]") -> "tuple[Conflict, ...]":
    """Return the conflicts that were not there before, whatever theirs was then: it moves along."""
    return tuple(one for one in now if all(replace(other, theirs=one.theirs) != one for other in before))


def _tell_conflicts(number: int) -> None:
    if number:
        say(f"Conflicts: {number}. The file has theirs; decide with walletsync conflicts and walletsync resolve.")
