"""The files of a database: what they are called, whose they are, and how a new one comes to its name."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from walletsync_server.storage.interface import StorageError

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, by what is added to its name."""
LOCK = ".lock"
"""What `DatabaseLock` keeps there."""
DELETIONS = "walletsync.deletions"
"""The name of the journal of deletions, beside a database and beside its backups."""
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK}
"""What a file system answers that has no hard links, such as FAT and most shares of other machines."""


def files_of(database: Path) -> list[Path]:
    """Return the database's own file and all that may lie beside it, whether they are there or not."""
    return [*(Path(f"{database}{more}") for more in ("", *COMPANIONS, LOCK)), database.with_name(DELETIONS)]


def refuse_missing(file: Path) -> None:
    """Raise `StorageError` if there is no such database."""
    if not file.is_file():
        raise StorageError(
            f"There is no database {file}. If it is elsewhere, say so with --config or --database; "
            "`serve` and `migrate` make a new one."
        )


def owner_of(database: Path) -> os.stat_result:
    """Return the state of the database or of its folder, whichever says whose the database's files are.

    A database of root's in another user's folder was left there by mistake.
    """
    states = [each.stat() for each in (database, database.parent) if each.exists()]
    return next((state for state in states if state.st_uid), states[-1])


def make_private(file: Path, database: Path | None) -> int:
    """Open a file to read and write; make it if it is missing, with mode 0600. Return the descriptor.

    Args:
        file: which.
        database: whose owner a new one is to have; without one it belongs to whoever runs this.

    Raises:
        OSError: if this cannot be done; also if a link has this name, which could lead anywhere.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(FileExistsError):
        descriptor = os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o600)
        if database is not None:
            _give_to_owner(descriptor, database)
        return descriptor
    return os.open(file, flags)


def _give_to_owner(descriptor: int, database: Path) -> None:
    """Let what root makes beside a database belong to whom the database belongs; before there is one, its folder.

    Otherwise a server that runs as that user could not open it. Root that may not give files away, as in some
    containers, is a user like any other.
    """
    if os.fstat(descriptor).st_uid == 0:  # who made it: not every system says who runs this, a browser does not
        owner = owner_of(database)
        with suppress(PermissionError):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


@contextmanager
def draft_beside(target: Path, *, database: Path | None = None) -> Iterator[Path]:
    """Make a private file beside `target`; remove it afterwards if it still has its own name.

    Args:
        target: what the draft is for; its folder must exist.
        database: whose owner the draft is to have; without one it belongs to whoever runs this.
    """
    folder = os.path.realpath(target.parent)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=folder)
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        if database is not None:
            _give_to_owner(descriptor, database)
    finally:
        os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for companion in ("", *COMPANIONS):
            Path(f"{name}{companion}").unlink(missing_ok=True)


def put_in_place(draft: Path, target: Path, *, replace: bool) -> None:
    """Flush `draft` to the disk and give it the name; a name that is taken is an error unless it may be replaced."""
    try:
        _sync(draft)
        if replace:
            draft.replace(target)
        else:
            _name(draft, target)
        sync_folder(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error


def cannot_write(target: Path, error: OSError) -> StorageError:
    """Return what to tell an operator whose file cannot be written."""
    if not target.parent.is_dir():
        return StorageError(f"{target} cannot be written: its folder does not exist. Make it, or name another file.")
    return StorageError(f"{target} cannot be written: {error.strerror}.")


def _name(draft: Path, target: Path) -> None:
    """Give `draft` a name that nobody has: unlike a rename this never replaces.

    Without hard links an empty file takes the name first, for the moment until the draft replaces it.
    """
    try:
        os.link(draft, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        draft.replace(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder, where the file system knows how to: shares of other machines may not."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
