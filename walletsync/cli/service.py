"""`watch` in the background, as a service of this person."""

import hashlib
import os
import re
import sys
from pathlib import Path

import click

from walletsync.cli import secrets
from walletsync.cli.output import as_json, say, show
from walletsync.cli.service_managers import Program, manager
from walletsync.cli.wallet import Wallet, WalletSelector
from walletsync.errors import UsageError


@click.group("service")
def service_group() -> None:
    """Keep the file in sync in the background, also after the next start of this machine.

    Example: walletsync service install
    """


@service_group.command("install")
@as_json
@click.pass_obj
def install_command(selector: WalletSelector, as_json: bool) -> None:
    """Let walletsync watch run in the background from now on.

    It cannot ask for the password: that is in the file that WALLETSYNC_PASSWORD_FILE names now, or in the keyring.

    Example: walletsync service install
    """
    wallet = selector.wallet()
    program, keeper = _program(wallet), manager()
    keeper.install(program)
    show({"name": program.name}, f"{wallet.file} is kept in sync by the service {program.name}.", as_json=as_json)
    say(f"Whether it runs: walletsync service status. What it does: {keeper.log.format(name=program.name)}")
    if not program.variables:
        say(
            "It runs while you are logged in and the keyring is open. To have it run without you, put the password "
            f"into a file, name that in {secrets.PASSWORD_FILE}, and install it again."
        )
    elif lack := keeper.lacks():
        say(lack)


@service_group.command("uninstall")
@as_json
@click.pass_obj
def uninstall_command(selector: WalletSelector, as_json: bool) -> None:
    """Let it run no more. The file and all that this device knows stay.

    Example: walletsync service uninstall
    """
    wallet = selector.wallet()
    was_there = manager().uninstall(_name(wallet))
    text = "no longer kept in sync in the background" if was_there else "not kept in sync by a service"
    show({"uninstalled": was_there}, f"{wallet.file} is {text}.", as_json=as_json)


@service_group.command("status")
@as_json
@click.pass_obj
def service_status_command(selector: WalletSelector, as_json: bool) -> None:
    """Say whether it is installed, and whether it runs.

    Example: walletsync service status
    """
    name, keeper = _name(selector.wallet()), manager()
    state = keeper.state(name) if keeper.file(name).exists() else None
    text = "not installed" if state is None else f"{state}; what it does: {keeper.log.format(name=name)}"
    show({"name": name, "state": state}, text, as_json=as_json)


def _program(wallet: Wallet) -> Program:
    """Return `watch` of a wallet, wherever it is started, with nobody there to type a password.

    Raises:
        UsageError: the password is nowhere but in the person's head.
    """
    variables = {}
    if file := secrets.password_file():
        if not file.is_file():
            raise UsageError(
                f"{secrets.PASSWORD_FILE} names something that is there only now. Name a file that stays, and that "
                "only you can read."
            )
        variables[secrets.PASSWORD_FILE] = str(file)
    elif secrets.from_keyring(wallet.account) is None:
        raise UsageError(
            "A service cannot ask for the password. Put it into a file that only you can read, and name that file in "
            f"{secrets.PASSWORD_FILE}; or have the keyring keep it: walletsync login --keyring"
        )
    command = (sys.executable, "-P", "-m", "walletsync", "--file", str(_place(wallet)), "watch")
    return Program(_name(wallet), f"walletsync watch {wallet.file.name}", command, variables)


def _name(wallet: Wallet) -> str:
    """Return a name that tells this file from all others of the same name."""
    place = os.fsencode(_place(wallet))
    plain = re.sub(r"[^A-Za-z0-9]+", "-", wallet.file.stem).strip("-") or "wallet"
    return f"walletsync-{plain}-{hashlib.sha256(place).hexdigest()[:8]}"


def _place(wallet: Wallet) -> Path:
    """Return the file by the one path that it has however its folder was typed."""
    return wallet.file.parent.resolve() / wallet.file.name
