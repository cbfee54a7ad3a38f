"""One wallet that was set up: its file, and beside it the folder with everything that this device keeps about it.

labels.jsonl                     the wallet's file
labels.jsonl.walletsync/         mode 0700
    settings.json                server, address, format
    store                        the device's state
    memory                       what the file had when we last took from it or put into it, and what the program knows
    bridge.json                  which program is asked for its labels, if one is
    bridge.seen                  the labels that it had at the last look
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from walletsync.cli import secrets
from walletsync.cli.output import deriving
from walletsync.errors import DocumentError, NotReady, NoWallet, OtherFormat, StoreUnusable, Unauthorized, UsageError
from walletsync.remedies import Remedy

if TYPE_CHECKING:
    from walletsync.client import Client
    from walletsync.formats.base import FileFormat
    from walletsync.formats.one_wallet import OneWallet
    from walletsync.walletfile import WalletFile

T = TypeVar("T")

_SUFFIX = ".walletsync"
FORMATS = ("json", "bip329", "electrum", "lbry")
_OF_LBRY = {"version", "preferences", "accounts"}
_LABELLED = re.compile("[0-9a-f]{64}|(bc1|tb1|bcrt1)[0-9a-z]{11,87}|[123mn][1-9A-HJ-NP-Za-km-z]{25,34}")
"""What Electrum has labels of: a transaction's id, or an address."""
VIEWS = {"electrum": "bip329"}
"""Formats of files that show documents of another one."""


class WalletSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `init` was told."""

    server: str
    email: str
    format: str
    format_is_guessed: bool = False
    """Whether nobody has named the format, and there was no file to see it from."""
    realm: str | None = None
    ca_file: str | None = None
    allow_plain_http: bool = False
    wallet: str = ""
    """What the wallet is called that the file is of, beside others in the same account."""
    keys: dict[str, str] = {}
    """Lists of a JSON wallet, each with the field that tells its items apart."""
    max_deletions: int = 5
    """A write that takes away more than this, and more than `max_deletions_percent` of all, waits to be confirmed."""
    max_deletions_percent: int = 10


class WalletSelector:
    """Finds the wallet that a command is about: the one that was named, or the only one in this folder."""

    def __init__(self, file: str | None) -> None:
        self._file = file

    def wallet(self) -> "Wallet":
        """Return the wallet.

        Raises:
            UsageError: there is none, or more than one to choose from.
        """
        if self._file is not None:
            return Wallet.open(Path(self._file))
        found = sorted(Path().glob(f"*{_SUFFIX}/settings.json"))
        if len(found) != 1:
            many = "More than one wallet is set up in this folder" if found else "No wallet is set up in this folder"
            raise UsageError(f"{many}. Name its file: walletsync --file FILE …; or set one up: walletsync init FILE …")
        return Wallet.open(Path(found[0].parent.name.removesuffix(_SUFFIX)))


class Wallet:
    """A wallet that was set up by `init`."""

    def __init__(self, file: Path, settings: WalletSettings) -> None:
        self.file = file
        self.settings = settings
        self.password = ""
        self.joins = False
        """Whether a file that is new is put into the account also where it seems to be of another wallet."""
        self._account_is_empty = False

    @classmethod
    def open(cls, file: Path) -> "Wallet":
        """Return the wallet of `file`.

        Raises:
            UsageError: it was not set up.
            StoreUnusable: what `init` kept is damaged, or somebody else's.
        """
        try:
            data = (_folder(file) / "settings.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(
                f"{file} is not set up. To do that: walletsync init {file} --server URL --email ADDRESS"
            ) from None
        except OSError as error:
            raise StoreUnusable(f"{_folder(file) / 'settings.json'} cannot be read: {error.strerror}.") from None
        try:
            return cls(file, msgspec.json.decode(data, type=WalletSettings))
        except msgspec.MsgspecError:
            raise StoreUnusable(
                f"{_folder(file) / 'settings.json'} is damaged; move the folder away and set the wallet up again."
            ) from None

    @classmethod
    def create(cls, file: Path, settings: WalletSettings, device: str | None) -> "Wallet":
        """Set a wallet up; nothing is sent.

        Raises:
            UsageError: it is set up already, cannot be, or something in `settings` is wrong.
        """
        from walletsync.formats.wallets import is_name

        if not file.name:
            raise UsageError("The wallet's file needs a name.")
        if not is_name(settings.wallet):
            raise UsageError(
                f"No wallet can be called {settings.wallet!r}: use up to 64 letters and digits, with spaces, '.', '-' "
                "and '_' between them."
            )
        folder = _folder(file)
        with _reporting_os_errors(folder):
            if (folder / "settings.json").exists():
                raise UsageError(
                    f"{file} is already set up; walletsync --file {file} status shows how. To set it up anew, move "
                    f"{folder} away."
                )
            if not file.absolute().parent.is_dir():
                raise UsageError(f"The folder of {file} does not exist; create it first.")
        wallet = cls(file, settings)
        with wallet._client(device, in_memory=True) as client:
            client.set_account(settings.email, "checked, not used")
        with _reporting_os_errors(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        with wallet._client(device) as client:
            client.set_account(settings.email, "checked, not used")
        wallet._save_settings()  # last: a wallet is set up wholly or not at all
        return wallet

    def _save_settings(self) -> None:
        from walletsync.walletfile import write_file

        text = json.dumps(msgspec.to_builtins(self.settings), indent=2, ensure_ascii=False) + "\n"
        write_file(_folder(self.file) / "settings.json", text.encode())

    @property
    def account(self) -> str:
        """The account's name in the keyring."""
        return f"{self.settings.email} at {self.settings.server}"

    def keep_in_keyring(self, password: str) -> None:
        """Let `password` take the place of the one that the keyring has of this account, if it has one."""
        if secrets.from_keyring(self.account) is not None:
            secrets.save_to_keyring(self.account, password)

    def without_password(self) -> AbstractContextManager["Client"]:
        """Return a context with a client that has no password: it can show and decide things, not sync."""
        return self._client(None)

    @contextmanager
    def with_password(
        self, *, new_password: bool = False, ignore_keyring: bool = False, confirm: bool = False
    ) -> Iterator["Client"]:
        """Return a context with a client that knows the password.

        `new_password`: the password was changed on another device. `anew`: the person types it, whatever the keyring
        has; `confirm`: twice, since nothing can tell yet whether it is right.
        """
        with self._client(None) as client:
            self.password = secrets.password(self.account, ignore_keyring=ignore_keyring or confirm, confirm=confirm)
            client.set_account(self.settings.email, self.password, accept_new_password=new_password)
            yield client

    @contextmanager
    def logged_in(self) -> Iterator["Client"]:
        """Return a context with a client that holds a token."""
        with self.with_password() as client:
            if not client.is_logged_in:
                client.get_auth_token()
            yield client

    @staticmethod
    def with_valid_token(client: "Client", action: Callable[[], T]) -> T:
        """Return what `action` returns; if the token does not hold any more, log in and do it again."""
        try:
            return action()
        except Unauthorized:  # tokens expire
            client.get_auth_token()
            return action()

    def get_before_first_look(self, client: "Client") -> bool:
        """Get the account's wallet, if it has one, before a file that is new is taken for a part of it; tell if it did.

        `WalletFile.take_edits` then sees whether that is of another wallet. Where the account had others alone, one of
        this name may have come since.
        """
        if not self.wallet_file().is_new or (client.merge_base is not None and self.is_in_account(client)):
            return False
        if not client.is_logged_in:
            client.get_auth_token()
        try:
            self.with_valid_token(client, client.get_wallet)
        except NoWallet:
            self._account_is_empty = True
            return False
        return True

    @staticmethod
    def in_account(client: "Client") -> dict[str, str]:
        """Return the names of the wallets that the account has, as far as this device knows, each with its format."""
        from walletsync.formats.wallets import names

        try:
            return names(client.get_document())
        except NotReady:  # nothing is known yet
            return {}

    @property
    def _called(self) -> str:
        return f"wallet {self.settings.wallet}" if self.settings.wallet else "wallet without a name"

    def missing(self, client: "Client", since: str = "yet") -> str:
        """Return a sentence about an account that does not have this wallet, with those that it has."""
        there = [name or "(one without a name)" for name in self.in_account(client)]
        return f"The account has no {self._called} {since}" + (f"; it has: {', '.join(there)}." if there else ".")

    def is_in_account(self, client: "Client") -> bool:
        """Tell whether this wallet is one of those that the account has."""
        return self.settings.wallet in self.in_account(client)

    def check_is_in_account(self, client: "Client") -> None:
        """Refuse to go on where this wallet is none of those that the account has.

        Raises:
            NotReady: it is not there yet, or not any more.
        """
        if self.is_in_account(client):
            return
        if self.wallet_file().is_new:
            raise NotReady(
                f"There is nothing in {self.file} to begin with. {self.missing(client)} If the name is mistyped, move "
                f"{self.folder} away, and set the file up again.",
                remedy=Remedy.MAKE_FIRST_VERSION,
            )
        raise NotReady(
            f"{self.missing(client, 'any more')} {self.file} is left as it is.", remedy=Remedy.BRING_WALLET_BACK
        )

    def check_is_in(self, document: Any, sequence: int) -> None:
        """Refuse an earlier version of the account that does not have this wallet: it is none with nothing in it.

        Raises:
            UsageError: it does not.
        """
        if not self.format.is_there(document):
            raise UsageError(f"Version {sequence} of the account is from before this wallet was in it.")

    def encoded(self, document: Any) -> bytes:
        """Return a document as the file would have it."""
        return self.format.encode(document)

    def adopt_format(self, client: "Client") -> bool:
        """Take over the format of the account's wallet, where it was guessed and there is no file yet; tell if so."""
        if not self.settings.format_is_guessed or self.file.exists():
            return False
        try:
            self.with_valid_token(client, client.get_wallet)
        except NoWallet:
            return False
        except OtherFormat as error:
            if error.format not in FORMATS:
                return False
            self.settings = msgspec.structs.replace(self.settings, format=error.format, format_is_guessed=False)
            self._save_settings()
            return True
        return False

    def wallet_file(self) -> "WalletFile":
        """Return the wallet's file."""
        from walletsync.edge import Limit
        from walletsync.walletfile import WalletFile

        settings = self.settings
        return WalletFile(
            self.file,
            format=self.format,
            memory=_folder(self.file) / "memory",
            limit=Limit(settings.max_deletions, settings.max_deletions_percent),
            joins=self.joins,
            may_begin=lambda: self._account_is_empty,
        )

    def store_signature(self) -> tuple[int, ...]:
        """Return a value that differs once this or another process has changed what this device knows."""
        found = self._store.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    @property
    def folder(self) -> Path:
        """Where all is that this device keeps about the wallet."""
        return _folder(self.file)

    @property
    def bridge_file(self) -> Path:
        """The file that says which bridge is chosen, if one is."""
        return self.folder / "bridge.json"

    @property
    def _store(self) -> Path:
        return _folder(self.file) / "store"

    @property
    def format(self) -> "OneWallet":
        """The format of the file, which shows one wallet of the account."""
        from walletsync.formats.one_wallet import OneWallet

        return OneWallet(_format(self.settings), self._format_in_account.name, self.settings.wallet)

    @property
    def _format_in_account(self) -> "FileFormat[Any]":
        settings = self.settings
        return _format(msgspec.structs.replace(settings, format=VIEWS.get(settings.format, settings.format)))

    @contextmanager
    def _client(self, device: str | None, *, in_memory: bool = False) -> Iterator["Client"]:
        from walletsync.client import Client
        from walletsync.formats.wallets import WalletsFormat

        settings = self.settings
        with Client(
            settings.server,
            format=WalletsFormat(self._format_in_account, settings.wallet),
            store=None if in_memory else self._store,
            device_id=device,
            realm=settings.realm,
            ca_file=settings.ca_file,
            allow_plain_http=settings.allow_plain_http,
            while_deriving=deriving,
        ) as client:
            yield client


def guess_format(file: Path) -> str:
    """Return the format that the file's name suggests, or what is in it where the name may be that of any text."""
    suffix = file.suffix.lower()
    if suffix == ".jsonl" or (suffix == ".txt" and _has_labels(file)):
        return "bip329"
    wallet = _object_in(file)
    if wallet.keys() >= _OF_LBRY and type(wallet["accounts"]) is list:
        return "lbry"
    return "electrum" if wallet and all(map(_is_labelled, *zip(*wallet.items(), strict=True))) else "json"


def _has_labels(file: Path) -> bool:
    from walletsync.formats.bip329 import BIP329Format

    labels = BIP329Format()
    try:
        return bool(labels.contents(labels.from_file(file.read_bytes(), labels.empty())))
    except (OSError, DocumentError):
        return False


def _object_in(file: Path) -> dict[str, Any]:
    """Return the object of JSON that a file has; an empty one if it has none."""
    from walletsync.formats.json import JSONFormat

    try:
        return JSONFormat().decode(file.read_bytes())
    except (OSError, DocumentError):
        return {}


def _is_labelled(ref: str, label: object) -> bool:
    return type(label) is str and bool(_LABELLED.fullmatch(ref))


def _folder(file: Path) -> Path:
    return Path(f"{os.fspath(file)}{_SUFFIX}")


@contextmanager
def _reporting_os_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be created: {error.strerror}. Keep the wallet's file in a folder that you may write to."
        ) from None


def _format(settings: WalletSettings) -> "FileFormat[Any]":
    from walletsync.formats.bip329 import BIP329Format
    from walletsync.formats.electrum import ElectrumFormat
    from walletsync.formats.json import JSONFormat
    from walletsync.formats.lbry import LBRYFormat

    if settings.format == "json":
        return JSONFormat(settings.keys)
    if settings.keys:
        raise UsageError("Lists with keys are for JSON: leave out --key, or name --format json.")
    formats: dict[str, type[FileFormat[Any]]] = {
        "bip329": BIP329Format,
        "electrum": ElectrumFormat,
        "lbry": LBRYFormat,
    }
    return formats[settings.format]()
