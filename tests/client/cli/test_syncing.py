"""Syncing files over a real server: edits of both sides meet, and nothing is overwritten."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cheap_server import CheapServer
from tests.client.cli.machines import Machine, Make
from tests.middle import GET_WALLET, POST_WALLET, Answer, Middle
from walletsync import crypto, walletfile


def test_two_machines_have_the_same(laptop: Machine, phone: Machine) -> None:
    """Edits of both sides meet; a second sync has nothing to do."""
    laptop.write({"a": 1, "b": 2})
    phone.write({"a": 1, "c": 3})
    assert laptop.ok("sync") == "version 2\n"
    assert phone.json("sync") == {"sequence": 3, "conflicts": []}
    assert laptop.json("sync")["sequence"] == 3
    assert laptop.read() == phone.read() == {"a": 1, "b": 2, "c": 3}
    assert phone.json("sync")["sequence"] == 3
    assert [laptop.ok("fingerprint"), laptop.json("fingerprint")] == [
        phone.ok("fingerprint"),
        phone.json("fingerprint"),
    ]


def test_pull_sends_nothing_and_push_overwrites_nothing(laptop: Machine, phone: Machine) -> None:
    """The two halves of a sync: edits come together in the file, and leave only with a push."""
    laptop.write({"a": 1, "b": 2})
    assert laptop.json("push") == {"sequence": 2}
    phone.write({"a": 1, "c": 3})
    result = phone.run("push")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "already has version 2" in result.stderr
    assert "hint: walletsync push again" in result.stderr
    assert phone.read() == {"a": 1, "b": 2, "c": 3}
    assert laptop.json("pull") == {"sequence": 2, "newer": False}
    assert phone.ok("push") == "version 3\n"
    laptop.write({"a": 1, "b": 2, "d": 4})
    assert laptop.ok("pull") == "version 3, new\n"
    assert laptop.read() == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert laptop.json("status")["edited"]
    assert phone.json("pull") == {"sequence": 3, "newer": False}


def test_a_file_that_is_being_written_is_taken_by_no_command(laptop: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left as it is, with what is missing in it so far, and taken when the program that writes it is done."""
    numbers = itertools.count()
    writing = SimpleNamespace(sleep=lambda _: laptop.write({"written": next(numbers)}))
    with monkeypatch.context() as patched:
        patched.setattr(walletfile, "time", writing)
        for command in ("sync", "pull", "push", "restore 1", "resolve all mine"):
            laptop.write({})
            assert "another program keeps writing to it" in laptop.fails(command, 6)
            assert list(laptop.read()) == ["written"]
    laptop.write({"a": 1, "b": 2})
    laptop.ok("sync")
    assert [json.loads(laptop.ok(f"export --version {each}")) for each in (1, 2)] == [{"a": 1}, {"a": 1, "b": 2}]


def test_a_sync_decides_if_it_is_told_how(laptop: Machine, phone: Machine) -> None:
    """For scripts that nobody watches."""
    for number, keep in enumerate(("mine", "theirs")):
        laptop.write(laptop.read() | {"a": f"laptop {number}"})
        laptop.ok("sync")
        phone.write({"a": f"phone {number}", "of the phone": number})
        phone.ok(f"sync --on-conflict {keep} --check-conflicts")
        assert phone.read()["a"] == f"{'phone' if keep == 'mine' else 'laptop'} {number}"
        laptop.ok("sync")


def test_an_edit_during_a_sync_is_synced_with_it(make: Make, middle: Middle) -> None:
    """When the command ends, the server has all that is in the file; a conflict that the edit made is told."""
    laptop, phone = make("laptop", middle.url), make("phone", middle.url)
    laptop.ok("register")
    laptop.write({"a": 1, "c": 3})
    laptop.ok("sync")
    phone.ok("sync")
    phone.write({"a": "phone", "c": 3})
    phone.ok("sync")

    def edited_meanwhile(answer: Answer) -> Answer:
        laptop.write({"a": "laptop", "b": 2, "c": 3})
        middle.honest()
        return answer

    middle.change(GET_WALLET, edited_meanwhile)
    conflict = {"name": "1", "at": "/a", "base": 1, "mine": "laptop", "theirs": "phone"}
    assert laptop.json("sync") == {"sequence": 3, "conflicts": [conflict]}
    phone.ok("sync")
    assert phone.read() == laptop.read() == {"a": "phone", "b": 2, "c": 3}
    phone.write({"a": "phone again", "b": 2, "c": 3})
    phone.ok("sync")
    assert laptop.json("sync") == {"sequence": 4, "conflicts": []}  # it waits, and was told
    assert laptop.json("conflicts")[0]["theirs"] == "phone again"


def test_a_file_that_is_edited_during_each_sync_is_left_for_later(make: Make, middle: Middle) -> None:
    """The command ends and says so; what was taken until then is kept, and synced by the next one."""
    laptop = make("laptop", middle.url)
    laptop.ok("register")
    numbers = itertools.count()

    def edited_again(answer: Answer) -> Answer:
        laptop.write({"a": next(numbers)})
        return answer

    middle.change(POST_WALLET, edited_again)
    laptop.write({"a": "first"})
    assert "during each of 8 syncs" in laptop.fails("sync", 1)
    assert laptop.read() == {"a": 7}
    middle.honest()
    assert laptop.ok("sync") == "version 9\n"


def test_a_restored_server_needs_consent(tmp_path: Path, address: Callable[[], str]) -> None:
    """A server that was set back is not believed, until somebody says that it is fine; then everything goes there."""
    with CheapServer(accounts="open") as server:
        laptop = Machine(tmp_path / "laptop", server.url, address())
        laptop.init()
        laptop.ok("register")
        laptop.write({"a": 1})
        laptop.ok("sync")
        server.stop()
        backup = server.database.read_bytes()
        server.start()
        laptop.write({"a": 2})
        laptop.ok("sync")
        server.stop()
        for rest in server.database.parent.glob(f"{server.database.name}-*"):
            rest.unlink()
        server.database.write_bytes(backup)
        server.start()
        told = laptop.fails("sync", 5)
        assert "walletsync sync --accept-restored-server" in told
        assert "does not decide conflicts" in laptop.fails("sync --accept-restored-server --on-conflict mine", 2)
        assert laptop.ok("sync --accept-restored-server") == "version 2\n"
        assert laptop.read() == {"a": 2}
        assert laptop.ok("sync") == "version 2\n"


def test_a_sync_that_has_to_log_in_derives_the_keys_once(laptop: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second, so once is enough; with a token it is once as well."""
    derived = []
    real = crypto.derive

    def counted(*args: Any) -> Any:
        derived.append(args)
        return real(*args)

    monkeypatch.setattr(crypto, "derive", counted)
    laptop.ok("sync")
    assert len(derived) == 1
    laptop.ok("logout")
    laptop.ok("sync")
    assert len(derived) == 2
