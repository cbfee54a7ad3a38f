"""A process that watches: edits leave and come by themselves, and nothing that passes ends it."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cheap_server import CheapServer
from tests.client.cli.machines import ROOT, Machine, Make, bare
from tests.middle import POST_WALLET, Answer, Middle
from tests.server.helpers import until
from walletsync import store

GET_WEBSOCKET = "GET /api/3/websocket"


class Watch:
    """A `walletsync watch` of a machine."""

    def __init__(self, machine: Machine, words: str) -> None:
        self._out, self._errors = machine.folder / "out", machine.folder / "errors"
        with self._out.open("wb") as out, self._errors.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.cheap_walletsync", "watch", *words.split()],
                cwd=ROOT,
                env=bare(machine, **machine.environment()),
                stdout=out,
                stderr=said,
            )

    @property
    def told(self) -> list[str]:
        return self._out.read_text().splitlines()

    @property
    def said(self) -> str:
        return self._errors.read_text()

    def says(self, words: str) -> None:
        """Wait until it has said that."""
        until(lambda: words in self.said or self.process.poll() is not None)
        assert words in self.said

    def ends(self, by: signal.Signals) -> int:
        self.process.send_signal(by)
        return self.process.wait(20)


@contextmanager
def watching(machine: Machine, words: str = "--every 86400") -> Iterator[Watch]:
    watch = Watch(machine, words)
    try:
        watch.says("Watching")
        yield watch
    finally:
        watch.process.kill()
        watch.process.wait()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_edits_leave_and_come_by_themselves(by: signal.Signals, laptop: Machine, phone: Machine) -> None:
    """What is written into the file is stored, what others store is written into it, until a signal ends it well."""
    with watching(laptop, "--json --every 86400") as watch:
        laptop.write({"a": 1, "b": 2})
        until(lambda: watch.told == ['{"sequence":2}'])
        phone.ok("sync")
        assert phone.read() == {"a": 1, "b": 2}
        phone.write({"a": 3, "b": 2})
        phone.ok("sync")
        until(lambda: laptop.read() == {"a": 3, "b": 2})
        until(lambda: [json.loads(line)["sequence"] for line in watch.told] == [2, 3])
        assert watch.ends(by) == 0
    assert "Traceback" not in watch.said


def test_without_live_updates_the_server_is_asked_from_time_to_time(make: Make, middle: Middle) -> None:
    """What stands between may let no WebSocket through."""
    laptop, phone = make("laptop", middle.url), make("phone", middle.url)
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    middle.always(GET_WEBSOCKET, Answer(404, b""))
    with watching(phone, "--every 1"):
        laptop.write({"a": 2})
        laptop.ok("sync")
        until(lambda: phone.read() == {"a": 2})
    assert GET_WEBSOCKET in middle.requests


def test_what_passes_is_told_once_and_waited_for(tmp_path: Path, address: Callable[[], str]) -> None:
    """A server that is gone for a while, and a file that is no document for a while."""
    with CheapServer(accounts="open") as server:
        laptop = Machine(tmp_path / "laptop", server.url, address())
        laptop.init()
        laptop.ok("register")
        laptop.write({"a": 1})
        with watching(laptop, "--every 1") as watch:
            laptop.file.write_text('{"a": ')
            watch.says("left as it is")
            laptop.write({"a": 2})
            until(lambda: watch.told == ["version 1", "version 2"])
            server.stop()
            watch.says("Check that the server is running")
            server.start()
            laptop.write({"a": 3})
            until(lambda: watch.told[2:] == ["version 3"])
            assert watch.said.count("left as it is") == 1
            assert watch.said.count("Check that the server is running") == 1


def test_a_token_that_became_void_while_the_server_was_away_is_noticed(
    tmp_path: Path, address: Callable[[], str]
) -> None:
    """It logs in again by itself, and what others store comes at once, long before it would have asked."""
    email = address()
    with CheapServer(accounts="open") as server:
        laptop, phone = (Machine(tmp_path / name, server.url, email) for name in ("laptop", "phone"))
        laptop.init()
        laptop.ok("register")
        laptop.write({"a": 1, "b": 1})
        with watching(laptop) as watch:
            server.stop()
            watch.says("Check that the server is running")
            with closing(sqlite3.connect(server.database)) as database, database:
                assert database.execute("DELETE FROM tokens").rowcount == 1
            server.start()
            phone.init()
            phone.ok("sync")
            phone.write({"a": 2, "b": 1})
            phone.ok("sync")
            until(lambda: laptop.read() == {"a": 2, "b": 1})
            until(lambda: watch.told == ["version 1", "version 2"])


def test_an_edit_during_a_sync_leaves_as_well(make: Make, middle: Middle) -> None:
    """It is not left for the next edit, or for when the server would have been asked again."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    middle.always(GET_WEBSOCKET, Answer(404, b""))  # its own version is no news

    def edited_meanwhile(answer: Answer) -> Answer:
        laptop.write({"a": 2, "b": 3})
        return answer

    with watching(laptop) as watch:
        middle.change(POST_WALLET, edited_meanwhile)
        laptop.write({"a": 2})
        until(lambda: watch.told == ["version 3"])
    assert laptop.read() == {"a": 2, "b": 3}


def test_what_does_not_pass_ends_it(laptop: Machine, phone: Machine) -> None:
    """After the password was changed elsewhere, only a person can go on."""
    with watching(laptop) as watch:
        phone.ok("password")
        assert watch.process.wait(20) == 5
        assert "walletsync login --new-password" in watch.said


def test_a_wallet_that_is_watched_is_not_synced_by_another_process(
    laptop: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names who is at work, and what can be done."""
    monkeypatch.setattr(store, "_PATIENCE_SECONDS", 0.1)
    with watching(laptop):
        assert "hint: stop the other one, walletsync watch perhaps" in laptop.fails("sync", 7)
