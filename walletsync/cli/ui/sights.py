"""What the page shows of a wallet, as texts: its state, and records with what each side has there."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from walletsync import exactjson
from walletsync.cli import deeds
from walletsync.cli.edge import Notices
from walletsync.cli.output import present, printable
from walletsync.cli.wallet import Wallet
from walletsync.client import Client
from walletsync.formats.base import Opened, opened
from walletsync.merge import MISSING, Path, pointer

MOST: Final = 50
"""How many records of a list are shown; there may be thousands."""
_NOTHING: Final = "nothing"


@dataclass(frozen=True)
class Side:
    """What one side has."""

    name: str
    text: str
    is_there: bool


@dataclass(frozen=True)
class Record:
    """A place: what people call its record, which part of that it is, and what each side has there."""

    title: str
    part: str
    at: str
    sides: tuple[Side, ...]
    name: str = ""
    """Of a conflict."""
    seen: str = ""
    can_be_both: bool = False


@dataclass(frozen=True)
class Records:
    """The first records of a list; `seen` stands for all of them."""

    shown: tuple[Record, ...]
    number: int
    seen: str = ""

    @property
    def left(self) -> int:
        """How many are not shown."""
        return self.number - len(self.shown)


@dataclass(frozen=True)
class State:
    """All of the first page."""

    wallet: Wallet
    device: str
    version: int
    is_edited: bool
    notices: Notices
    lost: tuple[int, int]
    conflicts: Records
    deletions: Records
    earlier: Records
    lost_by_earlier: tuple[int, int]
    """What would go if the program's earlier state were decided for, of how much, if somebody has to confirm that."""

    @property
    def heading(self) -> str:
        """Whether it is in sync, in a few words."""
        if self.is_edited:
            return "Not sent yet"
        if not self.version:
            return "Not synced yet"
        return "In sync, but for what waits below" if self.conflicts.number or self.lost[0] else "In sync"


class Sights:
    """Makes what is shown, and marks by which a form says what its person has seen."""

    def __init__(self, wallet: Wallet, secret: str) -> None:
        self._wallet, self._secret = wallet, secret.encode()

    def state(self, client: Client) -> State:
        """Return what there is to see now; neither the server nor the password is needed."""
        file, version = self._wallet.wallet_file(), client.wallet_state
        has_document = client.merge_base is not None or client.has_local_changes
        held = file.held
        return State(
            self._wallet,
            client.device_id,
            0 if version is None else version.sequence,
            file.is_edited() or client.has_local_changes,
            Notices.of(self._wallet, client),
            (0, 0) if held is None else (held.lost, held.of),
            self.conflicts(client),
            self.deletions(client) if has_document else Records((), 0),
            self.earlier(client) if has_document else Records((), 0),
            file.lost_by_earlier(client) if has_document else (0, 0),
        )

    def conflicts(self, client: Client) -> Records:
        """Return the conflicts that wait."""
        all_conflicts = client.conflicts
        if not all_conflicts:
            return Records((), 0, self._mark_of(()))
        document, shown = self._opened(client.get_document()), []
        for each in all_conflicts[:MOST]:
            sides = {"Before": each.base, "Mine": each.mine, "Theirs": each.theirs}
            seen, both = self.mark(each.path, sides), deeds.can_keep_both(self._wallet, each)
            shown.append(self._record(document, each.path, sides, name=each.name, seen=seen, can_be_both=both))
        # Of those that are not shown, too: whoever decides all of them has seen how many there are.
        waiting = ({"name": each.name, "mine": each.mine, "theirs": each.theirs} for each in all_conflicts)
        mark = self._mark_of(exactjson.dumps(present(each)) for each in waiting)
        return Records(tuple(shown), len(all_conflicts), mark)

    def deletions(self, client: Client) -> Records:
        """Return what a program has taken away and nobody has confirmed."""
        taken = deeds.taken_away(self._wallet, client)
        return self.records({path: {} for path in taken}, client.get_document())

    def earlier(self, client: Client) -> Records:
        """Return what a program wrote as it had it before."""
        written = deeds.written_as_before(self._wallet, client)
        sides = {path: {"Mine": each["mine"], "Theirs": each["theirs"]} for path, each in written.items()}
        return self.records(sides, client.get_document())

    def records(self, places: Mapping[Path, dict[str, Any]], document: Any) -> Records:
        """Return places, called as they are in `document`."""
        called = self._opened(document)
        shown = tuple(self._record(called, path, sides) for path, sides in islice(places.items(), MOST))
        return Records(shown, len(places), self._mark_of(self.mark(path, sides) for path, sides in places.items()))

    def mark(self, path: Path, sides: dict[str, Any]) -> str:
        """Return what differs once any of the sides does, and tells nobody anything."""
        return self._mark_of([pointer(path), exactjson.dumps(present(sides))])

    def _opened(self, document: Any) -> Opened[Any]:
        return opened(self._wallet.format, document)

    def _mark_of(self, parts: Iterable[str]) -> str:
        return hmac.new(self._secret, "\n".join(parts).encode(), hashlib.sha256).hexdigest()

    def _record(self, document: Opened[Any], path: Path, sides: dict[str, Any], **more: Any) -> Record:
        format = self._wallet.format
        of = format.record_at(path)
        title = format.title(of, format.shown(of, document.value_at(of)))
        part = " ".join(printable(str(step)) for step in path[len(of) :])
        texts = tuple(_side(name, format.shown(path, value)) for name, value in sides.items())
        return Record(printable(title), part, printable(pointer(path)), texts, **more)


def _side(name: str, value: Any) -> Side:
    if value is MISSING:
        return Side(name, _NOTHING, is_there=False)
    return Side(name, printable(value if type(value) is str else exactjson.dumps(value)), is_there=True)
