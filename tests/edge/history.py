"""One random history of thirty days: programs and people on two or three laptops, and what has to hold all the time."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tests.edge.program import Habits, Labels, Program, labels_of
from walletsync.conflicts import OpenConflicts
from walletsync.edge import Judged, Limit, judge
from walletsync.formats.bip329 import BIP329Format
from walletsync.memory import Memory, remembered
from walletsync.merge import MISSING, Conflict

FORMAT = BIP329Format()
DAYS = 30


class Broken(AssertionError):
    """Something did not hold. The message has the whole history."""


@dataclass
class Laptop:
    """A device with its file and what it remembers of that, and the program that writes it."""

    name: str
    program: Program
    watches: bool
    document: str = ""
    base: str = ""
    file: str | None = None
    memory: Memory | None = None
    conflicts: tuple[Conflict, ...] = ()


@dataclass
class Ledger:
    """Which label was written over which: whoever wrote one knew those `before` it. `gone` are the deleted ones."""

    before: dict[str, set[str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def wrote(self, label: str, *over: str | None) -> None:
        known = self.before.setdefault(label, set())
        for each in over:
            if each is not None:
                known |= {each, *self.before[each]}


class History:
    """Two or three laptops of one account; `seed` decides everything."""

    limit: Limit | None = Limit()

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.trace: list[tuple[object, ...]] = [(f"seed {seed}",)]
        refs = [str(number) for number in range(self.rng.randint(3, 14))]
        self.laptops = []
        for number in range(self.rng.randint(2, 3)):
            habits = Habits.drawn(self.rng)
            mine = [ref for ref in refs if self.rng.random() < habits.knows] or refs
            self.laptops.append(Laptop(f"laptop{number}", Program(habits, mine), self.rng.random() < 0.5))
        self.shared = ""
        self.ledger = Ledger()
        self._numbers = iter(range(1_000_000))
        self.takes = self.alarms = 0

    def run(self) -> None:
        """Let thirty days pass and check each of them."""
        try:
            for day in range(DAYS):
                self.trace.append((f"day {day}",))
                for laptop in self.laptops:
                    if self.rng.random() < 0.5:
                        self._day_at(laptop)
            for laptop in [*self.laptops, *self.laptops]:
                self._sync(laptop)
            self._hold(len({laptop.document for laptop in self.laptops}) == 1, "the laptops have different documents")
        except Broken:
            raise
        except Exception as error:
            raise Broken(self._told(repr(error))) from error

    def _hold(self, condition: bool, otherwise: str) -> None:
        if not condition:
            raise Broken(self._told(otherwise))

    def _told(self, end: str) -> str:
        return "\n".join([*(" ".join(map(str, each)) for each in self.trace), end])

    # What people and programs do

    def _day_at(self, laptop: Laptop) -> None:
        program, rng = laptop.program, self.rng
        if laptop.file is not None and rng.random() < program.habits.imports:
            program.imports(laptop.file)
            self._note(laptop, "imports")
        for _ in range(rng.randint(0, 2)):
            self._label(laptop)
        if rng.random() < program.habits.saves:
            self._save(laptop)
        if laptop.watches or rng.random() < 0.6:
            self._sync(laptop)
        if laptop.conflicts and rng.random() < 0.3:
            self._decide(laptop)
        if laptop.memory is not None and laptop.memory.held and rng.random() < 0.3:
            self._answer(laptop)

    def _label(self, laptop: Laptop) -> None:
        program = laptop.program
        ref = self.rng.choice(program.refs)
        old = program.labels.get(ref)
        if old is not None and self.rng.random() < 0.25:
            program.deleted[ref] = program.labels.pop(ref)
        else:
            label = f"{laptop.name} {next(self._numbers)}"
            self.ledger.wrote(label, old, program.deleted.pop(ref, None), program.written.get(ref))
            program.labels[ref] = label
        program.edited.add(ref)
        self._note(laptop, ref, old, "→", program.labels.get(ref))

    def _save(self, laptop: Laptop) -> None:
        program, rng = laptop.program, self.rng
        whole = program.export()
        if rng.random() < program.habits.mishaps:
            mishap = rng.choice(("cut", "slow", "renamed", "labels lost"))
            self._note(laptop, mishap)
            if mishap == "labels lost":
                program.labels, program.deleted = {}, {}
                program.edited.clear()
                whole = program.export()
            elif mishap == "renamed":
                laptop.file = None  # for a moment, in which a sync may come
                self._sync(laptop)
            else:
                lines = whole.splitlines(keepends=True)
                self._write(laptop, "".join(lines[: rng.randrange(len(lines) + 1)]))
                if mishap == "cut":
                    return
                self._sync(laptop)
        self._write(laptop, whole)

    def _write(self, laptop: Laptop, text: str) -> None:
        laptop.file = text
        self._note(laptop, "writes\n", text)
        if laptop.watches:
            self._sync(laptop)

    def _decide(self, laptop: Laptop) -> None:
        keep = self.rng.choice(("mine", "theirs"))
        shown = OpenConflicts(FORMAT, laptop.document, laptop.conflicts)
        conflict = shown.shown()[0]
        left = shown.resolved(conflict, "mine" if keep == "mine" else "theirs")
        before, after = labels_of(laptop.document), labels_of(left.document)
        for ref in before.keys() | after.keys():
            if before.get(ref) != after.get(ref):
                self._decided(before.get(ref), after.get(ref))
        laptop.document, laptop.conflicts = left.document, left.conflicts
        self._note(laptop, "decides", conflict, "for", keep)
        self._put(laptop)

    def _decided(self, before: str | None, after: str | None) -> None:
        if after is not None:
            self.ledger.gone.discard(after)
            self.ledger.wrote(after, before)
        elif before is not None:
            self.ledger.gone.add(before)

    def _answer(self, laptop: Laptop) -> None:
        """Confirm what is held, or put it back."""
        assert laptop.memory is not None
        if self.rng.random() < 0.5:
            self._note(laptop, "confirms")
            self._take(laptop, confirmed=True)
        else:
            self._note(laptop, "puts back")
            laptop.memory = replace(laptop.memory, held={})
        self._put(laptop)

    # What the device does, as `walletsync.walletfile` and `Client.sync` do it

    def _sync(self, laptop: Laptop) -> None:
        if laptop.file is not None and (laptop.memory is None or laptop.file.encode() != laptop.memory.seen):
            self._take(laptop)
        merged = FORMAT.merge(laptop.base, laptop.document, self.shared)
        laptop.document = laptop.base = self.shared = merged.document
        laptop.conflicts += merged.conflicts
        self._note(laptop, "syncs, with", merged.conflicts, "\n", laptop.document)
        self._put(laptop)

    def _take(self, laptop: Laptop, *, confirmed: bool = False) -> None:
        assert laptop.file is not None
        memory = laptop.memory or Memory(b"")
        limit = None if confirmed else self.limit
        # What was remembered comes back from its bytes, as after a restart.
        known = Memory.decode(memory.encode()).known(FORMAT)
        judged = judge(FORMAT, known, laptop.file, laptop.document, limit)
        self._note(laptop, "takes", judged)
        self._check(laptop, judged, confirmed=confirmed)
        laptop.document = judged.document
        laptop.conflicts += tuple(each for each in judged.conflicts if each not in laptop.conflicts)
        laptop.memory = remembered(judged, laptop.file.encode())
        program = laptop.program
        program.written = labels_of(laptop.file)
        program.cut = program.labels.keys() - program.written.keys()

    def _put(self, laptop: Laptop) -> None:
        if laptop.file is not None and laptop.memory is not None and laptop.memory.held:
            return
        if laptop.file != laptop.document:
            laptop.file = laptop.document
            laptop.memory = (laptop.memory or Memory(b"")).after_put(FORMAT, laptop.file.encode())

    # What has to hold

    def _check(self, laptop: Laptop, judged: Judged[str], *, confirmed: bool) -> None:
        before, after = labels_of(laptop.document), labels_of(judged.document)
        lost = [ref for ref in before if ref not in after and not self._is_deleted(laptop, ref, before[ref])]
        for ref in before.keys() | after.keys():
            old, new = before.get(ref), after.get(ref)
            if new is not None and new != old:
                is_revived = new in self.ledger.gone and ref not in laptop.program.cut
                self._hold(not is_revived, f"{new} was deleted, and is there again")
                knew = old is None or old in self.ledger.before[new]
                self._hold(knew, f"{old} was replaced by {new}, which knew nothing of it")
        for ref in before.keys() - after.keys():
            had = confirmed or ref in laptop.program.written
            self._hold(had, f"{before[ref]} was deleted by a program that never had it")
            if ref not in lost or confirmed:
                self.ledger.gone.add(before[ref])
        if not confirmed:
            is_mass = len(lost) > 5 and 10 * len(lost) > len(before)
            self._hold(not is_mass and (not lost or bool(labels_of(laptop.file or ""))), f"nobody confirmed {lost}")
        for ref in [*laptop.program.edited]:
            self._check_edit(laptop, ref, after, judged)
        self.takes += 1
        if laptop.program.habits.is_careful and self._shows_that_it_read(laptop):
            self.alarms += sum(each.theirs is not MISSING for each in judged.conflicts)

    def _shows_that_it_read(self, laptop: Laptop) -> bool:
        program, put = laptop.program, {} if laptop.memory is None else labels_of(laptop.memory.seen.decode())
        news = {ref: label for ref, label in put.items() if label != program.written.get(ref)}
        return any(labels_of(laptop.file or "").get(ref) == label for ref, label in news.items())

    def _check_edit(self, laptop: Laptop, ref: str, after: Labels, judged: Judged[str]) -> None:
        """Hold that what the person did is in the document, or told."""
        program, written = laptop.program, labels_of(laptop.file or "")
        mine = program.labels.get(ref)
        if written.get(ref) != mine:
            return  # it was not saved yet
        seen = {} if laptop.memory is None else labels_of(laptop.memory.seen.decode())
        if mine is None and ref not in seen:
            return  # it was given and deleted between two exports
        path = ("tx", ref, "label")
        told = [*judged.earlier, *judged.held, *(each.path for each in judged.conflicts)]
        is_told = any(path[: len(each)] == each for each in told)
        self._hold(after.get(ref) == mine or is_told, f"the edit of {ref} to {mine} is lost")
        program.edited.discard(ref)

    def _is_deleted(self, laptop: Laptop, ref: str, label: str) -> bool:
        """Tell whether the person has deleted a label, or one that was written over it."""
        return label in self._before(laptop, ref)

    def _before(self, laptop: Laptop, ref: str) -> Iterable[str]:
        deleted = laptop.program.deleted.get(ref)
        return () if deleted is None else (deleted, *self.ledger.before[deleted])

    def _note(self, laptop: Laptop, *what: object) -> None:
        self.trace.append((" ", laptop.name, *what))
