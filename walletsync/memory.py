"""What a device remembers of a wallet's file, in one file of its own: a line of JSON, then the bytes that it had."""

from dataclasses import dataclass, field, replace
from typing import Any

from walletsync import exactjson
from walletsync.edge import Judged, Known, Put, Values, after_put
from walletsync.formats.base import FileFormat
from walletsync.merge import MISSING, D
from walletsync.plain import path_of, plain_path


@dataclass(frozen=True)
class Memory:
    """The bytes that a file had when we last took from it or put into it, and what they mean, `walletsync.edge`.

    `puts` lead back to what the program wrote last. `held` is what it took away and nobody has confirmed, which counts
    as being there until then; `lost` says how much that is, of how much. `earlier` is what the program has otherwise
    than the document, `had` what stood in the file at some time, as marks.
    """

    seen: bytes
    puts: tuple[Put, ...] = ()
    held: Values = field(default_factory=dict)
    lost: tuple[int, int] = (0, 0)
    earlier: Values = field(default_factory=dict)
    had: tuple[str, ...] = ()

    def known(self, format: FileFormat[D]) -> Known[D]:
        """Return what is known of the file."""
        return Known(format.from_file(self.seen, format.empty()), self.puts, self.earlier, self.held, self.had)

    def after_put(self, format: FileFormat[D], content: bytes) -> "Memory":
        """Return what is remembered once the file has `content`, of ours; what was held is in it again."""
        known = after_put(format, self.known(format), format.from_file(content, format.empty()))
        return Memory(content, known.puts, earlier=self.earlier, had=known.had)

    def forgotten(self) -> "Memory":
        """Return what is remembered if another program is to write the file, which has read nothing of it."""
        return replace(self, puts=(Put(None, frozenset()),))

    def by(self, format: FileFormat[D], wrote: D) -> "Memory":
        """Return what is remembered if the file's program wrote `wrote` of it, and others put all else there."""
        known = after_put(format, Known(wrote, had=self.had), self.known(format).now)
        return replace(self, puts=known.puts, had=known.had)

    def encode(self) -> bytes:
        """Return the bytes to keep."""
        puts = [
            {
                "before": None if put.before is None else _plain_values(put.before),
                "shown_by": None if put.shown_by is None else [plain_path(path) for path in put.shown_by],
            }
            for put in self.puts
        ]
        head = {
            "puts": puts,
            "held": _plain_values(self.held),
            "lost": list(self.lost),
            "earlier": _plain_values(self.earlier),
            "had": list(self.had),
        }
        return exactjson.dumps(head).encode() + b"\n" + self.seen

    @classmethod
    def decode(cls, data: bytes) -> "Memory":
        """Return what was remembered. Raises ValueError if `data` is damaged."""
        head, end, seen = data.partition(b"\n")
        try:
            plain = exactjson.loads(head.decode())
            puts = tuple(
                Put(
                    None if put["before"] is None else _values_of(put["before"]),
                    None if put["shown_by"] is None else frozenset(map(path_of, put["shown_by"])),
                )
                for put in plain["puts"]
            )
            lost, of = plain["lost"]
            if end:
                return cls(
                    seen, puts, _values_of(plain["held"]), (lost, of), _values_of(plain["earlier"]), tuple(plain["had"])
                )
        except (KeyError, TypeError, RecursionError):
            pass
        raise ValueError("This is not what was remembered of a file.")


def remembered(judged: Judged[Any], written: bytes) -> Memory:
    """Return what to remember of a file that a program has written."""
    return Memory(written, (), judged.held, judged.lost, judged.earlier, judged.had)


def _plain_values(values: Values) -> list[Any]:
    return [[plain_path(path)] if value is MISSING else [plain_path(path), value] for path, value in values.items()]


def _values_of(plain: list[Any]) -> Values:
    return {path_of(path): value[0] if value else MISSING for path, *value in plain}
