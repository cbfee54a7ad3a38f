"""What a program takes away waits, what it wrote as before is listed: both survive a crash at any step."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.client.crashes import Crash
from tests.client.test_walletfile import SERVER, Steps, names, opened, read, written
from walletsync import BIP329Format, Client, walletfile
from walletsync.errors import DeletionsUnconfirmed, WalletFileError
from walletsync.walletfile import WalletFile

pytestmark = pytest.mark.usefixtures("process_that_ends")


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes here while a file rests."""
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


MANY = [f'{{"type":"tx","ref":"{number}","label":"{number}"}}\n'.encode() for number in range(10)]
LEFT = MANY[0] + b'{"type":"tx","ref":"new","label":"new"}\n'


def emptied(tmp_path: Path, number: int) -> tuple[Path, Client]:
    """Return a label file of which a program has left one label and written another, and a client that knows all."""
    path = tmp_path / f"emptied {number}" / "wallet.json"
    (path.parent / "ours").mkdir(parents=True)
    client = Client(SERVER, format=BIP329Format())
    path.write_bytes(b"".join(MANY))
    labels_at(path).take_edits(client)
    path.write_bytes(LEFT)
    return path, client


def labels_at(path: Path) -> WalletFile:
    return WalletFile(path, format=BIP329Format(), memory=path.parent / "ours" / "memory")


ALL = BIP329Format().decode(b"".join(MANY) + LEFT[len(MANY[0]) :])


def is_held(path: Path, client: Client) -> bool:
    held = labels_at(path).held
    assert held is None or held.lost == 9
    return held is not None and client.get_document() == ALL and path.read_bytes() == LEFT


def is_whole(path: Path, client: Client) -> bool:
    return labels_at(path).held is None and client.get_document() == ALL == path.read_text()


def is_confirmed(path: Path, client: Client) -> bool:
    return labels_at(path).held is None and client.get_document() == LEFT.decode() == path.read_text()


@pytest.mark.parametrize(
    ("first", "then", "shall"),
    [
        (None, lambda file, client: file.put(client), is_held),
        (lambda file, client: file.put(client), lambda file, client: file.put(client, everything=True), is_whole),
        (
            lambda file, client: file.put(client),
            lambda file, client: file.take_edits(client, confirm_deletions=True),
            is_confirmed,
        ),
        (None, lambda file, client: file.take_edits(client, confirm_deletions=True), is_confirmed),
    ],
    ids=["held", "put back", "confirmed", "confirmed at once"],
)
def test_a_crash_at_any_step_neither_deletes_nor_forgets_what_is_held(
    first: Any, then: Any, shall: Callable[[Path, Client], bool], tmp_path: Path
) -> None:
    """What was asked for is done once it is asked for again; until then nothing is gone without that."""

    def begun_at(number: int) -> tuple[Path, Client]:
        path, client = emptied(tmp_path, number)
        if first is not None:
            first(labels_at(path), client)
        return path, client

    path, client = begun_at(0)
    steps = Steps()
    steps.run(lambda: then(labels_at(path), client))
    assert shall(path, client)
    assert steps.done > 5
    for number in range(1, steps.done + 1):
        path, client = begun_at(number)
        with pytest.raises(Crash):
            Steps().run(partial(then, labels_at(path), client), number)
        if shall is not is_confirmed:
            labels_at(path).take_edits(client)
            assert client.get_document() == ALL
        then(labels_at(path), client)
        assert shall(path, client), number
        assert names(path) == ["ours", "wallet.json"]


def test_what_was_put_back_is_not_asked_about_again(tmp_path: Path) -> None:
    """The same write once more is one from memory: it takes nothing away that the program has shown not to have."""
    path, client = emptied(tmp_path, 0)
    file = labels_at(path)
    file.put(client)
    assert file.put(client, everything=True)
    path.write_bytes(LEFT)
    assert file.put(client)
    assert is_whole(path, client)


def test_what_was_put_back_may_be_there_already(tmp_path: Path) -> None:
    """As when the other laptops have deleted it meanwhile: then nothing waits any more."""
    path, client = emptied(tmp_path, 0)
    file = labels_at(path)
    file.put(client)
    client.set_document(LEFT.decode())
    assert not file.put(client, everything=True)
    assert file.held is None


def test_what_is_earlier_is_decided_once(file: WalletFile, path: Path, client: Client) -> None:
    """Mine is what the program has, as far as the document has something else; then the list is empty."""
    file.decide_earlier(client, "mine")  # there is nothing yet
    assert file.earlier(client) == {}
    written(path, {"a": 1, "b": 1})
    file.take_edits(client)
    client.set_document({"a": 2, "b": 2})
    file.put(client)
    written(path, {"a": 1, "b": 1})
    file.put(client)
    assert file.earlier(client) == {("a",): 1, ("b",): 1}
    client.set_document({"a": 1, "b": 2})
    assert file.earlier(client) == {("b",): 1}
    file.decide_earlier(client, "mine")
    assert client.get_document() == {"a": 1, "b": 1}
    assert file.earlier(client) == {}


def test_what_is_earlier_takes_nothing_large_away_without_a_question(
    file: WalletFile, path: Path, client: Client
) -> None:
    """No more than a program that writes it; with consent it does, and without it all stays as it is."""
    news = {f"n{number}": number for number in range(12)}
    written(path, {"a": 1})
    file.take_edits(client)
    assert file.lost_by_earlier(client) == (0, 0)
    client.set_document({"a": 1} | news)
    file.put(client)
    written(path, {"a": 1})
    file.put(client)
    assert file.earlier(client).keys() == {(name,) for name in news}
    assert file.lost_by_earlier(client) == (12, 13)
    with pytest.raises(DeletionsUnconfirmed, match=r"is without 12 of 13 entries\. Nothing of that is deleted"):
        file.decide_earlier(client, "mine")
    assert client.get_document() == {"a": 1} | news
    assert len(file.earlier(client)) == 12
    file.decide_earlier(client, "mine", confirm_deletions=True)
    assert client.get_document() == {"a": 1}
    assert file.earlier(client) == {}


def test_a_damaged_memory_is_named_and_what_is_to_be_done_works(file: WalletFile, path: Path, client: Client) -> None:
    """Nothing is taken for known that is not; without it nothing is deleted."""
    written(path, {"a": 1})
    file.take_edits(client)
    client.set_document({"a": 1, "b": 2})
    memory = path.parent / "ours" / "memory"
    memory.write_bytes(memory.read_bytes()[:5])
    for attempt in (file.take_edits, file.put):
        with pytest.raises(WalletFileError, match=r"is damaged\. Move it away"):
            attempt(client)
    memory.rename(memory.with_name("away"))
    file.put(client)
    assert read(path) == {"a": 1, "b": 2}
