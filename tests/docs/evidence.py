"""A run of notebooks in which nothing gets lost: all that servers received, stored and logged, and what was secret.

The run is the machine's own, with its kernels and a server of the kind that `make docs` starts. See `recorder`.
"""

import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Frame
from websockets.protocol import Protocol, Side

from postgresql import Postgres
from tests.docs.recorder import ANSWERED, ASKED, Recorder
from tests.leaks import SHORTEST, Search, Secret, without
from tools.docs.execute import execute
from tools.docs.kernels import Room, open_room
from tools.docs.project import NOTEBOOKS, ROOT
from tools.docs.runs import Run
from walletsync_server.testing import RunningServer

_STARTUP = """
import pathlib, sys
sys.path.insert(0, {root!r})
from tests.docs.recorder import record_this_kernel
record_this_kernel(pathlib.Path({folder!r}))
sys.path.remove({root!r})
del pathlib, sys, record_this_kernel
"""
# Where what lets a device in is on the wire, by docs/protocol.md
_LOGIN = rb'"(?:password|oldPassword|newPassword)": ?"'
_ISSUED = rb'"token": ?"'
_SHOWN = rb"\r\nAuthorization: Bearer "
_LINK = rb"\?verifyToken="
_DIGITS = rb"([0-9a-f]{64})"
_UPGRADED = re.compile(rb"\r\nUpgrade: websocket\r\n.*?\r\n\r\n", re.IGNORECASE | re.DOTALL)
_DEVICES = "*.wallet*"
"""What a device keeps for itself: the stores that notebook 00 names."""


@dataclass(frozen=True)
class Evidence:
    """What a run left. Each is bytes by their place: `asked` and `answered` with the whole of a connection, `kept` with
    files and the values of databases, `devices` with the files of those who may know everything.
    """

    runs: list[Run]
    asked: dict[str, bytes]
    answered: dict[str, bytes]
    kept: dict[str, bytes]
    devices: dict[str, bytes]
    noted: list[list[tuple[str, str, Any]]]

    def typed(self, kind: str) -> list[set[str]]:
        """Return what was noted of a kind, for each notebook."""
        return [{json.dumps(what) for its, _, what in notes if its == kind} for notes in self.noted]

    @property
    def logins(self) -> set[bytes]:
        """What was sent to log in."""
        return _all(_LOGIN + rb'([^"]+)"', self.asked)

    @property
    def tokens(self) -> set[bytes]:
        """The tokens that servers issued."""
        return _all(_ISSUED + _DIGITS, self.answered)

    @property
    def shown(self) -> set[bytes]:
        """The tokens that devices showed."""
        return _all(_SHOWN + rb"(\S+)", self.asked)

    @property
    def links(self) -> set[bytes]:
        """What stood in the links that were mailed, and pressed."""
        return _all(_LINK + _DIGITS, self.asked)

    def secrets(self) -> list[Secret]:
        """Return all that was typed, derived, or made by a server, and that no server may see, or not keep."""
        notes = [note for notes in self.noted for note in notes]
        found = [_secret(*note) for note in notes if note[0] != "document"]
        found += [Secret("what logs in", login) for login in self.logins]
        for name, all_of_them in (("a token", self.tokens), ("a mailed link", self.links)):
            found += [Secret(name, form) for digits in all_of_them for form in (digits, bytes.fromhex(digits.decode()))]
        texts = {text for kind, _, document in notes if kind == "document" for text in texts_of(document)}
        return [*found, *(Secret(f"the text {text}", text.encode()) for text in sorted(texts))]

    def leaks(self) -> list[str]:
        """Return a sentence for each secret that is where it must not be."""
        places = {}
        for place, data in self.asked.items():
            rest = without(self.logins, data, after=_LOGIN)
            rest = without(self.tokens, rest, after=_SHOWN)
            places[place] = without(self.links, rest, after=_LINK)
        places |= {place: without(self.tokens, data, after=_ISSUED) for place, data in self.answered.items()}
        places |= self.kept
        search = Search(self.secrets())
        return [leak for place, data in places.items() for leak in search.found(place, data)]


def _all(pattern: bytes, streams: Mapping[str, bytes]) -> set[bytes]:
    return {value for stream in streams.values() for value in re.findall(pattern, stream)}


def texts_of(document: Any) -> Iterator[str]:
    """Yield the texts of a document that are long enough to be told from chance: short ones as JSON has them."""
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, str):
                yield from (f'"{key}":"{value}"', f'"{key}": "{value}"')
            yield from texts_of(key)
            yield from texts_of(value)
    elif isinstance(document, str):
        yield from (
            text for text in (f'"{document}"', document) if len(text) >= 8 or (text[0] == '"' and len(text) >= SHORTEST)
        )


def _secret(kind: str, email: str, what: str) -> Secret:
    whose = f" of {email}" if email else ""
    if kind == "password":
        return Secret(f"the password '{what}'", what.encode())
    if kind == "login":
        return Secret(f"the login key{whose}", what.encode())
    return Secret(f"the {kind} key{whose}", bytes.fromhex(what))


@contextmanager
def recorded(notebooks: Mapping[str, Any]) -> Iterator[Evidence]:
    """Run notebooks side by side, as `make docs` does, and give what that left until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="leaks-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        folder.chmod(0o711)  # where root runs the tests, PostgreSQL is somebody else's
        patch.setattr("tools.docs.execute.open_room", lambda mark: _recording_room(mark, folder))
        database = folder / "shared" / "walletsync.db"
        database.parent.mkdir()
        with (
            RunningServer(accounts="open", database=database) as server,
            Recorder(server.url, folder) as recorder,
        ):
            runs = execute(notebooks, folder=ROOT / NOTEBOOKS, server_url=recorder.url, report=lambda text: None)
            database.with_name("server.log").write_text(server.log())
            kept, devices = _files(folder)
        yield Evidence(
            runs,
            asked=dict(_streams(folder, ASKED)),
            answered=dict(_streams(folder, ANSWERED)),
            kept=kept | dict(_rows(folder, kept)),
            devices=devices,
            noted=[
                [tuple(json.loads(line)) for line in file.read_text().splitlines()]
                for file in (folder / "noted").iterdir()
            ],
        )


@contextmanager
def _recording_room(mark: str, folder: Path) -> Iterator[Room]:
    """Let kernels record, and keep what their servers leave: whoever ends them gives them no time to clear up."""
    with open_room(mark) as room:
        startup = _STARTUP.format(root=str(ROOT), folder=str(folder))
        (room.folder / "ipython/profile_default/startup/recorder.py").write_text(startup)
        yield room
        shutil.move(room.folder / "tmp", folder / "room")


def _files(folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return what servers and commands wrote, and what devices did."""
    written = [file for name in ("shared", "stopped", "room") for file in (folder / name).rglob("*") if file.is_file()]
    contents = {file: file.read_bytes() for file in written}
    devices = {file for file in written if file.match(_DEVICES)}
    named = {file: str(file.relative_to(folder)) for file in written}
    return (
        {named[file]: data for file, data in contents.items() if file not in devices},
        {named[file]: data for file, data in contents.items() if file in devices},
    )


def _streams(folder: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    for file in sorted((folder / "wire").glob(f"*{suffix}")):
        stream = file.read_bytes()
        yield f"wire/{file.name}", stream
        if suffix == ASKED and (upgraded := _UPGRADED.search(stream)):
            yield f"the frames of wire/{file.name}", unmasked(stream[upgraded.end() :])


def unmasked(data: bytes) -> bytes:
    """Return what a client says on a WebSocket, which it has to make unreadable on the way."""
    frames = Protocol(Side.SERVER)
    frames.receive_data(data)
    return b"".join(bytes(each.data) for each in frames.events_received() if isinstance(each, Frame))


def _rows(folder: Path, kept: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the values of each database: one that is longer than a page is nowhere in one piece."""
    for place, data in kept.items():
        if data.startswith(b"SQLite format 3\0"):
            yield f"the rows of {place}", sqlite_rows(folder / place)
    for data_folder in sorted((folder / "room").glob("postgres-*/data")):
        yield f"the rows of {data_folder.relative_to(folder)}", _postgres_rows(data_folder)


def sqlite_rows(file: Path) -> bytes:
    """Return all values of a database of SQLite, its log included."""
    with closing(sqlite3.connect(file)) as database:
        database.text_factory = bytes
        tables = [name.decode() for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return _joined(row for table in tables for row in database.execute(f'SELECT * FROM "{table}"'))  # noqa: S608 - as the database names it


def _postgres_rows(data: Path) -> bytes:
    """Return all values of the databases of a PostgreSQL that was killed."""
    (data / "postmaster.pid").unlink()  # whose process is gone, though perhaps not yet collected
    postgres = Postgres()
    postgres.data = data
    try:
        postgres.start()
        databases = postgres.execute("SELECT datname FROM pg_database WHERE datallowconn")
        tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        return _joined(
            row
            for (name,) in databases
            for (table,) in postgres.execute(tables, name)
            for row in postgres.execute(f'SELECT * FROM "{table}"', name)  # noqa: S608 - as the database names it
        )
    finally:
        postgres.__exit__(None, None, None)


def _joined(rows: Iterable[Iterable[Any]]) -> bytes:
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
