"""Commands that look at versions and decide: status, conflicts, resolve, history, diff, restore, export and so on."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from walletsync import exactjson
from walletsync.cli import deeds
from walletsync.cli.edge import NOTHING, Notices, earlier_records
from walletsync.cli.output import as_json, conflict_as_json, one_line, present, show
from walletsync.cli.wallet import Wallet, WalletSelector
from walletsync.errors import UsageError

if TYPE_CHECKING:
    from walletsync.client import Client
    from walletsync.merge import Path as Place


@click.command("status")
@as_json
@click.pass_obj
def status_command(selector: WalletSelector, as_json: bool) -> None:
    """Show what this device knows. Neither the server nor the password is needed.

    Example: walletsync status --json
    """
    wallet = selector.wallet()
    file = wallet.wallet_file()
    with wallet.without_password() as client:
        state = client.wallet_state
        status = {
            "file": str(wallet.file),
            "server": wallet.settings.server,
            "realm": client.realm,
            "email": wallet.settings.email,
            **({"wallet": wallet.settings.wallet} if wallet.settings.wallet else {}),
            "format": wallet.settings.format,
            "device": client.device_id,
            "sequence": 0 if state is None else state.sequence,
            "edited": file.is_edited() or client.has_local_changes,
            "conflicts": len(client.conflicts),
            "earlier": earlier_records(wallet, client),
            "deletions": 0 if file.held is None else file.held.lost,
            "loggedIn": client.has_token,
            "passwordChangeIsOpen": client.has_open_password_change,
        }
    show(status, "\n".join(f"{name}: {_as_text(value)}" for name, value in status.items()), as_json=as_json)


@click.command("conflicts")
@click.option("--earlier", is_flag=True, help="List what your program wrote as it was before; nobody has to decide it.")
@click.option("--deletions", is_flag=True, help="List what your program took away and nobody has confirmed.")
@as_json
@click.pass_obj
def conflicts_command(selector: WalletSelector, earlier: bool, deletions: bool, as_json: bool) -> None:
    """List the conflicts that wait for a decision.

    Example: walletsync conflicts
    """
    if earlier and deletions:
        raise click.UsageError("One list at a time: --earlier or --deletions.")
    wallet = selector.wallet()
    with wallet.without_password() as client:
        conflicts = client.conflicts
        if earlier or deletions:
            _list_places(wallet, client, deletions=deletions, as_json=as_json)
            return
        notices = Notices.of(wallet, client)
    shown = [conflict_as_json(wallet.format, each) for each in conflicts]
    lines = [f"{each['name']}  {_place(each) or 'the whole file'}\n{_describe_sides(each)}" for each in shown]
    show(shown, "\n".join(lines) or "No conflicts wait for a decision.", as_json=as_json)
    notices.tell(NOTHING)


@click.command("resolve")
@click.argument("name")
@click.argument("keep", type=click.Choice(deeds.SIDES))
@click.option("--confirm-deletions", is_flag=True, help="What `earlier mine` takes away shall go, however much it is.")
@as_json
@click.pass_obj
def resolve_command(selector: WalletSelector, name: str, keep: Any, confirm_deletions: bool, as_json: bool) -> None:
    """Decide the conflict with this NAME, or `all` of them, for mine or theirs.

    A conflict of two labels can be decided for both, which makes one label of them: "mine / theirs". A conflict keeps
    its name until it is decided, and no later one gets it. NAME can be `earlier`: mine makes all that your program
    wrote as it was before the current state again, and theirs takes it off the list. The file changes at once, the
    other devices after the next sync.

    Example: walletsync resolve 1 mine
    """
    if confirm_deletions and (name, keep) != ("earlier", "mine"):
        raise click.UsageError("--confirm-deletions is for: walletsync resolve earlier mine.")
    wallet = selector.wallet()
    with wallet.without_password() as client:
        deeds.resolve(wallet, client, name, keep, confirm_deletions=confirm_deletions)
        left, notices = len(client.conflicts), Notices.of(wallet, client)
    show({"conflicts": left}, f"Conflicts left: {left}", as_json=as_json)
    notices.check()


@click.command("history")
@as_json
@click.pass_obj
def history_command(selector: WalletSelector, as_json: bool) -> None:
    """List the versions that the server keeps, the current one first.

    Example: walletsync history
    """
    wallet = selector.wallet()
    with wallet.logged_in() as client:
        versions = wallet.with_valid_token(client, client.history)
    text = "\n".join(
        f"{each.sequence}  {one_line(each.time)}  {each.size} bytes  {one_line(each.device)}" for each in versions
    )
    show([asdict(each) for each in versions], text or "The server keeps no versions.", as_json=as_json)


@click.command("diff")
@click.argument("older", type=click.IntRange(min=1))
@click.argument("newer", type=click.IntRange(min=1), required=False)
@as_json
@click.pass_obj
def diff_command(selector: WalletSelector, older: int, newer: int | None, as_json: bool) -> None:
    """List what differs between two versions, or between one and what this device has now.

    Example: walletsync diff 12 14
    """
    wallet = selector.wallet()
    with wallet.logged_in() as client:
        before = wallet.with_valid_token(client, lambda: client.version(older))
        after = client.get_document() if newer is None else client.version(newer)
    _show_places(wallet, deeds.differences(wallet, before, after), "They have the same.", as_json=as_json)


@click.command("restore")
@click.argument("sequence", type=click.IntRange(min=1))
@as_json
@click.pass_obj
def restore_command(selector: WalletSelector, sequence: int, as_json: bool) -> None:
    """Make an earlier version the current one again. It becomes a new version, so nothing is lost.

    Example: walletsync restore 41
    """
    wallet = selector.wallet()
    with wallet.logged_in() as client:
        synced = deeds.restore(wallet, client, sequence)
        notices = Notices.of(wallet, client)
    text = f"version {synced.sequence}, with what version {sequence} had"
    show({"sequence": synced.sequence}, text, as_json=as_json)
    notices.check()


@click.command("wallets")
@as_json
@click.pass_obj
def wallets_command(selector: WalletSelector, as_json: bool) -> None:
    """List the wallets that the account had at the last sync, each with its format. Neither the server nor the
    password is needed.

    Another one comes with: walletsync init FILE --wallet NAME …

    Example: walletsync wallets
    """
    with selector.wallet().without_password() as client:
        there = Wallet.in_account(client)
    lines = [f"{each or '(without a name)'}  {one_line(format)}" for each, format in there.items()]
    text = "\n".join(lines) or "Nothing is synced yet."
    show([{"name": each, "format": format} for each, format in there.items()], text, as_json=as_json)


@click.command("fingerprint")
@as_json
@click.pass_obj
def fingerprint_command(selector: WalletSelector, as_json: bool) -> None:
    """Show digits that are the same on two devices exactly when both have seen the same history up to this version.

    Example: walletsync fingerprint
    """
    with selector.wallet().without_password() as client:
        fingerprint = client.fingerprint()
    show(asdict(fingerprint), str(fingerprint), as_json=as_json)


@click.command("export")
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout."
)
@click.option(
    "--version", "sequence", type=click.IntRange(min=1), metavar="SEQUENCE", help="Export an earlier version."
)
@as_json
@click.pass_obj
def export_command(selector: WalletSelector, output: Path | None, sequence: int | None, as_json: bool) -> None:
    """Write out the wallet as it is on this device, or as it was in an earlier version.

    With --json the wallet is one string, `content`; with --output, too, only the name of the `file` is printed.

    Example: walletsync export --version 41 --output labels-41.jsonl
    """
    wallet = selector.wallet()
    if sequence is None:
        with wallet.without_password() as client:
            content = wallet.encoded(client.get_document())
    else:
        with wallet.logged_in() as client:
            document = wallet.with_valid_token(client, lambda: client.version(sequence))
        wallet.check_is_in(document, sequence)
        content = wallet.encoded(document)
    if output is None:
        if as_json:
            show({"content": content.decode()}, "", as_json=True)
        else:
            click.echo(content, nl=False)
        return
    try:
        with output.open("xb") as exported:
            exported.write(content)
    except OSError as error:
        raise UsageError(
            f"{output} cannot be created: {error.strerror}. Name a file that does not exist yet."
        ) from None
    if as_json:
        show({"file": str(output)}, "", as_json=True)


def _list_places(wallet: Wallet, client: "Client", *, deletions: bool, as_json: bool) -> None:
    """Show what the program has where the document has something else, or what it does not have any more."""
    sides = deeds.taken_away(wallet, client) if deletions else deeds.written_as_before(wallet, client)
    _show_places(wallet, sides, "There is nothing on this list.", as_json=as_json)


def _show_places(wallet: Wallet, places: "dict[Place, dict[str, Any]]", if_none: str, *, as_json: bool) -> None:
    """Show what each side has at each place, but for secrets."""
    from walletsync.merge import pointer

    shown = [
        {"at": pointer(path)} | present({name: wallet.format.shown(path, value) for name, value in values.items()})
        for path, values in places.items()
    ]
    lines = [
        f"{_place(each) or 'the whole file'}\n{_describe_sides(each, tuple(values))}"
        for each, values in zip(shown, places.values(), strict=True)
    ]
    show(shown, "\n".join(lines) or if_none, as_json=as_json)


def _place(conflict: dict[str, Any]) -> str:
    at: str = conflict["at"]
    return at.replace("\n", "\\n")


def _describe_sides(conflict: dict[str, Any], names: tuple[str, ...] = ("base", "mine", "theirs")) -> str:
    def written(name: str) -> str:
        return exactjson.dumps(conflict[name]) if name in conflict else "(nothing)"

    return "\n".join(f"   {name + ':':8}{written(name)}" for name in names)


def _as_text(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
