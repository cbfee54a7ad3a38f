"""`bridge`: a wallet program that is asked for its labels and told of others', in place of exports and imports."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec

from walletsync.cli.bridging import seen_file
from walletsync.cli.output import as_json, say, show
from walletsync.cli.wallet import Wallet, WalletSelector
from walletsync.errors import BridgeError, UsageError

if TYPE_CHECKING:
    from walletsync.bridges.base import Look
    from walletsync.bridges.chosen import Chosen

C = TypeVar("C", bound=Callable[..., Any])

_PASSES: Final = {
    "electrum": "Labels of the wallet's addresses and of the transactions in its history pass, both ways.",
    "bitcoin-core": "Labels of the wallet's addresses pass, both ways. It has no labels of transactions or coins.",
    "liana": "Labels of addresses, transactions and coins pass, both ways.",
}
_STAYS: Final = "All other labels stay in the account and in the file."

_folder = click.option("--folder", metavar="FOLDER", help="The program's own folder, if it is not the usual one.")
_url = click.option("--url", metavar="URL", help="Where the program listens, if its folder does not say it.")


def _wallet(of: str) -> Callable[[C], C]:
    return click.option("--wallet", metavar="WALLET", help=f"Which of the program's wallets: {of}.")


@click.group("bridge")
def bridge_group() -> None:
    """Let walletsync ask your wallet program itself, so that you need not export and import.

    Example: walletsync bridge electrum
    """


@bridge_group.command("electrum")
@_folder
@_url
@_wallet("its file; else the one that Electrum uses by default")
@as_json
@click.pass_obj
def electrum_command(
    selector: WalletSelector, folder: str | None, url: str | None, wallet: str | None, as_json: bool
) -> None:
    """Have sync and watch ask Electrum, in which the wallet is open.

    Example: walletsync bridge electrum --folder ~/.electrum
    """
    file = None if wallet is None else str(Path(wallet).absolute())
    _choose(selector, "electrum", folder, url, file, as_json)


@bridge_group.command("bitcoin-core")
@_folder
@_url
@_wallet("its name, if more than one is loaded")
@as_json
@click.pass_obj
def bitcoin_core_command(
    selector: WalletSelector, folder: str | None, url: str | None, wallet: str | None, as_json: bool
) -> None:
    """Have sync and watch ask Bitcoin Core, in which the wallet is loaded.

    Example: walletsync bridge bitcoin-core --url http://127.0.0.1:8332 --wallet savings
    """
    _choose(selector, "bitcoin-core", folder, url, wallet, as_json)


@bridge_group.command("liana")
@_folder
@as_json
@click.pass_obj
def liana_command(selector: WalletSelector, folder: str | None, as_json: bool) -> None:
    """Have sync and watch ask Liana.

    Example: walletsync bridge liana --folder ~/.liana/bitcoin
    """
    _choose(selector, "liana", folder, None, None, as_json)


@bridge_group.command("off")
@as_json
@click.pass_obj
def off_command(selector: WalletSelector, as_json: bool) -> None:
    """Ask no program any more. The file and all labels stay, here and in the program.

    Example: walletsync bridge off
    """
    wallet = selector.wallet()
    was_there = wallet.bridge_file.exists()
    if was_there:
        _forget(wallet)
    text = "no longer asked" if was_there else "not asked"
    show({"off": was_there}, f"A program is {text} for the labels of {wallet.file}.", as_json=as_json)


@bridge_group.command("status")
@as_json
@click.pass_obj
def bridge_status_command(selector: WalletSelector, as_json: bool) -> None:
    """Say which program is asked, and ask it.

    Example: walletsync bridge status
    """
    from walletsync.bridges.chosen import chosen

    wallet = selector.wallet()
    found = chosen(wallet.bridge_file)
    if found is None:
        show({"bridge": None}, f"No program is asked for the labels of {wallet.file}.", as_json=as_json)
        return
    program, look = found.bridge().program, _look(found)
    text = f"{program} answers: {len(look.labels)} labels."
    show({"bridge": found.name, "labels": len(look.labels)}, text, as_json=as_json)
    say(f"{_PASSES[found.name]} {_STAYS}")


def _choose(
    selector: WalletSelector, name: str, folder: str | None, url: str | None, wallet_name: str | None, as_json: bool
) -> None:
    """Ask the program, and keep that it is to be asked."""
    from walletsync.bridges.chosen import Chosen
    from walletsync.walletfile import write_file

    wallet = selector.wallet()
    place = None if folder is None else str(Path(folder).expanduser().absolute())
    new = Chosen(name=name, folder=place, url=url, wallet=wallet_name)
    bridge = new.bridge()
    if wallet.settings.format not in bridge.formats:
        raise UsageError(
            f"A file of the format {wallet.settings.format} cannot hold the labels of {bridge.program}. Set one up "
            f"that can: walletsync init ANOTHER_FILE --format {bridge.formats[0]} …"
        )
    look = bridge.look()
    _forget(wallet)
    write_file(wallet.bridge_file, msgspec.json.encode(msgspec.structs.replace(new, identity=look.wallet)))
    text = f"{bridge.program} is asked from now on: it has {len(look.labels)} labels."
    show({"bridge": name, "labels": len(look.labels)}, text, as_json=as_json)
    say(f"{_PASSES[name]} {_STAYS} Now: walletsync sync, or walletsync watch")


def _look(found: "Chosen") -> "Look":
    bridge = found.bridge()
    look = bridge.look()
    if look.wallet != found.identity:
        raise BridgeError(
            f"{bridge.program} has another wallet open than the one that was there when the bridge was chosen. Open "
            "that one, or choose the bridge anew."
        )
    return look


def _forget(wallet: Wallet) -> None:
    """Let no program have said anything: whatever is next in the file is from another one, which deletes nothing."""
    with wallet.without_password() as client:
        wallet.wallet_file().forget_program(client)
        wallet.bridge_file.unlink(missing_ok=True)
        seen_file(wallet).unlink(missing_ok=True)
