"""Commands about the account: set up, register, log in and out, change the password, list devices, delete it all."""

import os
import shlex
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from walletsync.cli import secrets
from walletsync.cli.errors import HINTS
from walletsync.cli.output import as_json, one_line, say, show
from walletsync.cli.wallet import FORMATS, Wallet, WalletSelector, WalletSettings, guess_format
from walletsync.errors import DocumentError, UnrelatedWallet, UnsyncedEdits, UsageError, WalletFileError
from walletsync.remedies import Remedy

if TYPE_CHECKING:
    from walletsync.client import Client


@click.command("init")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--server", metavar="URL", required=True, help="Address of the server.")
@click.option("--email", metavar="ADDRESS", required=True, help="Address of the account, in lower case.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    help="Default: bip329 for a .jsonl file, or a .txt file with labels; electrum or lbry if that is what is in it; "
    "else json.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="PLACE=FIELD",
    help="In a JSON file, FIELD tells the items of the list at PLACE apart, such as /accounts=id. May be repeated; "
    "name the same on each device.",
)
@click.option(
    "--wallet",
    "wallet_name",
    default="",
    metavar="NAME",
    help="What to call this wallet beside others in the same account; name the same on each device.",
)
@click.option(
    "--device",
    metavar="NAME",
    help="Name of this device; each needs its own, and each file on it, too. Random by default.",
)
@click.option("--realm", metavar="URL", help="Earlier address of the server, if it has moved since you registered.")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    help="CA certificates to trust instead of the usual ones.",
)
@click.option(
    "--allow-plain-http", is_flag=True, help="Send tokens unencrypted to a server that is not on this machine."
)
@click.option(
    "--max-deletions",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="NUMBER",
    help="A program that takes away more than this many entries of the file at once is asked about first …",
)
@click.option(
    "--max-deletions-percent",
    type=click.IntRange(0, 100),
    default=10,
    show_default=True,
    metavar="PERCENT",
    help="… if that is also more than this part of all.",
)
@as_json
def init_command(
    file: Path,
    server: str,
    email: str,
    format_name: str | None,
    keys: tuple[str, ...],
    wallet_name: str,
    device: str | None,
    realm: str | None,
    ca_file: str | None,
    allow_plain_http: bool,
    max_deletions: int,
    max_deletions_percent: int,
    as_json: bool,
) -> None:
    """Set up a wallet's FILE on this device. Nothing is sent.

    What this device keeps about it goes into the folder FILE.walletsync beside it.

    Example: walletsync init labels.jsonl --server https://sync.example.com --email alice@example.com
    """
    format = format_name or guess_format(file)
    settings = WalletSettings(
        server=server,
        email=email,
        format=format,
        format_is_guessed=not (format_name or keys) and format == "json" and not os.path.lexists(file),
        wallet=wallet_name,
        keys=dict(map(_place_and_field, keys)),
        realm=realm,
        ca_file=None if ca_file is None else str(Path(ca_file).absolute()),
        allow_plain_http=allow_plain_http,
        max_deletions=max_deletions,
        max_deletions_percent=max_deletions_percent,
    )
    wallet = Wallet.create(file, settings, device)
    called = {"wallet": wallet_name} if wallet_name else {}
    show(
        {"file": str(wallet.file), "format": settings.format} | called,
        f"{file} is set up, as {settings.format}{f', for the wallet {wallet_name}' if called else ''}.",
        as_json=as_json,
    )
    say("Next: walletsync register, or walletsync login if you already have an account.")


def _place_and_field(key: str) -> tuple[str, str]:
    place, equals, field = key.rpartition("=")
    if not equals or not field:
        raise UsageError(f"--key {key} names no field: write the list's place and the field, such as --key /items=id.")
    return place, field


@click.command("register")
@click.option("--anew", is_flag=True, help="The account that this device knows was deleted; begin again with the file.")
@as_json
@click.pass_obj
def register_command(selector: WalletSelector, anew: bool, as_json: bool) -> None:
    """Make the account on the server, and log this device in.

    The password protects the wallet from the server too, so nobody can recover it for you.

    Example: walletsync register
    """
    with selector.wallet().with_password(confirm=True) as client:
        registered = client.register(anew=anew)
        if registered.verified:
            client.get_auth_token()
    text = "The account exists, and this device is logged in."
    if not registered.verified:
        text = "Open the link in the mail that the server sent, then: walletsync login"
    show({"email": registered.email, "verified": registered.verified}, text, as_json=as_json)


@click.command("login")
@click.option("--new-password", is_flag=True, help="The password was changed on another device; type the new one.")
@click.option("--keyring", is_flag=True, help="Keep the password in this system's keyring.")
@as_json
@click.pass_obj
def login_command(selector: WalletSelector, new_password: bool, keyring: bool, as_json: bool) -> None:
    """Log this device in. Another one that has the same name is logged out by that.

    Example: walletsync login --keyring
    """
    wallet = selector.wallet()
    with wallet.with_password(new_password=new_password, ignore_keyring=True) as client:
        token = client.get_auth_token()
        if keyring or secrets.from_keyring(wallet.account) is not None:  # an old one there would be used again
            secrets.save_to_keyring(wallet.account, wallet.password)
        if wallet.adopt_format(client):
            say(f"{wallet.file} will be a file of the format {wallet.settings.format}, as the account's wallet is.")
        _tell_if_unrelated(wallet, client)
        _tell_if_new(wallet, client)
    show({"device": token.device, "expiration": token.expiration}, "This device is logged in.", as_json=as_json)


def _tell_if_unrelated(wallet: Wallet, client: "Client") -> None:
    """Say so at once, if the file seems to be of another wallet than the account's, as `sync` does later."""
    if not wallet.file.exists():
        return
    wallet.get_before_first_look(client)
    with suppress(DocumentError, WalletFileError):  # what is wrong with the file is said when it is needed
        try:
            wallet.wallet_file().check_is_related(client)
        except UnrelatedWallet as error:
            say(f"{error.message}\nhint: {HINTS[Remedy.JOIN_OR_USE_ANOTHER_ACCOUNT]}")


def _tell_if_new(wallet: Wallet, client: "Client") -> None:
    """Say which wallets there are, if the file's is none of them: a name may be mistyped, or left out."""
    if wallet.in_account(client) and not wallet.is_in_account(client):
        say(f"{wallet.missing(client)} The first sync makes it.")


@click.command("rename")
@click.argument("name", metavar="NAME")
@as_json
@click.pass_obj
def rename_command(selector: WalletSelector, name: str, as_json: bool) -> None:
    """Give this device another name, where two have the same one or its folder was copied. Nothing is lost.

    Take one that walletsync devices does not list: two devices of one name log each other out.

    Example: walletsync rename desktop
    """
    with selector.wallet().without_password() as client:
        earlier = client.device_id
        client.rename_device(name)
    show({"device": name}, f"This device is {name} now, and logs in as that with its next sync.", as_json=as_json)
    say(f"If no other device has the earlier name, log that out: walletsync devices --revoke {shlex.quote(earlier)}")


@click.command("logout")
@as_json
@click.pass_obj
def logout_command(selector: WalletSelector, as_json: bool) -> None:
    """Log this device out, and take the password out of the keyring. The wallet's file stays.

    Example: walletsync logout
    """
    wallet = selector.wallet()
    with wallet.without_password() as client:
        client.log_out()
    secrets.remove_from_keyring(wallet.account)
    show({"loggedIn": False}, "This device is logged out.", as_json=as_json)


@click.command("password")
@as_json
@click.pass_obj
def password_command(selector: WalletSelector, as_json: bool) -> None:
    """Change the account's password. All devices are logged out; this one logs in again.

    If it is interrupted, type the same two passwords again.

    Example: walletsync password
    """
    wallet = selector.wallet()
    with wallet.with_password() as client:
        if wallet.wallet_file().is_edited() and not client.has_open_password_change:
            raise UnsyncedEdits(
                "The wallet's file has edits that are not synced yet. Nothing was changed.", remedy=Remedy.SYNC
            )
        new = secrets.new_password()
        changed = client.change_password(new)
    wallet.keep_in_keyring(new)
    show(
        {"sequence": changed.sequence},
        "The new password is in force. Log in with it on your other devices.",
        as_json=as_json,
    )


@click.command("devices")
@click.option("--revoke", metavar="NAME", help="Log this device out.")
@as_json
@click.pass_obj
def devices_command(selector: WalletSelector, revoke: str | None, as_json: bool) -> None:
    """List the devices that are logged in, or log one of them out.

    Example: walletsync devices --revoke old-phone
    """
    wallet = selector.wallet()
    with wallet.logged_in() as client:
        if revoke is not None:
            wallet.with_valid_token(client, lambda: client.revoke_device(revoke))
            show({"revoked": revoke}, f"{revoke} is logged out.", as_json=as_json)
            say("It keeps the wallet and the password that it has: if the device is lost, change the password, too.")
            return
        devices = wallet.with_valid_token(client, client.devices)
        own = client.device_id
    text = "\n".join(
        f"{one_line(each.device)}  since {one_line(each.since)}{'  (this one)' if each.device == own else ''}"
        for each in devices
    )
    show([asdict(each) for each in devices], text, as_json=as_json)


@click.command("delete-account")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@as_json
@click.pass_obj
def delete_account_command(selector: WalletSelector, yes: bool, as_json: bool) -> None:
    """Delete the account and everything that the server keeps of it. The wallet's file stays.

    walletsync register makes the account anew, with the file as its first version.

    Example: walletsync delete-account
    """
    wallet = selector.wallet()
    if not yes:
        click.confirm(
            f"Delete the account of {wallet.settings.email} on {wallet.settings.server}, with every wallet in it?",
            abort=True,
            err=True,
        )
    with wallet.with_password() as client:
        client.delete_account()
    secrets.remove_from_keyring(wallet.account)
    show({"deleted": wallet.settings.email}, "The account is deleted. The wallet's file is unchanged.", as_json=as_json)
