"""Where accounts, wallets and tokens are kept. SQLAlchemy lives here and nowhere else.

`interface.py` is the contract, `contract_tests/` the tests of it that every engine passes. `sql/` is what engines that
speak SQL share, and beside it each has a folder of its own, such as `sqlite/`. `open_storage` is the door to all.
"""

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from walletsync_server.storage.interface import OnCommit, Storage, StorageError, take_no_notice


class Access(Enum):
    """What whoever opens a storage wants of it."""

    MAKE = "make it if it is missing, bring its schema up to date, change it"
    CHANGE = "the same with one that is there"
    LOOK = "look at one that is there and up to date; nothing is made, migrated or locked"


def open_storage(
    url: str, *, access: Access = Access.MAKE, inline: bool = False, on_commit: OnCommit = take_no_notice
) -> Storage:
    """Open the storage that a URL names.

    Args:
        url: such as `sqlite:///walletsync.db`, or `sqlite:////var/lib/walletsync.db` from the root of the disk; what
            follows the three slashes is the file's name as it is. Links are followed, so that one file has one lock.
        access: see there.
        inline: run writes in the calling thread instead of one thread that groups commits.
        on_commit: see there.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done or no engine has such URLs.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _ENGINES:
        known = ", ".join(f"{scheme}://" for scheme in _ENGINES)
        raise StorageError(f"A database's URL begins with its engine, of which there are: {known}.")
    return _ENGINES[scheme](rest, access, inline, on_commit)


def _sqlite(rest: str, access: Access, inline: bool, on_commit: OnCommit) -> Storage:
    from walletsync_server.storage.sqlite.opening import open_sqlite, read_sqlite

    host, _, name = rest.partition("/")
    if host or not name:
        raise StorageError("The URL of a SQLite database is sqlite:///FILE, with three slashes.")
    file = Path(os.path.realpath(name))
    if access is Access.LOOK:
        return read_sqlite(file)
    return open_sqlite(file, create=access is Access.MAKE, inline=inline, on_commit=on_commit)


# Each imports its engine when it is asked for: the driver of another need not be installed.
_ENGINES: dict[str, Callable[[str, Access, bool, OnCommit], Storage]] = {"sqlite": _sqlite}
