"""A wallet's file that another program writes as well: its edits are noticed, and ours put into it.

The file is where the person and their programs work; the device's document is what syncs. `memory` keeps the bytes
that the file had when we last took from it or put into it, and what the program can know of them: `walletsync.edge` has
the rule for what a program's write means. A process may end between any two steps. Two files beside `memory` say what
was under way, and the next start finishes it before it looks:

memory.taking     what the file had, on its way into the document: it is put there again, which changes nothing
memory.putting    the next memory, of what the file is to have; that is so exactly if the new file,
                  `.NAME.walletsync-new`, is no longer there

A part of a file may be a document as well, as with labels, one a line. So an edit is taken from a file only after that
has rested: a program that was half way through writing it has not deleted what it has yet to write.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from walletsync.edge import Answers, Judged, Known, Limit, Values, carrying, judge, much_lost, still_other
from walletsync.errors import DeletionsUnconfirmed, DocumentError, NotReady, UnrelatedWallet, WalletFileError
from walletsync.formats.base import FileFormat
from walletsync.memory import Memory, remembered
from walletsync.merge import Merged, same
from walletsync.remedies import Remedy

if TYPE_CHECKING:
    from walletsync.client import Client


_STABLE_SECONDS = 0.5
"""How long a file has to stay unchanged before an edit is taken from it."""
_MAX_CHECKS = 20
"""How often it is checked until it does."""
_MAX_TRIES = 8
"""How often a file is written anew at most, because another program has written it in the meantime."""
_RELATED_PERCENT = 10
"""So many of the records of a file, or of a document if it has fewer, are in the other one if they are of one wallet.
Two wallets of one person may have something in common, such as what one paid to the other."""


@dataclass(frozen=True)
class Held:
    """What a program's write takes away, and waits for a person to confirm: `lost` of the `of` things in the document.

    `values` has them by place.
    """

    lost: int
    of: int
    values: Values


class WalletFile:
    """The file at `path`, whose content is a document of `format`. `memory` is a file of our own, in our own folder.

    Every method leaves the file alone if what is in it is not a document: it may be half written. One process at a
    time; the lock of the client's store sees to that. A write that takes away more than `limit` waits: see `held`.
    Where it `joins`, a file that is new may be of another wallet than the document, and both are in one then. Before
    the client has a version of the account nothing is done with a file that is new, unless it `may_begin`.
    """

    def __init__(
        self,
        path: Path,
        *,
        format: FileFormat[Any],
        memory: Path,
        limit: Limit | None = None,
        joins: bool = False,
        may_begin: Callable[[], bool] = lambda: True,
    ) -> None:
        self._path = path
        self._format = format
        self._limit = limit or Limit()
        self._joins = joins
        self._may_begin = may_begin
        self._memory = memory
        self._taking = memory.with_name(f"{memory.name}.taking")
        self._putting = memory.with_name(f"{memory.name}.putting")

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
        return content is not None and content != self._seen()

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever taken from the file or put into it."""
        return self._remembered() is None

    @property
    def held(self) -> Held | None:
        """What the program's write would take away, None if nothing waits.

        Until it is confirmed, by `take_edits`, or put back, by `put`, the document keeps it, and the file stays as it
        is. All else is taken.
        """
        memory = self._remembered()
        return None if memory is None or not memory.held else Held(*memory.lost, memory.held)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Where the file has what is not taken from it, and why, as ends of a sentence; it stays as it is there."""
        memory = self._remembered()
        return () if memory is None else tuple(self._format.unreadable(memory.seen))

    def earlier(self, client: "Client") -> Values:
        """Return what the program wrote as it had it before, by place, where the document has something else.

        The document keeps what it has. A place is no longer there once the program has written something else.
        """
        memory = self._remembered()
        if memory is None or not memory.earlier:
            return {}
        return still_other(self._format, client.get_document(), memory.earlier)

    def lost_by_earlier(self, client: "Client") -> tuple[int, int]:
        """Return how much it would take away to decide for "mine", of how much; (0, 0) if nobody has to confirm it."""
        earlier = self.earlier(client)
        if not earlier:
            return 0, 0
        document = client.get_document()
        return much_lost(self._format, document, self._format.with_values(document, earlier), self._limit)

    def decide_earlier(
        self, client: "Client", keep: Literal["mine", "theirs"], *, confirm_deletions: bool = False
    ) -> None:
        """Put what is `earlier` into the document, "mine", or leave the document as it is; no longer list it.

        Raises:
            DeletionsUnconfirmed: mine takes away as much as waits where a program writes it. Nothing was decided.
        """
        earlier = self.earlier(client)

        def with_mine(document: Any) -> Any:
            after = self._format.with_values(document, earlier)
            lost, of = (0, 0) if confirm_deletions else much_lost(self._format, document, after, self._limit)
            if lost:
                raise DeletionsUnconfirmed(
                    f"What your program wrote as before is without {lost} of {of} {self._format.content}. Nothing of "
                    "that is deleted, and nothing was decided.",
                    remedy=Remedy.CONFIRM_DELETIONS,
                )
            return after

        if keep == "mine" and earlier:
            client.update_document(with_mine)
        memory = self._remembered()
        if memory is not None:
            self._remember(replace(memory, earlier={}))

    def take_edits(self, client: "Client", *, confirm_deletions: bool = False) -> bool:
        """Put what was changed in the file since the last time into the client's document; tell whether there was any.

        A file that is gone is not an edit: deleting a file does not delete a wallet. `confirm_deletions`: what the
        write takes away is taken away, however much.

        Raises:
            UnrelatedWallet: the file is new, and has next to nothing of the document. Nothing was taken.
            DocumentError: what is in the file is not a document, as when it is half written.
            WalletFileError: it cannot be read, or another program keeps writing to it.
        """
        if self._is_too_early(client):
            return False
        limit = None if confirm_deletions else self._limit
        self._recover(client, limit)
        content, seen = _read(self._path), self._seen()
        if content != seen:
            content = self._once_stable(content)
        if content is None or (content == seen and not (confirm_deletions and self.held)):
            return False
        self._refuse_unrelated(self._decoded(content, self._format.empty()), client)
        with self._writing():
            _replace(self._taking, content)
        self._recover(client, limit)
        return True

    def check_is_related(self, client: "Client") -> None:
        """Look whether the file, if it is new, is of the client's wallet.

        Raises:
            UnrelatedWallet: it has next to nothing of the document.
            DocumentError, WalletFileError: it cannot tell.
        """
        content = _read(self._path)
        if content is not None:
            self._refuse_unrelated(self._decoded(content, self._format.empty()), client)

    def put(self, client: "Client", *, everything: bool = False) -> bool:
        """Bring the file up to the client's document, after taking edits that came meanwhile; tell if it changed.

        The file is replaced as a whole and keeps its permissions. One that says the same in other bytes stays, and so
        does one of which something is `held`, but for `everything`, which puts that back.

        Raises:
            DocumentError, WalletFileError: nothing was written.
        """
        for _ in range(_MAX_TRIES):
            if self._is_too_early(client):
                return False
            self.take_edits(client)
            before, memory = _read(self._path), self._remembered()
            if before is not None and (memory is None or before != memory.seen):
                continue  # written since the edits were taken
            if before is not None and memory is not None and memory.held:
                if not everything:
                    return False
                self._remember(replace(memory, held={}, lost=(0, 0)))
            try:
                content = self._format.to_file(client.get_document(), before or b"")
            except NotReady:
                return False
            if content == before:
                return False
            if self._replaced(before, content, self._remembered_or_nothing().after_put(self._format, content)):
                return True
        raise self._never_rests()

    def write(self, client: "Client", answers: Answers[Any]) -> None:
        """Write what the file's program has changed, for one that writes no files, and take it; all else stays.

        What another has written into the file since is taken before, and counts as put there. The document has the
        change before the file does: after an interruption, the same again changes nothing more.

        Raises what `take_edits` raises, and:
            WalletFileError: another program keeps changing the file.
        """
        for _ in range(_MAX_TRIES):
            self.take_edits(client)
            memory = self._remembered_or_nothing()
            is_there, known = self.signature() is not None, memory.known(self._format)
            before = memory.seen if is_there else None
            known = known if is_there else replace(known, held={})  # who deletes the file has all back that waits
            written = answers.written(known.now, self._format.with_values(known.now, known.held))
            self._refuse_unrelated(written, client)
            known = carrying(self._format, known, answers.had(known.now))
            judged = self._merge(client, known, written, self._limit)
            content = self._format.to_file(written, before or b"")
            memory = remembered(judged, content).by(self._format, answers.has(written))
            if content == before:
                self._remember(memory)
                return
            if self._replaced(before, content, memory):
                return
        raise self._never_rests()

    def forget_program(self, client: "Client") -> None:
        """Take what is in the file, and expect another program there: whatever that leaves out, it does not delete.

        Raises what `take_edits` raises, and:
            NotReady: deletions wait to be confirmed.
        """
        self.take_edits(client)
        if self.held is not None:
            raise NotReady(
                f"{self._path} was written without much of what it had, which waits for a decision.", remedy=Remedy.SYNC
            )
        if memory := self._remembered():
            if _read(self._path) is None:
                self._memory.unlink()
            else:
                self._remember(memory.forgotten())

    def _is_too_early(self, client: "Client") -> bool:
        """Tell whether the file is new, and nobody knows yet whether the account has a wallet that it could be of."""
        return client.merge_base is None and self.is_new and not self._may_begin()

    def _refuse_unrelated(self, written: Any, client: "Client") -> None:
        """Raise `UnrelatedWallet` if the file is new, and what is written and the document are hardly of one wallet."""
        if client.merge_base is None or self._joins or not self.is_new:
            return
        *views, _ = self._format.differences([written, client.get_document(), self._format.empty()])
        ours, theirs = ({self._format.record_at(path) for path in view} for view in views)
        if ours and theirs and 100 * len(ours & theirs) < _RELATED_PERCENT * min(len(ours), len(theirs)):
            raise UnrelatedWallet(
                f"{self._path} seems to be of another wallet than the one in this account: of its {len(ours)} records "
                f"the account has {len(ours & theirs)}, and {len(theirs)} in all. Nothing was taken from it, and it is "
                "as it was.",
                remedy=Remedy.JOIN_OR_USE_ANOTHER_ACCOUNT,
            )

    def _once_stable(self, content: bytes | None) -> bytes | None:
        """Return what the file has once it stays unchanged; `content` is what it had at first."""
        for _ in range(_MAX_CHECKS):
            time.sleep(_STABLE_SECONDS)
            before, content = content, _read(self._path)
            if content == before:
                return content
        raise self._never_rests()

    def _never_rests(self) -> WalletFileError:
        return WalletFileError(
            f"{self._path} is left as it is: another program keeps writing to it. Try again when it is done."
        )

    def _recover(self, client: "Client", limit: Limit | None) -> None:
        """Finish what was begun, here or by a process that ended."""
        with self._writing():
            edited = _read(self._taking)
            if edited is not None:
                self._take(client, edited, limit)
                self._taking.unlink()
            if self._putting.exists():
                if self._new().exists():
                    self._putting.unlink()
                else:
                    self._putting.replace(self._memory)
            self._new().unlink(missing_ok=True)

    def _take(self, client: "Client", edited: bytes, limit: Limit | None) -> None:
        memory = self._remembered()
        if memory is not None and memory.seen == edited and not (limit is None and memory.held):
            return  # all but the last step was done
        try:
            known = self._remembered_or_nothing().known(self._format)
            written = self._decoded(edited, known.now)
            judged = self._merge(client, known, written, limit)
        except DocumentError:
            self._taking.unlink()
            raise
        is_as_before = memory is not None and memory.seen == edited
        self._remember(replace(remembered(judged, edited), puts=known.puts if is_as_before else ()))

    def _merge(self, client: "Client", known: Known[Any], written: Any, limit: Limit | None) -> Judged[Any]:
        """Put what a program has written into the document, and return what it came to; a first document is that."""
        judged = Judged(written)

        def merged(document: Any) -> Merged[Any]:
            nonlocal judged
            if document is not None:
                judged = judge(self._format, known, written, document, limit)
            return Merged(judged.document, judged.conflicts)

        waiting = {conflict.name: conflict.theirs for conflict in client.conflicts}
        client.merge_document(merged)
        if waiting:
            self._settle(client, waiting)
        return judged

    @staticmethod
    def _settle(client: "Client", before: Mapping[str, Any]) -> None:
        """Take off the list what the program has edited again: what it had there earlier is no question any more.

        `before` has what the document had at the place of each conflict.
        """
        settled = {
            conflict.name
            for conflict in client.conflicts
            if conflict.name in before and not same(conflict.theirs, before[conflict.name])
        }
        if settled:
            client.resolve_all(lambda conflict: conflict.theirs if conflict.name in settled else conflict)

    def _replaced(self, before: bytes | None, content: bytes, memory: Memory) -> bool:
        """Replace the file by one with `content`, durably, if it still has what it had `before`; tell if so.

        `memory` is what is remembered of it then.

        A program that writes in the instant between that look and the renaming loses to us; no system call of POSIX
        does both at once.
        """
        with self._writing():
            new, target = self._new(), self._path.resolve()
            _write(new, content, mode=self._mode())
            _replace(self._putting, memory.encode())
            if _read(self._path) != before:
                self._putting.unlink()
                return False
            new.replace(target)
            _fsync_folder(target.parent)
            self._putting.replace(self._memory)
        return True

    def _seen(self) -> bytes | None:
        memory = self._remembered()
        return None if memory is None else memory.seen

    def _remembered(self) -> Memory | None:
        data = _read(self._memory)
        try:
            return None if data is None else Memory.decode(data)
        except ValueError:
            raise WalletFileError(
                f"{self._memory} is damaged. Move it away: {self._path} is then merged as on the first day, and "
                "nothing is deleted."
            ) from None

    def _remembered_or_nothing(self) -> Memory:
        return self._remembered() or Memory(self._format.encode(self._format.empty()))

    def _remember(self, memory: Memory) -> None:
        with self._writing():
            _replace(self._memory, memory.encode())

    def _new(self) -> Path:
        target = self._path.resolve()
        return target.with_name(f".{target.name}.walletsync-new")

    def _decoded(self, content: bytes, known: Any) -> Any:
        try:
            return self._format.from_file(content, known)
        except DocumentError as error:
            raise DocumentError(
                f"{self._path} is left as it is: {error.message} If another program is writing it, try again when it "
                "is done; to get everything back into it, move it away, and put it there anew."
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


def read_file(path: Path) -> bytes | None:
    """Return what a file has, None if there is none.

    Raises:
        WalletFileError: it cannot be read.
    """
    return _read(path)


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
