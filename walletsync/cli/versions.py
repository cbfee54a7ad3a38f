"""Commands that look at versions and decide: status, conflicts, resolve, history, restore, fingerprint, export."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from walletsync import exactjson
from walletsync.cli.talk import as_json, show
from walletsync.cli.wallet import Place
from walletsync.errors import UsageError

if TYPE_CHECKING:
    from walletsync.merge import Conflict


def conflict_as_json(conflict: "Conflict") -> dict[str, Any]:
    """Return a conflict for programs; a side that has nothing there is left out."""
    from walletsync.merge import MISSING

    sides = {"base": conflict.base, "mine": conflict.mine, "theirs": conflict.theirs}
    return {"at": conflict.at} | {name: side for name, side in sides.items() if side is not MISSING}


@click.command("status")
@as_json
@click.pass_obj
def status_command(place: Place, as_json: bool) -> None:
    """Tell what this device knows, without asking the server or for the password.

    Example: walletsync status --json
    """
    wallet = place.wallet()
    file = wallet.content()
    with wallet.looked_at() as client:
        state = client.wallet_state
        status = {
            "file": str(wallet.file),
            "server": wallet.settings.server,
            "realm": client.realm,
            "email": wallet.settings.email,
            "format": wallet.settings.format,
            "device": client.device_id,
            "sequence": 0 if state is None else state.sequence,
            "edited": file.is_edited() or client.has_local_changes,
            "conflicts": len(client.conflicts),
            "loggedIn": client.has_token,
            "passwordChangeIsOpen": client.has_open_password_change,
        }
    show(status, "\n".join(f"{name}: {_word(value)}" for name, value in status.items()), as_json=as_json)


@click.command("conflicts")
@as_json
@click.pass_obj
def conflicts_command(place: Place, as_json: bool) -> None:
    """List the conflicts that wait for a decision.

    Example: walletsync conflicts
    """
    with place.wallet().looked_at() as client:
        conflicts = client.conflicts
    told = [{"number": number} | conflict_as_json(each) for number, each in enumerate(conflicts, 1)]
    lines = [f"{each['number']}  {each['at'] or 'the whole file'}\n{_sides(each)}" for each in told]
    show(told, "\n".join(lines) or "There are none.", as_json=as_json)


@click.command("resolve")
@click.argument("number")
@click.argument("keep", type=click.Choice(["mine", "theirs"]))
@as_json
@click.pass_obj
def resolve_command(place: Place, number: str, keep: Any, as_json: bool) -> None:
    """Decide the conflict with this NUMBER, or `all` of them, for mine or theirs.

    The file changes at once, the other devices with the next sync.

    Example: walletsync resolve 1 mine
    """
    wallet = place.wallet()
    with wallet.looked_at() as client:
        file = wallet.content()
        file.take_edits(client)
        if number == "all":
            for _ in client.conflicts:  # each decision may change what the others say is there
                client.resolve(client.conflicts[0], keep)
        else:
            client.resolve(_numbered(client.conflicts, number), keep)
        file.put(client)
        left = len(client.conflicts)
    show({"conflicts": left}, f"Conflicts left: {left}", as_json=as_json)


@click.command("history")
@as_json
@click.pass_obj
def history_command(place: Place, as_json: bool) -> None:
    """List the versions that the server keeps, the current one first.

    Example: walletsync history
    """
    wallet = place.wallet()
    with wallet.signed_in() as client:
        versions = wallet.asked(client, client.history)
    text = "\n".join(f"{each.sequence}  {each.time}  {each.size} bytes  {each.device}" for each in versions)
    show([asdict(each) for each in versions], text or "There are none.", as_json=as_json)


@click.command("restore")
@click.argument("sequence", type=click.IntRange(min=1))
@as_json
@click.pass_obj
def restore_command(place: Place, sequence: int, as_json: bool) -> None:
    """Make an earlier version the current one again. It becomes a new version, so nothing is lost.

    Example: walletsync restore 41
    """
    wallet = place.wallet()
    with wallet.signed_in() as client:
        file = wallet.content()
        file.take_edits(client)
        synced = wallet.asked(client, lambda: client.restore(sequence))
        file.put(client)
    text = f"version {synced.sequence}, with what version {sequence} had"
    show({"sequence": synced.sequence}, text, as_json=as_json)


@click.command("fingerprint")
@as_json
@click.pass_obj
def fingerprint_command(place: Place, as_json: bool) -> None:
    """Show digits that are the same on two devices exactly if both have seen the same history up to this version.

    Example: walletsync fingerprint
    """
    with place.wallet().looked_at() as client:
        fingerprint = client.fingerprint()
    show(asdict(fingerprint), str(fingerprint), as_json=as_json)


@click.command("export")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of stdout.")
@click.option("--version", "sequence", type=click.IntRange(min=1), metavar="SEQUENCE", help="An earlier version.")
@as_json
@click.pass_obj
def export_command(place: Place, output: Path | None, sequence: int | None, as_json: bool) -> None:
    """Write out the wallet as it is on this device, or as it was in an earlier version.

    With --json it is one string, `content`; with --output as well, only the name of the `file` is printed.

    Example: walletsync export --version 41 --output labels-41.jsonl
    """
    wallet = place.wallet()
    if sequence is None:
        with wallet.looked_at() as client:
            content = wallet.encoded(client.get_document())
    else:
        with wallet.signed_in() as client:
            document = wallet.asked(client, lambda: client.version(sequence))
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
        raise UsageError(f"{output} cannot be made: {error.strerror}. Name a file that does not exist yet.") from None
    if as_json:
        show({"file": str(output)}, "", as_json=True)


def _numbered(conflicts: "tuple[Conflict, ...]", number: str) -> "Conflict":
    if not number.isdecimal() or not 1 <= int(number) <= len(conflicts):
        raise UsageError(f"There is no conflict {number}; walletsync conflicts lists those that wait.")
    return conflicts[int(number) - 1]


def _sides(told: dict[str, Any]) -> str:
    def written(name: str) -> str:
        return exactjson.dumps(told[name]) if name in told else "(nothing)"

    return "\n".join(f"   {name + ':':8}{written(name)}" for name in ("base", "mine", "theirs"))


def _word(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
