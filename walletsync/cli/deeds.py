"""What is done to a wallet, by a command or by a button of the page: its file, the device and the server together."""

from typing import TYPE_CHECKING, Any

from walletsync import errors
from walletsync.cli import secrets
from walletsync.cli.bridging import Bridging
from walletsync.cli.output import say
from walletsync.cli.wallet import Wallet
from walletsync.errors import UsageError

if TYPE_CHECKING:
    from walletsync.client import Client
    from walletsync.conflicts import OnConflict
    from walletsync.merge import Conflict
    from walletsync.merge import Path as Place
    from walletsync.results import Synced

SIDES = ("mine", "theirs", "both")
"""What a conflict can be decided for."""
_MAX_SYNCS = 8
"""How many syncs there are at most if the file is edited during each."""


def sync_file(
    wallet: Wallet,
    client: "Client",
    bridge: Bridging,
    on_conflict: Any = None,
    *,
    accept_restored_server: bool = False,
    confirm_deletions: bool = False,
) -> "Synced":
    """Take the edits of file and bridge, sync, and give them the result; again while they were edited meanwhile.

    `confirm_deletions` confirms what is in the file; with a bridge, what its program took away since is asked anew.

    Raises what these steps raise, and:
        SyncGaveUp: it was edited each time; the edits are kept.
    """
    from walletsync.results import Synced

    file, waiting = wallet.wallet_file(), client.conflicts
    if client.merge_base is None or not accept_restored_server:  # else what the server has is looked at with consent
        wallet.get_before_first_look(client)
    others = set(wallet.in_account(client)) - {wallet.settings.wallet}
    is_new = others and not wallet.is_in_account(client)
    if confirm_deletions and wallet.bridge_file.exists():
        # Before the program is asked: nobody was told of what it has taken away since.
        file.take_edits(client, confirm_deletions=True)
    bridge.take(client)
    file.take_edits(client, confirm_deletions=confirm_deletions and not wallet.bridge_file.exists())
    decision = None if on_conflict is None else _of_this_wallet(wallet, on_conflict)
    for number in range(_MAX_SYNCS):
        consents = accept_restored_server and number == 0  # once, to what the server has now
        try:
            synced = _accept_restored_server(wallet, client) if consents else client.sync(decision)
        except errors.NoWallet as error:
            told = errors.NoWallet(
                f"There is no file {wallet.file} yet, and no wallet on the server: the first version is made from the "
                "file.",
                status=error.status,
                code=error.code,
                remedy=error.remedy,
            )
            told.request_id = error.request_id
            raise told from None
        file.put(client)
        wallet.check_is_in_account(client)
        bridge.give(client)
        if not client.has_local_changes:
            if is_new:
                say(f"The account has one more wallet now; walletsync wallets lists all {len(others) + 1}.")
            return Synced(synced.sequence, _new_conflicts(client.conflicts, waiting))
    raise errors.SyncGaveUp(
        f"{wallet.file} was edited during each of {_MAX_SYNCS} syncs. The edits are kept; sync again in a while."
    )


def _of_this_wallet(wallet: Wallet, keep: str) -> "OnConflict":
    """Return what decides the conflicts of this wallet alone: those of others wait for who has their files."""
    return lambda conflict: getattr(conflict, keep) if wallet.format.has(conflict.path) else conflict


def _accept_restored_server(wallet: Wallet, client: "Client") -> "Synced":
    """Consent to what the server has, with a new password where it has an earlier one again."""
    try:
        return client.accept_restored_server()
    except errors.NewPasswordNeeded as error:
        say(error.message)
    new = secrets.new_password()
    synced = client.accept_restored_server(new_password=new)
    wallet.keep_in_keyring(new)
    say("The new password is in force. Log in with it on your other devices.")
    return synced


def _new_conflicts(now: "tuple[Conflict, ...]", before: "tuple[Conflict, ...]") -> "tuple[Conflict, ...]":
    """Return the conflicts that were not there before."""
    names = {conflict.name for conflict in before}
    return tuple(conflict for conflict in now if conflict.name not in names)


def resolve(wallet: Wallet, client: "Client", name: str, keep: Any, *, confirm_deletions: bool = False) -> None:
    """Decide the conflict with this name, or `all`, or what is `earlier`, for one of `SIDES`; the file follows.

    Raises:
        UsageError: there is none of this name; or it cannot keep both, and nothing was decided.
        DeletionsUnconfirmed: what is earlier takes away much; nothing was decided.
    """
    file = wallet.wallet_file()
    file.take_edits(client)
    if keep == "both" and name in ("all", "earlier"):
        raise UsageError(f"Both can be kept in one conflict at a time; decide {name} for mine or theirs.")
    if name == "earlier" and wallet.bridge_file.exists():
        raise UsageError("With a bridge nothing is listed as earlier: what the program cannot hold it never had.")
    if name == "earlier":
        file.decide_earlier(client, keep, confirm_deletions=confirm_deletions)
    elif name == "all":
        client.resolve_all(_of_this_wallet(wallet, keep))
    else:
        conflict = _conflict_named(client.conflicts, name)
        if keep == "both":
            value = _both(wallet, conflict)
            client.resolve_all(lambda each: value if each.name == name else each)
        else:
            client.resolve(conflict, keep)
    file.put(client)


def can_keep_both(wallet: Wallet, conflict: "Conflict") -> bool:
    """Tell whether a conflict can be decided for both."""
    from walletsync.merge import MISSING

    return wallet.format.both(conflict.path, conflict.mine, conflict.theirs) is not MISSING


def put_back(wallet: Wallet, client: "Client") -> bool:
    """Put everything that this device has into the file, and into the program that has a bridge; tell if it changed.

    Raises what these steps raise, and:
        NotReady: there is nothing yet, or not any more.
    """
    is_changed = wallet.wallet_file().put(client, everything=True)
    client.get_document()  # there may be none yet
    wallet.check_is_in_account(client)
    Bridging(wallet).give(client)
    return is_changed


def restore(wallet: Wallet, client: "Client", sequence: int) -> "Synced":
    """Make an earlier version of the wallet the current one again, and put it into the file.

    Raises what these steps raise, and:
        UsageError: the account did not have the wallet then.
    """

    def restored(document: Any, earlier: Any) -> Any:
        wallet.check_is_in(earlier, sequence)
        return wallet.format.part(document, earlier)

    file = wallet.wallet_file()
    file.take_edits(client)
    synced = wallet.with_valid_token(client, lambda: client.restore(sequence, choose=restored))
    file.put(client)
    return synced


def differences(wallet: Wallet, older: Any, newer: Any) -> "dict[Place, dict[str, Any]]":
    """Return what either document has at each place where they differ, as `older` and `newer`."""
    from walletsync.merge import MISSING

    old, new = wallet.format.differences([older, newer])
    return {path: {"older": old.get(path, MISSING), "newer": new.get(path, MISSING)} for path in old | new}


def taken_away(wallet: Wallet, client: "Client") -> "dict[Place, dict[str, Any]]":
    """Return what the program has taken away and nobody has confirmed, by record, as `theirs`."""
    from walletsync.formats.base import opened

    file, document = wallet.wallet_file(), opened(wallet.format, client.get_document())
    taken = {} if file.held is None else file.held.values
    records = dict.fromkeys(map(wallet.format.record_at, taken))
    return {path: {"theirs": document.value_at(path)} for path in records}


def written_as_before(wallet: Wallet, client: "Client") -> "dict[Place, dict[str, Any]]":
    """Return what the program wrote as it had it before, as `mine`, and what the document has there, as `theirs`.

    Nothing, where a bridge writes the file: `earlier_records` says why.
    """
    from walletsync.formats.base import opened

    if wallet.bridge_file.exists():
        return {}
    earlier, document = wallet.wallet_file().earlier(client), opened(wallet.format, client.get_document())
    return {path: {"mine": value, "theirs": document.value_at(path)} for path, value in earlier.items()}


def _both(wallet: Wallet, conflict: "Conflict") -> Any:
    if not can_keep_both(wallet, conflict):
        raise UsageError(f"Conflict {conflict.name} is not one of two labels, so it cannot keep both; decide for one.")
    return wallet.format.both(conflict.path, conflict.mine, conflict.theirs)


def _conflict_named(conflicts: "tuple[Conflict, ...]", name: str) -> "Conflict":
    found = next((conflict for conflict in conflicts if conflict.name == name), None)
    if found is None:
        raise UsageError(f"There is no conflict {name}; walletsync conflicts lists those that wait.")
    return found
