"""Commands that move versions: pull, push, sync, watch; and put, between file and device."""

import itertools
import random
import signal
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import click

from walletsync import errors
from walletsync.cli.bridging import Bridging
from walletsync.cli.deeds import put_back, sync_file
from walletsync.cli.edge import NOTHING, Notices
from walletsync.cli.errors import CONFLICTS, FAILED, Failure, is_passing
from walletsync.cli.output import as_json, conflict_as_json, say, show
from walletsync.cli.wallet import Wallet, WalletSelector

if TYPE_CHECKING:
    from walletsync.client import Client

_CHECK_SECONDS = 0.2
_CHECKS_OF_BRIDGE = 4
"""At every how many of these checks the wallet's program is asked, if it has a bridge."""
_POLL_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 2.0
"""How long to wait after a first failure; twice as long after each further one, up to what --every says."""


@click.command("pull")
@as_json
@click.pass_obj
def pull_command(selector: WalletSelector, as_json: bool) -> None:
    """Get the current version, and put it into the file together with your edits. Nothing is sent.

    Example: walletsync pull
    """
    wallet = selector.wallet()
    with wallet.logged_in() as client:
        is_first = wallet.get_before_first_look(client)
        file, bridge, before = wallet.wallet_file(), Bridging(wallet), Notices.of(wallet, client)
        bridge.take(client)
        file.take_edits(client)
        fetched = wallet.with_valid_token(client, client.get_wallet)
        file.put(client)
        bridge.give(client)
        waiting, notices = len(client.conflicts), Notices.of(wallet, client)
    _report_conflicts(waiting)
    notices.tell_earlier(before)
    is_newer = is_first or fetched.newer
    news = "new" if is_newer else "already known"
    show({"sequence": fetched.sequence, "newer": is_newer}, f"version {fetched.sequence}, {news}", as_json=as_json)
    notices.check()


@click.command("push")
@as_json
@click.pass_obj
def push_command(selector: WalletSelector, as_json: bool) -> None:
    """Send what is in the file as the next version.

    If the server has a later one, nothing is overwritten: that one is merged into the file, and the status is 1.

    Example: walletsync push
    """
    from walletsync.results import OutOfDate

    wallet = selector.wallet()
    with wallet.logged_in() as client:
        wallet.get_before_first_look(client)
        file, bridge, before = wallet.wallet_file(), Bridging(wallet), Notices.of(wallet, client)
        bridge.take(client)
        file.take_edits(client)
        posted = wallet.with_valid_token(client, client.post_wallet)
        file.put(client)
        bridge.give(client)
        notices = Notices.of(wallet, client)
    notices.tell_earlier(before)
    if isinstance(posted, OutOfDate):
        _report_conflicts(len(posted.conflicts))
        raise Failure(
            f"The server already has version {posted.latest}. It has been merged into the file.",
            code=FAILED,
            hint="walletsync push again, or walletsync sync",
        )
    show({"sequence": posted.sequence}, f"version {posted.sequence}", as_json=as_json)
    notices.check()


@click.command("put")
@as_json
@click.pass_obj
def put_command(selector: WalletSelector, as_json: bool) -> None:
    """Put everything that this device has into the file, also what a program has taken out and nobody has confirmed.

    What else the program has written stays. Neither the server nor the password is needed.

    Example: walletsync put
    """
    wallet = selector.wallet()
    with wallet.without_password() as client:
        is_changed = put_back(wallet, client)
    text = f"{wallet.file} has all that this device has{'' if is_changed else ' already'}."
    show({"changed": is_changed}, text, as_json=as_json)


@click.command("sync")
@click.option("--on-conflict", type=click.Choice(["mine", "theirs"]), help="Decide conflicts this way.")
@click.option("--check-conflicts", is_flag=True, help=f"End with status {CONFLICTS} if conflicts wait for a decision.")
@click.option(
    "--accept-restored-server",
    is_flag=True,
    help="The server was restored from a backup: go on from what it has, with everything that this device has. Asks "
    "for the password of that time, and for a new one if it was changed since.",
)
@click.option("--confirm-deletions", is_flag=True, help="What a program has taken out of the file shall go, all of it.")
@click.option("--join", is_flag=True, help="The file is of another wallet than the account's: have both in one.")
@as_json
@click.pass_obj
def sync_command(
    selector: WalletSelector,
    on_conflict: Any,
    check_conflicts: bool,
    accept_restored_server: bool,
    confirm_deletions: bool,
    join: bool,
    as_json: bool,
) -> None:
    """Bring the file and the server to the same version, with the edits of both.

    Where both sides changed the same thing, the file gets theirs and mine waits: walletsync conflicts. A program that
    takes away much at once changes nothing but the file, until you say --confirm-deletions, or walletsync put.

    Example: walletsync sync
    """
    if accept_restored_server and on_conflict is not None:
        raise click.UsageError("--accept-restored-server does not decide conflicts; sync once more with --on-conflict.")
    wallet = selector.wallet()
    wallet.joins = join
    with wallet.with_password(ignore_keyring=accept_restored_server) as client:
        before = Notices.of(wallet, client)
        synced = sync_file(
            wallet,
            client,
            Bridging(wallet),
            on_conflict,
            accept_restored_server=accept_restored_server,
            confirm_deletions=confirm_deletions,
        )
        waiting, notices = len(client.conflicts), Notices.of(wallet, client)
    _report_conflicts(waiting)
    notices.tell_earlier(before)
    conflicts = [conflict_as_json(wallet.format, each) for each in synced.conflicts]
    result = {"sequence": synced.sequence, "conflicts": conflicts}
    show(result, f"version {synced.sequence}", as_json=as_json)
    if check_conflicts and waiting:
        raise Failure(f"Conflicts that wait for a decision: {waiting}.", code=CONFLICTS, hint="walletsync conflicts")
    notices.check()


@click.command("watch")
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=_POLL_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Ask the server about this often, even if nothing seems to be new.",
)
@as_json
@click.pass_obj
def watch_command(selector: WalletSelector, every: float, as_json: bool) -> None:
    """Sync whenever the file or the server has something new, until Ctrl-C.

    Between two syncs other commands can be used, and what they decide is synced at once.

    Example: walletsync watch
    """
    wallet = selector.wallet()
    with wallet.with_password() as client, suppress(KeyboardInterrupt):
        # Wherever the signal comes: the process may end between any two steps, and must not wait for a slow network.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with ExitStack() as listening:
            _watch(wallet, client, listening, every=every, as_json=as_json)


def _watch(wallet: Wallet, client: "Client", listening: ExitStack, *, every: float, as_json: bool) -> None:
    """Sync again and again: when the file was written, when there may be news, and from time to time.

    In between the store is lent, so that other commands can be used; what they change there is synced as well.
    """
    file, bridge, news = wallet.wallet_file(), Bridging(wallet, is_patient=True), threading.Event()
    synced: tuple[int, ...] | None = None
    kept: tuple[int, ...] | None = None
    is_listening, is_edited = False, True
    checks_left, failures, trouble, told = 0, 0, "", NOTHING
    for check in itertools.count(1):
        last = file.signature()
        is_edited = is_edited or (check % _CHECKS_OF_BRIDGE == 0 and bridge.is_due() and bridge.is_edited())
        if is_edited or last != synced or news.is_set() or checks_left <= 0 or wallet.store_signature() != kept:
            _take_back(client)
            news.clear()
            synced, is_edited = last, False
            try:
                told = _sync_and_report(wallet, client, bridge, told, as_json)
                synced = file.signature()
                is_edited = file.is_edited()  # since the sync, and before that look
                trouble, failures = "", 0
                if not is_listening:
                    listening.enter_context(client.listen(news.set))
                    is_listening = True
                    say("Watching; Ctrl-C ends it.")
            except errors.WalletSyncError as error:
                if not _may_pass(error):
                    raise
                # The server may be back the next time, and the file complete when it is written again.
                failures += 1
                if error.message != trouble:
                    trouble = error.message
                    say(f"{trouble} Watching goes on.")
            kept = wallet.store_signature()  # while nobody else can change it
            client.lend_store()
            checks_left = _checks_until_sync(min(every, _FIRST_PAUSE_SECONDS * 2**failures) if failures else every)
        time.sleep(_CHECK_SECONDS)
        checks_left -= 1


def _take_back(client: "Client") -> None:
    """Have the store back, however long another command needs it: its person may be typing a password."""
    while True:
        with suppress(errors.StoreLocked):
            client.take_back_store()
            return


def _may_pass(error: errors.WalletSyncError) -> bool:
    is_of_file = isinstance(error, errors.DocumentError | errors.WalletFileError)
    return is_passing(error) or (is_of_file and not isinstance(error, errors.OtherFormat))


def _checks_until_sync(every: float) -> int:
    """Return after how many checks of the file the server is asked; with jitter, so that devices spread out."""
    return max(1, round(every * random.uniform(0.75, 1.25) / _CHECK_SECONDS))  # noqa: S311


def _sync_and_report(wallet: Wallet, client: "Client", bridge: Bridging, told: Notices, as_json: bool) -> Notices:
    """Sync, say what is new, and return what there is to tell in all."""
    before = client.wallet_state
    synced, notices = sync_file(wallet, client, bridge), Notices.of(wallet, client)
    _report_conflicts(len(synced.conflicts))
    notices.tell(told)
    if client.wallet_state != before:
        show({"sequence": synced.sequence}, f"version {synced.sequence}", as_json=as_json)
    return notices


def _report_conflicts(number: int) -> None:
    if number:
        say(f"Conflicts: {number}. The file has theirs; see walletsync conflicts, and decide with walletsync resolve.")
