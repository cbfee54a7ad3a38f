"""A wallet's file that another program writes as well: its edits are noticed, and ours put into it.

The file is where the person and their programs work; the device's document is what syncs. `seen` keeps the bytes that
the file had when the two last agreed, so an edit is whatever the file has beyond them. Each step can be done twice, so
a process may end between any two of them.
"""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from types import EllipsisType
from typing import Any

from walletsync.client import Client
from walletsync.errors import DocumentError, NotReady, WalletSyncError
from walletsync.formats.base import Format


class WalletFileError(WalletSyncError):
    """The wallet's file cannot be read or written; it is as it was."""


class WalletFile:
    """The file at `path`, whose content is a document of `format`. `seen` is a file of our own.

    Every method leaves the file alone if what is in it is no document: it may be half written.
    """

    def __init__(self, path: Path, *, format: Format[Any], seen: Path) -> None:
        self._path = path
        self._format = format
        self._seen = seen

    def signature(self) -> tuple[int, ...] | None:
        """Return something that is another one after the file was written; None if there is no file."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def is_edited(self) -> bool:
        """Tell whether the file has something that `take_edits` has not taken yet."""
        content = self._read(self._path)
        return content is not None and content != self._read(self._seen)

    def take_edits(self, client: Client) -> bool:
        """Put what was changed in the file since the last time into the client's document; tell whether there was any.

        A file that is gone is no edit: deleting a file does not delete a wallet.

        Raises:
            DocumentError: what is in the file is no document, as when it is half written.
            WalletFileError: it cannot be read.
        """
        content = self._read(self._path)
        seen = self._read(self._seen)
        if content is None or content == seen:
            return False
        edited = self._decoded(content)
        if seen and not content:
            raise DocumentError(
                f"{self._path} is empty now, as a file is that is being written; it is left as it is. If everything in "
                "it is to be deleted, delete it entry by entry in the program that you use."
            )
        if seen is None:
            client.add_document(edited, based_on=self._format.empty())
        else:
            client.add_document(edited, based_on=self._format.decode(seen))
        self._replace(self._seen, content, mode=0o600)
        return True

    def put(self, client: Client) -> bool:
        """Bring the file up to the client's document, with edits that came meanwhile taken first; tell if it changed.

        The file is replaced as a whole and keeps its permissions.

        Raises:
            DocumentError, WalletFileError: nothing was written.
        """
        while True:
            self.take_edits(client)
            before = self._read(self._path)
            try:
                content = self._format.encode(client.get_document())
            except NotReady:
                return False
            if content == before or self._replace(self._path.resolve(), content, mode=self._mode(), expected=before):
                self._replace(self._seen, content, mode=0o600)
                return content != before

    def _decoded(self, content: bytes) -> Any:
        try:
            return self._format.decode(content)
        except DocumentError as error:
            raise DocumentError(
                f"{self._path} is left as it is: {error} If another program is writing it, try again when it is done."
            ) from None

    def _mode(self) -> int:
        try:
            return stat.S_IMODE(self._path.stat().st_mode)
        except FileNotFoundError:
            return 0o600

    def _read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WalletFileError(f"{path} cannot be read: {error.strerror}. Nothing was changed.") from None

    def _replace(self, path: Path, content: bytes, *, mode: int, expected: bytes | EllipsisType | None = ...) -> bool:
        """Replace a file by one with `content`, durably, or leave it as it is.

        `expected` is what has to be in it until the last moment, if that matters; returns whether it was.
        """
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    os.fchmod(file.fileno(), mode)
                    file.flush()
                    os.fsync(file.fileno())
                if expected is not ... and self._read(path) != expected:
                    Path(name).unlink()
                    return False
                Path(name).replace(path)
            except BaseException:
                with suppress(FileNotFoundError):
                    Path(name).unlink()
                raise
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            return True
        except OSError as error:
            raise WalletFileError(
                f"{path} cannot be written: {error.strerror}. It is as it was; what came is kept, and is written the "
                "next time."
            ) from None
