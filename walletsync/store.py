"""One device's durable state: in memory, or in one SQLite file of mode 0600.

The file holds the document and the token, so nobody else may read it; it never holds the password or a key. A change is
one transaction: after a crash the state is the one before or the one after. One process at a time has the file open;
another one waits a while, and then says who has it.

Memory has a copy of what the file has. An exception can come anywhere, also between a COMMIT and the line after it, as
when somebody interrupts a notebook; so the copy is thrown away before the file is written, and made anew when that is
done. Whoever asks meanwhile, or after an exception, gets what the file has.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from msgspec import Struct

from walletsync import exactjson
from walletsync.continuity import Known
from walletsync.errors import NotReady, StoreLocked, StoreUnusable
from walletsync.merge import MISSING, Conflict
from walletsync.payload import Restore
from walletsync.plain import path_of, plain_path
from walletsync.protocol import WalletAnswer
from walletsync.remedies import Remedy

_APPLICATION_ID = 0x57535931  # "WSY1": tells our files from any other SQLite database
_SCHEMA_VERSION = 4
_PATIENCE_SECONDS = 15.0
"""How long to wait for another process to close the file: a sync on a slow machine takes several seconds."""

_T = TypeVar("_T")


class _Hidden(Struct, frozen=True, kw_only=True):
    """What a repr must not show: documents, and wallets as long as they are."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<hidden>)"


class SealedVersion(_Hidden, frozen=True, kw_only=True):
    """A version of the wallet as it travels, and what a device that has it knows and merges with.

    `seed` is the account's salt seed that it is sealed under, `document` what it carries.
    """

    seed: bytes
    encrypted_wallet: str
    hmac: str
    known: Known
    document: bytes

    @property
    def sequence(self) -> int:
        """The version's number."""
        return self.known.sequence

    @property
    def author(self) -> str:
        """The name under which a device made it."""
        return next(device for device, entry in self.known.entries.items() if entry.digest == self.known.digest)

    @property
    def wallet(self) -> WalletAnswer:
        """The version as a server presents it."""
        return WalletAnswer(encrypted_wallet=self.encrypted_wallet, sequence=self.sequence, hmac=self.hmac)


class PasswordChange(_Hidden, frozen=True, kw_only=True):
    """A password change whose outcome is not known: a retry sends exactly this, and both passwords typed again.

    `wallet` is the re-encrypted one; None for an account without a wallet.
    """

    seed: bytes
    wallet: SealedVersion | None


class DeviceState(_Hidden, frozen=True, kw_only=True):
    """All that one device knows. Documents are as their format encodes them; None is "not yet"."""

    device_id: str
    format: str
    realm: str | None = None
    email: str | None = None
    offered_seed: bytes | None = None
    """Made for a sign-up whose outcome is not known; the same one is offered again."""
    seed: bytes | None = None
    """The account's salt seed: a login or a sign-up with it succeeded."""
    seeds: tuple[bytes, ...] = ()
    """All that a login succeeded with, the oldest first: a backup older than a password change brings one back."""
    accepts_new_password: bool = False
    """A person has consented that the next log-in takes another seed. Whoever types the password says so or not."""
    token: str | None = None
    has_seen_extras: bool = False
    """The server has told in `.well-known` what it can do; it cannot take that back."""
    document: bytes | None = None
    synced: SealedVersion | None = None
    """The last version that this device got from or POSTed to the server; its `document` is the merge base."""
    passed: dict[str, int] = {}
    """The versions that this device went through for certain, digest → sequence; `synced` is the last of them."""
    abandoned: tuple[str, ...] = ()
    """The digests of what this device sent and gave up, the latest last: its next version names them."""
    pending: SealedVersion | None = None
    """A POST whose outcome is not known: a retry sends exactly this."""
    password_change: PasswordChange | None = None
    owed_restores: tuple[Restore, ...] = ()
    """A person has consented to go on from a restored server; the next version tells the other devices. More than one
    if the server was restored again before it could."""
    conflicts: tuple[Conflict, ...] = ()
    conflicts_named: int = 0
    """How many conflicts have ever got a name here: no later one gets the same."""


class Store:
    """Keeps a `DeviceState`. `path` None keeps it in memory.

    Raises:
        StoreLocked: another process, or another client of this one, still has the file open after a few seconds.
        StoreUnusable: the file is not a store, is damaged, or cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        # Resolved, so that no name has a meaning of its own to SQLite.
        self._file = None if path is None else _private_file(path)
        self._name = "in memory" if self._file is None else str(self._file)
        self._owner_file = None if self._file is None else self._file.with_name(f"{self._file.name}-holder")
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._saved: DeviceState | None = None
        """What the file has, or had when it was lent; None while that is not certain."""
        self._is_lent = False
        self._has_written_owner = False
        self._database = self._opened()

    def load(self) -> DeviceState | None:
        """Return the state as it was saved last, None if it never was."""
        saved = self._saved
        if saved is not None:
            return saved
        self._check_process()
        with self._lock:
            self._saved = self._translating_errors(self._read)
            return self._saved

    def save(self, state: DeviceState) -> None:
        """Make `state` durable: when this returns, a crash cannot undo it. Writes only what changed."""
        self._check_process()
        with self._lock:
            if self._is_lent:
                raise NotReady(f"The store {self._name} is lent to others.", remedy=Remedy.TAKE_BACK)
            before, self._saved = self._saved, None
            changed = [
                (name, _ENCODE[name](getattr(state, name)))
                for name in DeviceState.__struct_fields__
                if before is None or getattr(before, name) is not getattr(state, name)
            ]
            self._translating_errors(lambda: self._write(changed))
            self._saved = state

    def lend(self) -> None:
        """Let others open the file until `take_back`. Meanwhile `load` says what it had, and `save` is refused.

        A store in memory is nobody else's.
        """
        if self._file is None or self._is_lent:
            return
        self.load()  # for those that look meanwhile
        with self._lock:
            self._is_lent = True
            self._let_go()

    def take_back(self) -> None:
        """End `lend`: what others have written is there.

        Raises:
            StoreLocked: somebody still has the file open after a few seconds; it stays lent.
            StoreUnusable: it was damaged or replaced meanwhile; it stays lent.
        """
        with self._lock:
            if self._is_lent:
                self._check_process()
                self._database = self._opened()
                self._saved, self._is_lent = None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. The state stays in it.

        A process that was forked from this one has nothing to let go of.
        """
        if os.getpid() == self._process:
            self._let_go()

    def _let_go(self) -> None:
        if self._owner_file is not None and self._has_written_owner:
            self._has_written_owner = False
            with suppress(OSError):
                self._owner_file.unlink()
        self._database.close()

    def _opened(self) -> sqlite3.Connection:
        """Return the file's database, locked."""
        database = self._translating_errors(lambda: self._connect(self._file))
        with ExitStack() as on_failure:
            on_failure.callback(database.close)
            self._translating_errors(lambda: self._lock_and_check(database))
            if self._file is not None:
                self._file.chmod(0o600)  # only now is it known to be ours
            self._write_owner()
            on_failure.pop_all()
        return database

    def _connect(self, file: Path | None) -> sqlite3.Connection:
        return sqlite3.connect(
            ":memory:" if file is None else file,
            isolation_level=None,
            timeout=0,
            check_same_thread=False,  # threads take turns, by `_lock`
        )

    def _read(self) -> DeviceState | None:
        """Return what the file has."""
        rows = dict(self._database.execute("SELECT name, value FROM state").fetchall())
        if not rows:
            return None
        try:
            return DeviceState(**{name: _DECODE[name](value) for name, value in rows.items()})
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError):
            raise self._unusable("is damaged") from None

    def _write(self, rows: list[tuple[str, bytes]]) -> None:
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", rows)

    def _read_owner(self) -> int | None:
        """Return the process that has the file open, as far as it has told."""
        if self._owner_file is None:
            return None
        try:
            return int(self._owner_file.read_text())
        except (OSError, ValueError):
            return None

    def _write_owner(self) -> None:
        """Leave word for others of who has the file open: a courtesy, so it may fail. The lock is SQLite's."""
        if self._owner_file is None:
            return
        with suppress(OSError):
            flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(self._owner_file, flags, 0o600), "w") as file:
                self._has_written_owner = True
                file.write(str(os.getpid()))

    def _lock_and_check(self, database: sqlite3.Connection) -> None:
        # Waiting for another client of this very process would be waiting for ourselves.
        patience = 0.0 if self._read_owner() == os.getpid() else _PATIENCE_SECONDS
        database.execute(f"PRAGMA busy_timeout = {round(patience * 1000)}")
        database.execute("PRAGMA synchronous = EXTRA")
        with database:
            database.execute("BEGIN EXCLUSIVE")
            # It keeps the lock until the file is closed. Not before there is one: two that open the file at once would
            # each keep what the other one waits for, and neither would get it.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._check_kind(database)
            database.execute("CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL)")
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def _check_kind(self, database: sqlite3.Connection) -> None:
        is_new = _pragma(database, "schema_version") == 0
        if not is_new and _pragma(database, "application_id") != _APPLICATION_ID:
            raise self._unusable("is a database of another program")
        version = _pragma(database, "user_version")
        if version > _SCHEMA_VERSION:
            raise self._unusable("was written by a newer version of walletsync")
        if not is_new and version < _SCHEMA_VERSION:
            raise self._unusable("was written by an early version of walletsync")

    def _check_process(self) -> None:
        """Refuse in a process that was forked: SQLite's locks are not inherited, and two would write the same file."""
        if os.getpid() != self._process:
            raise NotReady(
                f"The store {self._name} was opened by process {self._process}, which this one was forked from.",
                remedy=Remedy.MAKE_NEW_CLIENT,
            )

    def _translating_errors(self, action: Callable[[], _T]) -> _T:
        """Run `action`; a failure of SQLite becomes an error that says what to do."""
        try:
            return action()
        except sqlite3.ProgrammingError:
            raise NotReady(f"The store {self._name} is closed.", remedy=Remedy.MAKE_NEW_CLIENT) from None
        except sqlite3.Error as error:
            # Not every error comes from SQLite itself and has its code.
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            if name == "SQLITE_BUSY":
                raise StoreLocked(
                    f"The store {self._name} is open in {self._describe_owner()}.", remedy=Remedy.CLOSE_OTHER_CLIENT
                ) from None
            raise self._unusable(f"cannot be used ({name})") from None

    def _describe_owner(self) -> str:
        owner = self._read_owner()
        if owner == os.getpid():
            return f"another client of this process, {owner}"
        return "another process" if owner is None else f"process {owner}"

    def _unusable(self, why: str) -> StoreUnusable:
        return StoreUnusable(
            f"The store {self._name} {why}. Nothing in it was changed; name another file, or move this one away."
        )


def _private_file(path: str | os.PathLike[str]) -> Path:
    """Return where the file is, links followed; a new one is made with mode 0600."""
    try:
        file = Path(path).resolve()
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return file  # not opened: closing it again would release the locks of whoever has it open
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "the name is not valid"
        raise StoreUnusable(
            f"The store {path!r} cannot be made: {why}. Name a file in a folder that exists and is yours."
        ) from None
    return file


def _pragma(database: sqlite3.Connection, name: str) -> int:
    value: int = database.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _encode_conflicts(conflicts: tuple[Conflict, ...]) -> bytes:
    # Exact, since a wallet may hold integers of any size, and a label file numbers of any spelling.
    return exactjson.dumps([_plain_conflict(conflict) for conflict in conflicts]).encode()


def _plain_conflict(conflict: Conflict) -> dict[str, Any]:
    sides = {"base": conflict.base, "mine": conflict.mine, "theirs": conflict.theirs}
    told = {"name": conflict.name, "path": plain_path(conflict.path)}
    return told | {name: side for name, side in sides.items() if side is not MISSING}


def _decode_conflicts(data: bytes) -> tuple[Conflict, ...]:
    return tuple(
        Conflict(
            path=path_of(plain["path"]),
            base=plain.get("base", MISSING),
            mine=plain.get("mine", MISSING),
            theirs=plain.get("theirs", MISSING),
            name=plain["name"],
        )
        for plain in exactjson.loads(str(data, "utf-8"))
    )


def _decoder(field: msgspec.structs.FieldInfo) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(field.type).decode


_FIELDS = {field.name: field for field in msgspec.structs.fields(DeviceState)}
_ENCODE: dict[str, Callable[[Any], bytes]] = {
    name: _encode_conflicts if name == "conflicts" else msgspec.json.encode for name in _FIELDS
}
_DECODE: dict[str, Callable[[bytes], Any]] = {
    name: _decode_conflicts if name == "conflicts" else _decoder(field) for name, field in _FIELDS.items()
}
