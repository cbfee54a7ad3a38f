"""Where accounts, wallets and tokens are kept. SQLAlchemy lives here and nowhere else.

`interface.py` is the contract, `contract_tests/` the tests of it that every engine passes. `sql/` is what engines that
speak SQL share, and beside it each has a folder of its own, such as `sqlite/`. `open_storage` is the door to all.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from typing_extensions import override

from walletsync_server.storage.interface import OnCommit, Storage, StorageError, take_no_notice


class Access(Enum):
    """What whoever opens a storage wants of it."""

    MAKE = "make it if it is missing, bring its schema up to date, change it"
    CHANGE = "the same with one that is there"
    LOOK = "look at one that is there and up to date; nothing is made, migrated or locked"


class _Engine(ABC):
    """One engine. Each imports what it needs when it is asked for: the driver of another need not be installed."""

    @abstractmethod
    def open(self, rest: str, access: Access, inline: bool, on_commit: OnCommit) -> Storage:
        """Do what `open_storage` does; `rest` is what follows the scheme of the URL."""

    @abstractmethod
    def migrate(self, rest: str) -> tuple[str | None, str | None]:
        """Do what `migrate` does."""

    @abstractmethod
    def reading_alone(self, rest: str) -> AbstractContextManager[Any]:
        """Return a connection to look at a database that nobody else has open meanwhile."""

    @abstractmethod
    def filling(self, rest: str) -> AbstractContextManager[Any]:
        """Return a connection to fill a new database with."""


def open_storage(
    url: str, *, access: Access = Access.MAKE, inline: bool = False, on_commit: OnCommit = take_no_notice
) -> Storage:
    """Open the storage that a URL names.

    Args:
        url: such as `sqlite:///walletsync.db`, or `sqlite:////var/lib/walletsync.db` from the root of the disk; what
            follows the three slashes is the file's name as it is. Links are followed, so that one file has one lock.
            Or `postgresql://user@host/name`, as libpq takes it.
        access: see there.
        inline: run writes in the calling thread instead of one thread that groups commits, where there is one.
        on_commit: see there.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done or no engine has such URLs.
    """
    engine, rest = _engine_of(url)
    return engine.open(rest, access, inline, on_commit)


def migrate(url: str) -> tuple[str | None, str | None]:
    """Bring the schema of the database that a URL names up to date; where it can be made, make it if it is missing.

    Returns:
        The revision of the schema before, None if there was none, and the one after.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done or no engine has such URLs.
    """
    engine, rest = _engine_of(url)
    return engine.migrate(rest)


def copy_storage(source: str, target: str, progress: Callable[[int, int], None]) -> int:
    """Copy all that a database keeps into another, of any engine, and compare the two; return how many rows there are.

    Args:
        source: its URL. Nobody has it open meanwhile, and it is not changed.
        target: the URL of the other, which is made, or has nothing in it.
        progress: called with how much is done, and of how much.

    Raises:
        StorageError: with a sentence for the operator. Nothing is copied.
    """
    from walletsync_server.storage.sql.copying import copy_rows

    (reader, place), (filler, new_place) = _engine_of(source), _engine_of(target)
    with reader.reading_alone(place) as reading, filler.filling(new_place) as filling:
        return copy_rows(reading, filling, progress)


def _engine_of(url: str) -> tuple[_Engine, str]:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _ENGINES:
        known = ", ".join(f"{scheme}://" for scheme in _ENGINES)
        raise StorageError(f"A database's URL begins with its engine, of which there are: {known}.")
    return _ENGINES[scheme], rest


class _Sqlite(_Engine):
    @override
    def open(self, rest: str, access: Access, inline: bool, on_commit: OnCommit) -> Storage:
        from walletsync_server.storage.sqlite.opening import open_sqlite, read_sqlite

        file = self._file(rest)
        if access is Access.LOOK:
            return read_sqlite(file)
        return open_sqlite(file, create=access is Access.MAKE, inline=inline, on_commit=on_commit)

    @override
    def migrate(self, rest: str) -> tuple[str | None, str | None]:
        from walletsync_server.storage.sqlite.opening import migrate_sqlite

        return migrate_sqlite(self._file(rest))

    @override
    def reading_alone(self, rest: str) -> AbstractContextManager[Any]:
        from walletsync_server.storage.sqlite import moving

        return moving.reading_alone(self._file(rest))

    @override
    def filling(self, rest: str) -> AbstractContextManager[Any]:
        from walletsync_server.storage.sqlite import moving

        return moving.filling(self._file(rest))

    @staticmethod
    def _file(rest: str) -> Path:
        host, _, name = rest.partition("/")
        if host or not name:
            raise StorageError("The URL of a SQLite database is sqlite:///FILE, with three slashes.")
        return Path(os.path.realpath(name))


class _Postgres(_Engine):
    @override
    def open(self, rest: str, access: Access, inline: bool, on_commit: OnCommit) -> Storage:
        with driver_of_postgresql():
            from walletsync_server.storage.postgres.opening import open_postgres, read_postgres

        if access is Access.LOOK:
            return read_postgres(f"postgresql://{rest}")
        return open_postgres(f"postgresql://{rest}", create=access is Access.MAKE, on_commit=on_commit)

    @override
    def migrate(self, rest: str) -> tuple[str | None, str | None]:
        with driver_of_postgresql():
            from walletsync_server.storage.postgres.opening import migrate_postgres

        return migrate_postgres(f"postgresql://{rest}")

    @override
    def reading_alone(self, rest: str) -> AbstractContextManager[Any]:
        with driver_of_postgresql():
            from walletsync_server.storage.postgres import moving

        return moving.reading_alone(f"postgresql://{rest}")

    @override
    def filling(self, rest: str) -> AbstractContextManager[Any]:
        with driver_of_postgresql():
            from walletsync_server.storage.postgres import moving

        return moving.filling(f"postgresql://{rest}")


@contextmanager
def driver_of_postgresql() -> Iterator[None]:
    """Be where the driver is imported.

    Raises:
        StorageError: where it, or PostgreSQL's library that it needs, is not installed, with what to do.
    """
    try:
        yield
    except ModuleNotFoundError:
        said = "For PostgreSQL, its driver is missing: install walletsync-server with [postgresql] after its name."
        raise StorageError(said) from None
    except ImportError:
        said = "PostgreSQL's driver finds no libpq: install the system's (apt install libpq5, or apk add libpq)."
        raise StorageError(said) from None


_ENGINES: dict[str, _Engine] = {"sqlite": _Sqlite(), "postgresql": _Postgres()}
