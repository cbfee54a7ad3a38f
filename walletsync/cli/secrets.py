"""Where passwords come from: a file, the keyring, or a prompt. Never the command line, which everybody can read."""

import os
import sys
from pathlib import Path

import click

from walletsync.errors import UsageError

_SERVICE = "walletsync"
PASSWORD_FILE, NEW_PASSWORD_FILE = "WALLETSYNC_PASSWORD_FILE", "WALLETSYNC_NEW_PASSWORD_FILE"


def password(account: str, *, anew: bool = False, confirm: bool = False) -> str:
    """Return the account's password: from the file that the environment names, the keyring, or a prompt.

    `anew`: what the keyring has does not count, a person types it; `confirm`: twice.
    """
    found = _from_file(PASSWORD_FILE)
    if found is None and not anew:
        found = kept(account)
    return _asked("Password", confirm) if found is None else found


def new_password() -> str:
    """Return the password that shall hold from now on."""
    found = _from_file(NEW_PASSWORD_FILE)
    return _asked("New password", confirm=True, file=NEW_PASSWORD_FILE) if found is None else found


def kept(account: str) -> str | None:
    """Return the password that the keyring has, None if it has none or there is no keyring."""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, account)
    except (KeyringError, RuntimeError):
        return None


def keep(account: str, password: str) -> None:
    """Put a password into the keyring.

    Raises:
        UsageError: there is no keyring.
    """
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_SERVICE, account, password)
    except (KeyringError, RuntimeError):
        raise UsageError(
            f"There is no keyring here that takes a password. Use a file of your own, named by {PASSWORD_FILE}."
        ) from None


def forget(account: str) -> None:
    """Take the password out of the keyring, if there is one."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.delete_password(_SERVICE, account)
    except (KeyringError, RuntimeError):
        return  # there was none


def _from_file(variable: str) -> str | None:
    name = os.environ.get(variable)
    if not name:
        return None
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"The file that {variable} names cannot be read as text in UTF-8.") from None
    found = text.removesuffix("\n").removesuffix("\r")
    if not found:
        raise UsageError(f"The file that {variable} names is empty; the password is its only line.")
    return found


def _asked(what: str, confirm: bool, file: str = PASSWORD_FILE) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"There is no terminal to ask for the password on. Put it into a file that only you can read, and name "
            f"that file in {file}."
        )
    answer: str = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
    return answer
