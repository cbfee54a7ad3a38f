"""Where passwords come from: a file, the keyring, or a prompt. Never the command line, which everybody can read."""

import os
import sys
from pathlib import Path

import click

from walletsync.errors import UsageError

_SERVICE = "walletsync"
PASSWORD_FILE, NEW_PASSWORD_FILE = "WALLETSYNC_PASSWORD_FILE", "WALLETSYNC_NEW_PASSWORD_FILE"


def password(account: str, *, ignore_keyring: bool = False, confirm: bool = False) -> str:
    """Return the account's password: from the file that the environment names, the keyring, or a prompt.

    `ignore_keyring`: a person types it, even if the keyring has one; `confirm`: twice.
    """
    found = _from_file(PASSWORD_FILE)
    if found is None and not ignore_keyring:
        found = from_keyring(account)
    return _prompt("Password", confirm) if found is None else found


def new_password() -> str:
    """Return the password to use from now on."""
    found = _from_file(NEW_PASSWORD_FILE)
    return _prompt("New password", confirm=True, file=NEW_PASSWORD_FILE) if found is None else found


def password_file() -> Path | None:
    """Return the file with the password that the environment names, wherever it is looked at from; None without one.

    Raises:
        UsageError: it cannot be read.
    """
    return None if _from_file(PASSWORD_FILE) is None else Path(os.environ[PASSWORD_FILE]).absolute()


def from_keyring(account: str) -> str | None:
    """Return the password that the keyring has, None if it has none or there is no keyring."""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, account)
    except (KeyringError, RuntimeError):
        return None


def save_to_keyring(account: str, password: str) -> None:
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
            f"There is no keyring here that can keep a password. Put it into a file of your own, and name that file in "
            f"{PASSWORD_FILE}."
        ) from None


def remove_from_keyring(account: str) -> None:
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
    except FileNotFoundError:
        raise UsageError(f"There is no file {name}, which {variable} names.") from None
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"The file that {variable} names cannot be read as UTF-8 text.") from None
    found = text.removesuffix("\n").removesuffix("\r")
    if not found:
        raise UsageError(f"The file that {variable} names is empty; it should hold the password, as its only line.")
    return found


def _prompt(what: str, confirm: bool, file: str = PASSWORD_FILE) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"There is no terminal on which to ask for the password. Put it into a file that only you can read, and "
            f"name that file in {file}."
        )
    answer: str = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
    return answer
