"""The file that other programs write as well: no edit lost, none doubled, nothing touched that is no document."""

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from tests.client.crashes import Crash
from walletsync import BIP329Format, Client, JSONFormat, walletfile
from walletsync.errors import DocumentError, WalletFileError
from walletsync.walletfile import WalletFile

pytestmark = pytest.mark.usefixtures("process_that_ends")
SERVER = "https://sync.example.com"


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes here while a file rests, but for the tests of that."""
    monkeypatch.setattr(walletfile, "_STABLE_SECONDS", 0)


@pytest.fixture
def client() -> Client:
    return Client(SERVER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "ours").mkdir()
    return tmp_path / "wallet.json"


@pytest.fixture
def file(path: Path) -> WalletFile:
    return opened(path)


def opened(path: Path) -> WalletFile:
    return WalletFile(path, format=JSONFormat(), memory=path.parent / "ours" / "memory")


def written(path: Path, document: Any) -> bytes:
    path.write_text(json.dumps(document))
    return path.read_bytes()


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_an_edit_is_noticed_and_taken_once(file: WalletFile, path: Path, client: Client) -> None:
    """What another program wrote gets into the document; a second look finds nothing new."""
    assert not file.is_edited()
    written(path, {"a": 1})
    assert file.is_edited()
    assert file.take_edits(client)
    assert not file.is_edited()
    assert not file.take_edits(client)
    assert client.get_document() == {"a": 1}
    before = file.signature()
    written(path, {"a": 1, "b": 2})
    assert file.signature() != before
    assert file.take_edits(client)
    assert client.get_document() == {"a": 1, "b": 2}


def test_an_edit_is_a_difference_and_not_the_whole_file(file: WalletFile, path: Path, client: Client) -> None:
    """What the document got meanwhile stays, though the file does not have it; what the file lost is deleted."""
    written(path, {"a": 1, "b": 2})
    file.take_edits(client)
    client.set_document({"a": 1, "b": 2, "c": 3})
    written(path, {"a": 9})
    file.take_edits(client)
    assert client.get_document() == {"a": 9, "c": 3}


def test_the_file_gets_what_the_document_has(file: WalletFile, path: Path, client: Client) -> None:
    """It is made where there is none, for nobody else to read, and what we wrote is no edit."""
    assert not file.put(client)
    assert not path.exists()
    client.set_document({"a": 1})
    assert file.put(client)
    assert read(path) == {"a": 1}
    assert path.stat().st_mode & 0o777 == 0o600
    assert not file.is_edited()
    assert not file.put(client)
    assert names(path) == ["ours", "wallet.json"]
    assert names(path.parent / "ours" / "memory") == ["memory"]


def test_a_file_that_says_the_same_keeps_its_layout(file: WalletFile, path: Path, client: Client) -> None:
    """A program's own way to write JSON is no reason to write the file anew."""
    path.write_text('{\n    "a": 1\n}\n')
    file.take_edits(client)
    before = file.signature()
    assert not file.put(client)
    assert file.signature() == before
    assert path.read_text() == '{\n    "a": 1\n}\n'


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_permissions_stay(mode: int, file: WalletFile, path: Path, client: Client) -> None:
    """The file is another one after it was replaced, with the permissions of the one before."""
    written(path, {"a": 1})
    path.chmod(mode)
    file.take_edits(client)
    inode = path.stat().st_ino
    client.set_document({"a": 2})
    file.put(client)
    assert path.stat().st_ino != inode
    assert path.stat().st_mode & 0o777 == mode


def test_a_link_stays_a_link(path: Path, tmp_path: Path, client: Client) -> None:
    """Who keeps the wallet elsewhere, behind a symbolic link, finds it there."""
    elsewhere = tmp_path / "elsewhere" / "real.json"
    elsewhere.parent.mkdir()
    written(elsewhere, {"a": 1})
    path.symlink_to(elsewhere)
    file = opened(path)
    file.take_edits(client)
    client.set_document({"a": 2})
    file.put(client)
    assert path.is_symlink()
    assert read(elsewhere) == {"a": 2}
    assert names(elsewhere) == ["real.json"]


def test_what_stands_in_the_way_of_the_new_file_is_not_followed(file: WalletFile, path: Path, client: Client) -> None:
    """A link that somebody put where the new file is to be made is taken away, and what it points to stays."""
    victim = path.with_name("victim")
    victim.write_text("precious")
    path.with_name(".wallet.json.walletsync-new").symlink_to(victim)
    client.set_document({"a": 1})
    file.put(client)
    assert victim.read_text() == "precious"
    assert not path.is_symlink()


@pytest.mark.parametrize("content", [b'{"a": 1', b'{"a": 1}{', b"", b"\xff\xfe", b"[1]", b'{"a": 1, "a": 2}'])
def test_what_is_no_document_is_refused_and_left_alone(
    content: bytes, file: WalletFile, path: Path, client: Client
) -> None:
    """Half written, emptied or foreign: nobody takes it for an edit, and nobody writes over it."""
    written(path, {"a": 1})
    file.take_edits(client)
    path.write_bytes(content)
    before = file.signature()
    client.set_document({"a": 2})
    for attempt in (file.take_edits, file.put):
        with pytest.raises(DocumentError, match=r"left as it is.*move it away"):
            attempt(client)
    assert path.read_bytes() == content
    assert file.signature() == before
    assert client.get_document() == {"a": 2}
    away = path.rename(path.with_name("away"))  # as the error says
    assert file.put(client)
    assert read(path) == {"a": 2}
    away.rename(path)
    written(path, {"a": 1, "b": 1})  # whole again
    assert file.put(client)
    assert read(path) == {"a": 2, "b": 1}


LABELS = [f'{{"type":"tx","ref":"{number:064x}","label":"{number}"}}\n'.encode() for number in range(5)]


def opened_labels(path: Path) -> tuple[WalletFile, Client]:
    """Return a file of four labels and a client that agree."""
    file = WalletFile(path, format=BIP329Format(), memory=path.parent / "ours" / "memory")
    client = Client(SERVER, format=BIP329Format())
    path.write_bytes(b"".join(LABELS[:4]))
    file.take_edits(client)
    return file, client


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n\n"])
def test_an_emptied_label_file_deletes_no_labels(content: bytes, path: Path) -> None:
    """No lines are a file of labels, too; but as a program empties a file before it writes it, that waits."""
    file, client = opened_labels(path)
    path.write_bytes(content)
    for attempt in (file.take_edits, file.put):
        attempt(client)
        assert file.held is not None
        assert (file.held.lost, file.held.of) == (4, 4)
    assert path.read_bytes() == content
    path.unlink()
    file.put(client)
    assert path.read_bytes() == b"".join(LABELS[:4])
    assert file.held is None


def test_a_file_without_labels_may_be_written_in_another_way(path: Path) -> None:
    """Where there was nothing, nothing is deleted by an empty file."""
    file = WalletFile(path, format=BIP329Format(), memory=path.parent / "ours" / "memory")
    client = Client(SERVER, format=BIP329Format())
    for content in (b"\n", b"", LABELS[0]):
        path.write_bytes(content)
        assert file.take_edits(client)


def pauses(monkeypatch: pytest.MonkeyPatch, writes: Callable[[int], object]) -> list[float]:
    """Let another program do `writes(number)` in each pause that the file is given to rest; return the pauses."""
    taken: list[float] = []

    def sleep(seconds: float) -> None:
        taken.append(seconds)
        writes(len(taken))

    monkeypatch.setattr(walletfile, "time", SimpleNamespace(sleep=sleep))
    return taken


@pytest.mark.parametrize("first", [0, 1, 2, 3])
@pytest.mark.parametrize("method", ["take_edits", "put"])
def test_what_is_half_written_deletes_nothing(
    method: str, first: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut at the end of a line it is a file of labels, too: the edit is what is there when the file rests."""
    file, client = opened_labels(path)
    edited = LABELS[:4]
    edited[2] = LABELS[4]
    path.write_bytes(b"".join(edited[:first]))  # the program has got so far

    def line(number: int) -> None:
        if first + number <= len(edited):
            path.write_bytes(b"".join(edited[: first + number]))

    seen: list[object] = []
    merge = Client.merge_document

    def looked_at(client: Client, merged: Any) -> None:
        merge(client, merged)
        seen.append(client.get_document())

    monkeypatch.setattr(Client, "merge_document", looked_at)
    taken = pauses(monkeypatch, line)
    getattr(file, method)(client)
    assert seen == [BIP329Format().decode(b"".join(edited))] == [client.get_document()]
    assert path.read_bytes() == b"".join(edited)
    assert taken == [walletfile._STABLE_SECONDS] * (len(edited) - first + 1)
    file.take_edits(client)
    assert len(taken) == len(edited) - first + 1  # what is no edit is not waited for


def test_a_file_that_never_rests_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, but not for ever; the error says what is the matter, and nothing has changed."""
    file, client = opened_labels(path)
    before = client.get_document()
    path.write_bytes(LABELS[0])
    taken = pauses(monkeypatch, lambda number: path.write_bytes(LABELS[number % 2]))
    for method in (file.take_edits, file.put):
        with pytest.raises(WalletFileError, match="keeps writing to it"):
            method(client)
    assert len(taken) == 2 * walletfile._MAX_CHECKS
    assert client.get_document() == before
    assert path.read_bytes() in LABELS[:2]


@pytest.mark.parametrize("rest", [None, b"".join(LABELS[:4])], ids=["gone", "as before"])
def test_an_edit_that_is_gone_before_it_was_taken_is_none(
    rest: bytes | None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a program removes a file to make it anew, or somebody changes their mind."""
    file, client = opened_labels(path)
    path.write_bytes(LABELS[0])
    pauses(monkeypatch, lambda _: path.unlink(missing_ok=True) if rest is None else path.write_bytes(rest))
    assert not file.take_edits(client)
    assert client.get_document() == BIP329Format().decode(b"".join(LABELS[:4]))


def test_a_deleted_file_is_no_edit(file: WalletFile, path: Path, client: Client) -> None:
    """It comes back with everything."""
    written(path, {"a": 1})
    file.take_edits(client)
    path.unlink()
    assert file.signature() is None
    assert not file.is_edited()
    assert not file.take_edits(client)
    assert file.put(client)
    assert read(path) == {"a": 1}


def test_what_cannot_be_read_or_written_is_named(file: WalletFile, path: Path, client: Client) -> None:
    """A folder in the file's place, or a folder that is gone: the error says which, and that nothing was changed."""
    path.mkdir()
    with pytest.raises(WalletFileError, match=r"wallet\.json cannot be read: Is a directory"):
        file.take_edits(client)
    path.rmdir()
    client.set_document({"a": 1})
    gone = WalletFile(path.parent / "gone" / "wallet.json", format=JSONFormat(), memory=path.parent / "ours" / "memory")
    with pytest.raises(WalletFileError, match="cannot be written: No such file"):
        gone.put(client)


def test_a_first_file_is_put_onto_what_the_device_has(file: WalletFile, path: Path, client: Client) -> None:
    """A wallet that was got before its file came is not deleted by it; what both have differently is a conflict."""
    client.set_document({"a": 1, "b": 1})
    written(path, {"a": 2, "c": 3})
    file.put(client)
    assert read(path) == {"a": 1, "b": 1, "c": 3}
    (conflict,) = client.conflicts
    assert (conflict.at, conflict.mine, conflict.theirs) == ("/a", 2, 1)


class Steps:
    """Numbers what changes on disk, and ends the process, or lets another program write, before or after one of it."""

    def __init__(self) -> None:
        self.done = 0
        self._at: int | None = None
        self._what: Callable[[], None] = lambda: None

    def run(self, action: Callable[[], object], at: int | None = None, what: Callable[[], None] | None = None) -> None:
        """Do `what` at step `at` of `action`; each operation has a step before and one after it."""
        self.done, self._at, self._what = 0, at, what or self._crash
        real = Path.replace, Path.unlink, walletfile._write, Client.merge_document
        with (
            patch.object(Path, "replace", self._around(real[0])),
            patch.object(Path, "unlink", self._around(real[1])),
            patch.object(walletfile, "_write", self._around(self._torn(real[2]))),
            patch.object(Client, "merge_document", self._around(real[3])),
        ):
            action()

    def _around(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            self._step()
            result = operation(*args, **options)
            self._step()
            return result

        return wrapped

    def _torn(self, write: Callable[..., None]) -> Callable[..., None]:
        def torn(path: Path, content: bytes, *, mode: int) -> None:
            write(path, content[: len(content) // 2], mode=mode)
            self._step()
            write(path, content, mode=mode)

        return torn

    def _step(self) -> None:
        self.done += 1
        if self.done == self._at:
            self._what()

    @staticmethod
    def _crash() -> None:
        raise Crash


BEGIN = {"a": 0, "b": 0, "c": 0}


def begun(tmp_path: Path, number: int) -> tuple[Path, Client]:
    """Return a file and a client that agree, with an edit in the file, news in the document, and a contradiction."""
    path = tmp_path / str(number) / "wallet.json"
    (path.parent / "ours").mkdir(parents=True)
    client = Client(SERVER)
    written(path, BEGIN)
    opened(path).take_edits(client)
    written(path, {"a": 1, "b": 0, "c": 1})
    client.set_document({"a": 0, "b": 2, "c": 2})
    return path, client


def steps_of_a_put(tmp_path: Path) -> int:
    path, client = begun(tmp_path, 0)
    steps = Steps()
    steps.run(lambda: opened(path).put(client))
    assert read(path) == {"a": 1, "b": 2, "c": 2}
    return steps.done


@pytest.mark.parametrize("later", [None, {"a": 0}, {"a": 5}, {"b": 0}, {"c": 9}], ids=str)
def test_a_crash_at_any_step_loses_and_doubles_nothing(later: dict[str, int] | None, tmp_path: Path) -> None:
    """Whenever the process ends, the next one goes on: with what the person wrote `later`, even if that takes back
    what the file had before, with one conflict where there is one, and without a rest in the folder."""
    total = steps_of_a_put(tmp_path)
    assert total > 20
    for number in range(1, total + 1):
        path, client = begun(tmp_path, number)
        with pytest.raises(Crash):
            Steps().run(lambda path=path, client=client: opened(path).put(client), number)  # type: ignore[misc]
        found = read(path)  # always a whole document, the one before or the one after
        assert found in ({"a": 1, "b": 0, "c": 1}, {"a": 1, "b": 2, "c": 2})
        expected = {"a": 1, "b": 2, "c": 2}
        conflicts = {("/c", 1)}
        if later is not None:
            written(path, found | later)
            has_news = found["b"] == 2
            if "b" in later and has_news:  # read, as c shows, and taken back
                conflicts.add(("/b", 0))
            elif "a" in later or has_news:
                expected |= later
            elif "c" in later:  # the person saw their own 1, and theirs 2 not yet
                conflicts = {("/c", 9), ("/c", 1)}
        opened(path).put(client)
        assert (number, read(path)) == (number, expected)
        assert client.get_document() == expected
        told = [(each.at, each.mine) for each in client.conflicts]
        assert len(told) == len(set(told))
        assert {("/c", 9), ("/b", 0)} & conflicts <= set(told) <= conflicts
        opened(path).put(client)
        assert names(path) == ["ours", "wallet.json"]
        assert {each.name for each in (path.parent / "ours").iterdir()} <= {"memory", "memory.new", "memory.taking.new"}
        assert not opened(path).is_edited()


def test_what_is_written_while_we_write_is_merged(tmp_path: Path) -> None:
    """Another program replaces the file at any step up to the last look: its edit is in the document and the file."""
    total = steps_of_a_put(tmp_path)
    kept = 0
    for number in range(1, total + 1):
        path, client = begun(tmp_path, number)

        def edit(path: Path = path) -> None:
            new = path.with_name("other-program")
            written(new, read(path) | {"d": 4})
            os.rename(new, path)  # noqa: PTH104 - Path.replace is what the steps count

        Steps().run(lambda path=path, client=client: opened(path).put(client), number, edit)  # type: ignore[misc]
        opened(path).put(client)
        kept += read(path) == {"a": 1, "b": 2, "c": 2, "d": 4} == client.get_document()
    print(f"kept at {kept} of {total} steps")
    assert kept == total - 1  # the instant between the last look and the renaming


@dataclass(frozen=True)
class Entries:
    """What a program that writes no files has in one of JSON, as `Answers`."""

    before: dict[str, int]
    now: dict[str, int]

    def had(self, document: dict[str, int]) -> dict[str, int]:
        return self.before

    def has(self, document: dict[str, int]) -> dict[str, int]:
        return self.now

    def written(self, document: dict[str, int], waiting: dict[str, int]) -> dict[str, int]:
        left = {name: value for name, value in document.items() if name in self.now or name not in self.before}
        return left | {name: value for name, value in self.now.items() if self.before.get(name) != value}


def test_what_its_program_changed_is_written_and_taken(client: Client, file: WalletFile, path: Path) -> None:
    """A program that writes no files can delete what it had, also where that was put into the file."""
    file.write(client, Entries({}, {"a": 1, "z": 1}))
    client.set_document({"a": 1, "b": 2, "z": 1})
    file.put(client)
    file.write(client, Entries({"a": 1, "z": 1}, {"a": 1, "b": 2, "z": 1}))
    file.write(client, Entries({"a": 1, "b": 2, "z": 1}, {"a": 1, "z": 1}))
    assert client.get_document() == {"a": 1, "z": 1}
    assert read(path) == {"a": 1, "z": 1}
    assert names(path) == ["ours", "wallet.json"]


def test_what_others_write_into_the_file_of_such_a_program_it_does_not_delete(
    client: Client, file: WalletFile, path: Path
) -> None:
    """It may never have it, and leaves it in the file; what it has had itself, it deletes."""
    file.write(client, Entries({}, {"a": 1, "z": 1}))
    written(path, {"a": 1, "b": 2, "z": 1})
    file.take_edits(client)
    file.write(client, Entries({"a": 1, "z": 1}, {"z": 2}))
    assert client.get_document() == read(path) == {"b": 2, "z": 2}


def test_what_is_in_the_file_of_such_a_program_is_not_what_it_has(client: Client, file: WalletFile, path: Path) -> None:
    """So if all that it has goes, that waits, however much of others' is there; and to have the same is no answer."""
    others = {f"other {number}": number for number in range(50)}
    written(path, others)
    file.take_edits(client)
    file.write(client, Entries({}, {"a": 1}))
    file.write(client, Entries({"a": 1}, {}))
    assert file.held is not None
    assert (file.held.lost, file.held.of) == (1, 51)
    assert read(path) == others
    held = file.held
    for now in ({}, {"b": 2}):
        file.write(client, Entries({}, now))
        assert file.held == held
    assert client.get_document() == others | {"a": 1, "b": 2}
    file.take_edits(client, confirm_deletions=True)
    assert client.get_document() == others | {"b": 2}
    written(path, {"b": 2} | dict(list(others.items())[1:]))
    file.take_edits(client)
    assert client.get_document() == others | {"b": 2}, "whoever writes the file has not read what others put there"


def test_who_deletes_the_file_of_such_a_program_has_all_back(client: Client, file: WalletFile, path: Path) -> None:
    """What waited to be deleted is there again, though the program has something new at that moment."""
    file.write(client, Entries({}, {"a": 1, "b": 2}))
    file.write(client, Entries({"a": 1, "b": 2}, {}))
    assert client.get_document() == {"a": 1, "b": 2}
    path.unlink()
    file.write(client, Entries({}, {"c": 3}))
    assert file.held is None
    file.put(client)
    assert read(path) == client.get_document() == {"a": 1, "b": 2, "c": 3}


def test_what_a_program_has_is_taken_though_the_process_ends_between_two_steps(tmp_path: Path) -> None:
    """Whatever step that is: the next one finishes it."""
    steps, number, had = Steps(), 0, {"a": 1, "z": 1}
    while True:
        number += 1
        folder = tmp_path / str(number)
        (folder / "ours").mkdir(parents=True)
        path, client = folder / "wallet.json", Client(SERVER)
        opened(path).write(client, Entries({}, had))
        client.set_document({"a": 1, "b": 2, "z": 1})

        def write(path: Path = path, client: Client = client) -> None:
            opened(path).write(client, Entries(had, {"a": 3, "z": 1}))

        try:
            steps.run(write, at=number)
        except Crash:
            write()
        else:
            break
        assert client.get_document() == {"a": 3, "b": 2, "z": 1}
        opened(path).put(client)
        assert read(path) == {"a": 3, "b": 2, "z": 1}
    assert number > 10


@pytest.mark.parametrize("verb", ["write", "put"])
def test_a_file_that_is_changed_again_and_again_is_left_alone(
    verb: str, client: Client, file: WalletFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time at the moment when it would be replaced; the edits are kept, and the next time it works."""
    file.write(client, Entries({}, {"a": 1}))
    mode, numbers = WalletFile._mode, itertools.count(1)
    acts: dict[str, Callable[[], object]] = {
        "write": lambda: file.write(client, Entries({"a": 1}, {"a": 2})),
        "put": lambda: file.put(client),
    }
    act = acts[verb]
    client.set_document({"a": 1, "b": 1})

    def somebody_writes(self: WalletFile) -> int:
        written(path, {"a": 1, "c": next(numbers)})
        return mode(self)

    with monkeypatch.context() as patched:
        patched.setattr(WalletFile, "_mode", somebody_writes)
        with pytest.raises(WalletFileError, match=r"keeps writing to it\. Try again"):
            act()
    last = read(path)
    act()
    assert last["c"] == next(numbers) - 1
    file.put(client)
    assert read(path) == client.get_document() == {"a": 2 if verb == "write" else 1, "b": 1, "c": last["c"]}


def test_a_program_that_is_forgotten_deletes_nothing(client: Client, file: WalletFile, path: Path) -> None:
    """What the next one leaves out, it may never have had; what it has otherwise is asked."""
    written(path, {"a": 1, "b": 2, "c": 3})
    file.forget_program(client)
    written(path, {"a": 1, "b": 0})
    file.take_edits(client)
    assert client.get_document() == {"a": 1, "b": 2, "c": 3}
    assert [(each.mine, each.theirs) for each in client.conflicts] == [(0, 2)]
