"""Where accounts, wallets and tokens are kept. SQLAlchemy lives here and nowhere else.

`interface.py` is the contract, `contract_tests/` the tests of it that every engine passes. `sql/` is what engines that
speak SQL share, and beside it each has a folder of its own, such as `sqlite/`. `open_storage` is the door to all.
"""

import os
from collections.abc import Callable
from pathlib import Path

from walletsync_server.storage.interface import OnCommit, Storage, StorageError, take_no_notice


def open_storage(
    url: str, *, create: bool = True, inline: bool = False, on_commit: OnCommit = take_no_notice
) -> Storage:
    """Open the storage that a URL names and bring its schema up to date.

    Args:
        url: such as `sqlite:///walletsync.db`, or `sqlite:////var/lib/walletsync.db` from the root of the disk; what
            follows the three slashes is the file's name as it is. Links are followed, so that one file has one lock.
        create: make it if it is missing.
        inline: run writes in the calling thread instead of one thread that groups commits.
        on_commit: see there.

    Raises:
        StorageError: with a sentence for the operator, if this cannot be done or no engine has such URLs.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _ENGINES:
        known = ", ".join(f"{scheme}://" for scheme in _ENGINES)
        raise StorageError(f"A database's URL begins with its engine, of which there are: {known}.")
    return _ENGINES[scheme](rest, create, inline, on_commit)


def _sqlite(rest: str, create: bool, inline: bool, on_commit: OnCommit) -> Storage:
    from walletsync_server.storage.sqlite.opening import open_sqlite

    host, _, file = rest.partition("/")
    if host or not file:
        raise StorageError("The URL of a SQLite database is sqlite:///FILE, with three slashes.")
    return open_sqlite(Path(os.path.realpath(file)), create=create, inline=inline, on_commit=on_commit)


# Each imports its engine when it is asked for: the driver of another need not be installed.
_ENGINES: dict[str, Callable[[str, bool, bool, OnCommit], Storage]] = {"sqlite": _sqlite}
