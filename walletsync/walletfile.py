"""A wallet's file that another program writes as well: its edits are noticed, and ours put into it.

The file is where the person and their programs work; the device's document is what syncs. `seen` keeps the bytes that
the file had when the two last agreed, so an edit is whatever the file has beyond them. A process may end between any
two steps. Two files beside `seen` say what was under way, and the next start finishes it before it looks:

seen.taking     what the file had, on its way into the document: it is put there again, which changes nothing
seen.putting    what the file is to have; it has it exactly if the new file, `.NAME.walletsync-new`, is no longer there

A part of a file may be a document as well, as with labels, one a line. So an edit is taken from a file only after that
has rested: a program that was half way through writing it has not deleted what it has yet to write.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from walletsync.errors import DocumentError, NotReady, WalletFileError
from walletsync.formats.base import Format

if TYPE_CHECKING:
    from walletsync.client import Client


_STABLE_SECONDS = 0.5
"""How long a file has to stay unchanged before an edit is taken from it."""
_MAX_CHECKS = 20
"""How often it is checked until it does."""


class WalletFile:
    """The file at `path`, whose content is a document of `format`. `seen` is a file of our own, in a folder of our own.

    Every method leaves the file alone if what is in it is not a document: it may be half written. One process at a
    time; the lock of the client's store sees to that.
    """

    def __init__(self, path: Path, *, format: Format[Any], seen: Path) -> None:
        self._path = path
        self._format = format
        self._seen = seen
        self._taking = seen.with_name(f"{seen.name}.taking")
        self._putting = seen.with_name(f"{seen.name}.putting")

    def signature(self) -> tuple[int, ...] | None:
        """Return a value that differs once the file was written again; None if there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def is_edited(self) -> bool:
        """Tell whether the file has something that `take_edits` has not taken yet.

        Raises:
            WalletFileError: it cannot be read.
        """
        content = _read(self._path)
        return content is not None and content != _read(self._seen)

    def take_edits(self, client: "Client") -> bool:
        """Put what was changed in the file since the last time into the client's document; tell whether there was any.

        A file that is gone is not an edit: deleting a file does not delete a wallet.

        Raises:
            DocumentError: what is in the file is not a document, as when it is half written.
            WalletFileError: it cannot be read, or another program keeps writing to it.
        """
        self._recover(client)
        content, seen = _read(self._path), _read(self._seen)
        if content != seen:
            content = self._once_stable(content)
        if content is None or content == seen:
            return False
        self._decoded(content)
        if seen is not None and seen.strip() and not content.strip():
            raise DocumentError(
                f"{self._path} is empty now, as it would be if another program were writing it; it is left as it is. "
                "To get everything back into it, delete the file; to delete all entries, leave one in it."
            )
        with self._writing():
            _replace(self._taking, content)
        self._recover(client)
        return True

    def put(self, client: "Client") -> bool:
        """Bring the file up to the client's document, after taking edits that came meanwhile; tell if it changed.

        The file is replaced as a whole and keeps its permissions. One that says the same in other bytes stays.

        Raises:
            DocumentError, WalletFileError: nothing was written.
        """
        while True:
            self.take_edits(client)
            before = _read(self._path)
            if before is not None and before != _read(self._seen):
                continue  # written since the edits were taken
            try:
                content = self._format.encode(client.get_document())
            except NotReady:
                return False
            if before is not None and self._format.encode(self._decoded(before)) == content:
                return False
            if self._replaced(before, content):
                return True

    def _once_stable(self, content: bytes | None) -> bytes | None:
        """Return what the file has once it stays unchanged; `content` is what it had at first."""
        for _ in range(_MAX_CHECKS):
            time.sleep(_STABLE_SECONDS)
            before, content = content, _read(self._path)
            if content == before:
                return content
        raise WalletFileError(
            f"{self._path} is left as it is: another program keeps writing to it. Try again when it is done."
        )

    def _recover(self, client: "Client") -> None:
        """Finish what was begun, here or by a process that ended."""
        with self._writing():
            edited = _read(self._taking)
            if edited is not None:
                self._add(client, edited)
                self._taking.replace(self._seen)
            if self._putting.exists():
                if self._new().exists():
                    self._putting.unlink()
                else:
                    self._putting.replace(self._seen)
            self._new().unlink(missing_ok=True)

    def _add(self, client: "Client", edited: bytes) -> None:
        seen = _read(self._seen)
        based_on = self._format.empty() if seen is None else self._format.decode(seen)
        try:
            client.add_document(self._decoded(edited), based_on=based_on)
        except DocumentError:
            self._taking.unlink()
            raise

    def _replaced(self, before: bytes | None, content: bytes) -> bool:
        """Replace the file by one with `content`, durably, if it still has what it had `before`; tell if so.

        A program that writes in the instant between that look and the renaming loses to us; no system call of POSIX
        does both at once.
        """
        with self._writing():
            new, target = self._new(), self._path.resolve()
            _write(new, content, mode=self._mode())
            _replace(self._putting, content)
            if _read(self._path) != before:
                self._putting.unlink()
                return False
            new.replace(target)
            _fsync_folder(target.parent)
            self._putting.replace(self._seen)
        return True

    def _new(self) -> Path:
        target = self._path.resolve()
        return target.with_name(f".{target.name}.walletsync-new")

    def _decoded(self, content: bytes) -> Any:
        try:
            return self._format.decode(content)
        except DocumentError as error:
            raise DocumentError(
                f"{self._path} is left as it is: {error.message} If another program is writing it, try again when it "
                "is done."
            ) from None

    def _mode(self) -> int:
        try:
            return stat.S_IMODE(self._path.stat().st_mode)
        except FileNotFoundError:
            return 0o600

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WalletFileError(
                f"{self._path}, or what is kept beside it, cannot be written: {error.strerror}. The file is unchanged; "
                "what came from the server is kept, and is written the next time."
            ) from None


def write_file(path: Path, content: bytes) -> None:
    """Make or replace a file of mode 0600, as a whole and durably.

    Raises:
        WalletFileError: it cannot be written.
    """
    try:
        _replace(path, content)
    except OSError as error:
        raise WalletFileError(f"{path} cannot be written: {error.strerror}.") from None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WalletFileError(f"{path} cannot be read: {error.strerror}. Nothing was changed.") from None


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    _write(new, content, mode=0o600)
    new.replace(path)
    _fsync_folder(path.parent)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    path.unlink(missing_ok=True)
    # In a folder that others may write to, nobody's link is followed.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())


def _fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
