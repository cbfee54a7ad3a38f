"""`accounts`: who may sign up, and who has an account. All of it works while the server runs, and at once."""

import dataclasses
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from walletsync.protocol import canonical_email
from walletsync_server.cli.options import settings_options
from walletsync_server.configuration import Configuration
from walletsync_server.mail.messages import compose_invitation, invitation
from walletsync_server.mail.smtp import connect, reason, route_of
from walletsync_server.services import utc_now
from walletsync_server.services.account_admin import AccountAdmin, AddressSummary
from walletsync_server.services.store import Store
from walletsync_server.settings import ALLOWLIST, Settings
from walletsync_server.storage import Access, open_storage
from walletsync_server.storage.sqlite.files import draft_beside, put_in_place

_T = TypeVar("_T")
_STDOUT = Path("-")
_ALLOWED_BY_SETTINGS = (
    "The settings let it sign up, and no command takes that back: see accounts and allow in `config`."
)


class _Address(click.ParamType[str]):
    """An e-mail address as the server wants it."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return canonical_email(value)
        except ValueError as error:
            self.fail(f"this address cannot sign up: {error}.", param, ctx)


class _Quota(click.ParamType["int | None"]):
    """A number of bytes, or none."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value == "none":
            return None
        if not re.fullmatch("[1-9][0-9]{0,17}", value):
            self.fail("give a number of bytes, at least 1, or none.", param, ctx)
        return int(value)


@click.group("accounts")
def accounts_group() -> None:
    """Say who may sign up, and see who has an account.

    Changes take effect at once, also in a server that is running.

    Example: walletsync-server accounts add alice@example.com
    """


@accounts_group.command("list")
@settings_options("database")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object in a line for each address.")
def list_command(configuration: Configuration, as_json: bool) -> None:
    """Print every address that has an account, or may sign up by `accounts add` or the settings.

    For each: since when it has an account; of its wallet the current version, how many are kept, and their bytes; how
    many devices are logged in; when the account was last seen, by a log-in or a new version; its quota, and since when
    it is disabled, where that is so. Changes nothing.

    Example: walletsync-server accounts list --json
    """
    with _account_admin(configuration.settings, Access.LOOK) as admin:
        for person in _with_allowed(admin, configuration.settings):
            if as_json:
                click.echo(_as_json(person))
            else:
                click.echo(f"{person.email}  {_describe(person)}")


@accounts_group.command("show")
@settings_options("database")
@click.argument("address", type=_Address())
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def show_command(configuration: Configuration, address: str, as_json: bool) -> None:
    """Print what `accounts list` does of ADDRESS alone, and each device that is logged in. Changes nothing.

    Example: walletsync-server accounts show alice@example.com
    """
    with _account_admin(configuration.settings, Access.LOOK) as admin:
        person, devices = _find(admin, configuration.settings, address), admin.devices(address)
    if as_json:
        shown = {**dataclasses.asdict(person), "devices": [dataclasses.asdict(device) for device in devices]}
        click.echo(json.dumps(shown, default=datetime.isoformat))
        return
    click.echo(f"{person.email}  {_describe(person)}")
    for each in devices:
        click.echo(f"  {each.device_id!r}  logged in {each.logged_in_at:%Y-%m-%d}, until {each.expires_at:%Y-%m-%d}")


@accounts_group.command("logout")
@settings_options("database")
@click.argument("address", type=_Address())
@click.option("--device", metavar="ID", help="Only this device, as `accounts show` names it; otherwise all.")
def logout_command(configuration: Configuration, address: str, device: str | None) -> None:
    """Log out the devices of ADDRESS, at once; to log in again they need the password. Wallets stay.

    Example: walletsync-server accounts logout alice@example.com
    """
    with _account_admin(configuration.settings) as admin:
        _find(admin, configuration.settings, address)
        count = admin.log_out(address, device)
    if not count and device is not None:
        raise click.ClickException("No such device is logged in; see `accounts show`.")
    click.echo(f"{address}: devices logged out: {count}.")


@accounts_group.command("disable")
@settings_options("database")
@click.argument("address", type=_Address())
def disable_command(configuration: Configuration, address: str) -> None:
    """Let nobody into the account of ADDRESS: its devices are logged out at once, and cannot log in again.

    Its password can be neither changed nor used to delete the account, so that a thief cannot either. What is stored
    stays. Only who has the password is told that the account is disabled.

    Example: walletsync-server accounts disable alice@example.com
    """
    with _account_admin(configuration.settings) as admin:
        is_new = _of_account(admin.disable(address))
    click.echo(f"{address} is disabled." if is_new else f"{address} was already disabled.")


@accounts_group.command("enable")
@settings_options("database")
@click.argument("address", type=_Address())
def enable_command(configuration: Configuration, address: str) -> None:
    """Let devices log in to the account of ADDRESS again, which was disabled.

    Example: walletsync-server accounts enable alice@example.com
    """
    with _account_admin(configuration.settings) as admin:
        is_new = _of_account(admin.enable(address))
    click.echo(f"{address} is enabled; its devices log in again." if is_new else f"{address} was not disabled.")


@accounts_group.command("quota")
@settings_options("database")
@click.argument("address", type=_Address())
@click.argument("quota", type=_Quota(), metavar="BYTES")
def quota_command(configuration: Configuration, address: str, quota: int | None) -> None:
    """Limit what is kept of the wallet of ADDRESS to BYTES, all versions together; none takes the limit back.

    Of earlier versions as many are kept as have room. A new version that alone has more is refused as too large. It
    holds from the next version on, in place of kept_bytes; max_wallet_bytes holds besides.

    Example: walletsync-server accounts quota alice@example.com 1000000
    """
    with _account_admin(configuration.settings) as admin:
        _of_account(admin.set_quota(address, quota) or None)
        size = _find(admin, configuration.settings, address).size
    limited = f"at most {quota} bytes are kept, all versions together" if quota else "no quota"
    click.echo(f"{address}: {limited}.")
    if quota and size > quota:
        click.echo(
            f"{size} bytes are kept now: the oldest versions go with the next one, and that is refused if it alone has "
            "more.",
            err=True,
        )


@accounts_group.command("export")
@settings_options("database")
@click.argument("address", type=_Address())
@click.argument("file", type=click.Path(path_type=Path))
def export_command(configuration: Configuration, address: str, file: Path) -> None:
    """Write all that the server keeps of the account of ADDRESS to FILE, as JSON; - is stdout. Changes nothing.

    That is for its owner: all kept versions of the wallet, encrypted as they are, with the seed that the password needs
    to open them; devices, times and mails. No hash of a password or token is in it. FILE must not exist yet; only who
    runs this can read it.

    Example: walletsync-server accounts export alice@example.com alice.json
    """
    with _account_admin(configuration.settings, Access.LOOK) as admin:
        text = json.dumps(_of_account(admin.export(address)), indent=2) + "\n"
    if file == _STDOUT:
        click.echo(text, nl=False)
        return
    with draft_beside(file) as draft:
        draft.write_text(text)
        put_in_place(draft, file, replace=False)
    click.echo(f"{file}: all that is kept of {address}.", err=True)


@accounts_group.command("add")
@settings_options("database")
@click.argument("address", type=_Address())
def add_command(configuration: Configuration, address: str) -> None:
    """Let ADDRESS sign up. Its owner does that, with a password that the server never sees.

    Example: walletsync-server accounts add alice@example.com
    """
    with _account_admin(configuration.settings) as admin:
        if admin.allow(address):
            click.echo(f"{address} may sign up.")
        else:
            click.echo(f"{address} was already allowed.")
    _tell_if_needless(configuration.settings)


@accounts_group.command("invite")
@settings_options("database", "accounts", "public_url")
@click.argument("address", type=_Address())
def invite_command(configuration: Configuration, address: str) -> None:
    """Let ADDRESS sign up, and mail an invitation to it; without a mail server, print the invitation.

    Needs public_url, which the invitation names. It holds no secret: whoever signs up with ADDRESS first gets its
    account, unless accounts is email, where ADDRESS has to be confirmed.

    Example: walletsync-server accounts invite alice@example.com
    """
    settings = configuration.settings
    if not settings.public_url:
        raise click.UsageError("An invitation names the server's address: set it with --public-url.")
    if settings.accounts == ALLOWLIST:
        with _account_admin(settings) as admin:
            admin.allow(address)
    if not settings.mail_server:
        click.echo(f"{address} may sign up. No mail server is set, so pass this on yourself:\n", err=True)
        click.echo(invitation(settings.public_url), nl=False)
        return
    try:
        _send_invitation(settings, address)
    except OSError as error:  # SMTPException is one
        said = f"The address may sign up now, but {settings.mail_server} did not take the invitation: {reason(error)}."
        raise click.ClickException(said) from None
    click.echo(f"{address} may sign up, and the invitation was sent.")


def _send_invitation(settings: Settings, address: str) -> None:
    route = route_of(settings)
    message = compose_invitation(address, sender=route.sender, public_url=route.public_url, now=utc_now())
    with connect(route) as connection:
        connection.send_message(message, route.sender, [address])


@accounts_group.command("remove")
@settings_options("database")
@click.argument("address", type=_Address())
@click.option("--keep-account", is_flag=True, help="Only withdraw the permission to sign up; an account stays.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove_command(configuration: Configuration, address: str, keep_account: bool, yes: bool) -> None:
    """Delete the account of ADDRESS and all that belongs to it, and withdraw its permission to sign up.

    Its wallet with all versions, its devices' logins and its password go. After that only backups have them, and
    devices their own copies. Asks before it deletes an account.

    Example: walletsync-server accounts remove alice@example.com
    """
    with _account_admin(configuration.settings) as admin:
        person = _find(admin, configuration.settings, address)
        if person.created_at and not keep_account and not yes:
            click.confirm(f"{address}: {_describe(person)}. Delete all of it?", abort=True, err=True)
        removed = admin.remove(address, account=not keep_account)
    click.echo(f"{address}: {'the account is deleted, ' if removed.account else ''}it may no longer sign up.")
    if configuration.settings.may_sign_up(address):
        click.echo(_ALLOWED_BY_SETTINGS, err=True)


@contextmanager
def _account_admin(settings: Settings, access: Access = Access.CHANGE) -> Iterator[AccountAdmin]:
    storage = open_storage(settings.database, access=access, inline=True)
    try:
        yield AccountAdmin(Store(storage), utc_now)
    finally:
        storage.close()


def _find(admin: AccountAdmin, settings: Settings, address: str) -> AddressSummary:
    person = admin.find(address)
    if person is None and settings.may_sign_up(address):
        raise click.ClickException(f"This address has no account. {_ALLOWED_BY_SETTINGS}")
    if person is None:
        raise click.ClickException("This address has no account and no permission to sign up; see `accounts list`.")
    return person


def _of_account(found: _T | None) -> _T:
    if found is None:
        raise click.ClickException("This address has no account; see `accounts list`.")
    return found


def _as_json(person: AddressSummary) -> str:
    return json.dumps(dataclasses.asdict(person), default=datetime.isoformat)


def _with_allowed(admin: AccountAdmin, settings: Settings) -> Iterator[AddressSummary]:
    """Return everybody, also those whom only the settings allow, in the order of the addresses."""
    waiting = sorted(settings.allow, reverse=True)
    for person in admin.all():
        while waiting and waiting[-1] < person.email:
            yield AddressSummary(email=waiting.pop(), allowed=True)
        if waiting and waiting[-1] == person.email:
            person = dataclasses.replace(person, allowed=True)
            waiting.pop()
        yield person
    yield from (AddressSummary(email=email, allowed=True) for email in reversed(waiting))


def _describe(person: AddressSummary) -> str:
    if person.created_at is None:
        return "may sign up"
    kept = f"versions kept: {person.versions}, {person.size} bytes"
    wallet = f"wallet version {person.current_sequence}, {kept}" if person.current_sequence else "no wallet"
    seen = f"{person.last_seen:%Y-%m-%d}" if person.last_seen else "not known"
    quota = f", quota: {person.quota} bytes" if person.quota is not None else ""
    disabled = f", disabled since {person.disabled_at:%Y-%m-%d}" if person.disabled_at else ""
    since = f"account since {person.created_at:%Y-%m-%d}, {wallet}{quota}"
    return f"{since}, devices: {person.devices}, last seen: {seen}{disabled}"


def _tell_if_needless(settings: Settings) -> None:
    if settings.accounts != ALLOWLIST:
        click.echo(f"The settings let everybody sign up: accounts is {settings.accounts}.", err=True)
