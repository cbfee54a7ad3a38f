"""A process that watches: edits leave and come by themselves, and nothing that passes ends it."""

import json
import random
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
from walletsync.formats.wallets import with_format

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


@pytest.mark.promise("P-108")
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


def test_other_commands_are_used_beside_it(laptop: Machine, phone: Machine) -> None:
    """They look and decide; what was decided is synced at once, long before the server would have been asked."""
    laptop.write({"a": 1, "b": 1})
    laptop.ok("sync")
    phone.ok("sync")
    phone.write({"a": "phone", "b": 1})
    phone.ok("sync")
    laptop.write({"a": "laptop", "b": 1})
    with watching(laptop) as watch:
        assert laptop.json("status")["conflicts"] == 1
        (conflict,) = laptop.json("conflicts")
        assert (conflict["mine"], conflict["theirs"]) == ("laptop", "phone")
        for command in ("export", "history", "fingerprint", "devices", "sync", "pull"):
            laptop.ok(command)
        assert "Conflicts left: 0" in laptop.ok("resolve 1 mine")
        phone_has = {"a": "laptop", "b": 1}
        until(lambda: laptop.json("status")["edited"] is False)
        phone.ok("sync")
        assert phone.read() == laptop.read() == phone_has
        assert watch.process.poll() is None
        assert laptop.ok("restore 2")
        phone.ok("sync")
        assert phone.read() == laptop.read()


def test_what_another_command_changes_in_the_store_alone_is_synced(laptop: Machine, phone: Machine) -> None:
    """The file is the same before and after, so only the store tells."""
    laptop.write({"a": 1})
    laptop.ok("sync")
    with watching(laptop):
        with laptop.client() as client:
            client.set_document({"": with_format("json", {"a": 2})})
        until(lambda: laptop.read() == {"a": 2})
        until(lambda: laptop.json("status")["sequence"] == 2)
    phone.ok("sync")
    assert phone.read() == {"a": 2}


def test_edits_and_commands_at_once_lose_nothing(laptop: Machine, phone: Machine) -> None:
    """A program writes, a phone syncs and commands run, all while it watches: every edit is on both in the end."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    written: dict[str, int] = {}
    laptop.write({"a": 1})
    laptop.ok("sync")
    with watching(laptop):
        for number in range(8):
            machine = chance.choice([laptop, phone])
            phone.ok("sync")
            written[f"{machine.folder.name}{number}"] = number
            before = machine.file.read_bytes()
            document = {**json.loads(before), f"{machine.folder.name}{number}": number}
            machine.write(document)
            laptop.ok(chance.choice(["status", "conflicts", "sync", "put", "export", "pull"]))
        phone.ok("sync")
        until(lambda: laptop.json("status")["edited"] is False)
    laptop.ok("sync")
    phone.ok("sync")
    for machine in (laptop, phone):
        found = machine.read()
        assert {name: found.get(name) for name in written} == written


def test_it_waits_for_a_command_that_takes_long(laptop: Machine, phone: Machine) -> None:
    """Somebody may be typing a password there: what comes meanwhile is synced afterwards."""
    laptop.write({"a": 1})
    laptop.ok("sync")
    with watching(laptop) as watch:
        with laptop.client():
            laptop.write({"a": 2})
            phone.ok("sync")
            assert watch.told in ([], ["version 1"])
        until(lambda: laptop.json("status")["sequence"] == 2)
        assert watch.process.poll() is None


def test_a_wallet_that_another_process_has_for_long_is_not_synced(
    laptop: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what can be done."""
    monkeypatch.setattr(store, "_PATIENCE_SECONDS", 0.1)
    with laptop.client():
        assert "hint: stop the other one, walletsync watch perhaps" in laptop.fails("sync", 7)
