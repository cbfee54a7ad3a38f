"""For programs, shells and those who are in a hurry: JSON, completion, and a quick start."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.client.cli.machines import NEW_PASSWORD, Machine, commands
from walletsync.cli import main
from walletsync_server.testing import RunningServer


def test_every_command_has_an_example_and_speaks_json() -> None:
    """In its help; the example is one that the program itself understands."""
    for name, command in commands().items():
        text = CliRunner().invoke(main, [*name.split(), "--help"]).stdout
        assert "--json" in text, name
        (example,) = re.findall(r"Example: (walletsync .*?)(?:\n\n|\Z)", text, re.DOTALL)
        words = shlex.split(" ".join(example.split()))
        typed = ["walletsync", *name.split()]
        assert words[: len(typed)] == typed
        command.make_context(name, words[len(typed) :], obj=None)
    assert "Example:" in CliRunner().invoke(main, ["--help"]).stdout


def test_json_is_all_there_is_on_stdout(laptop: Machine, phone: Machine) -> None:
    """Each command, with whatever it has to say on stderr."""
    runs = {
        "init": f"init {laptop.folder}/other.json --server https://sync.example.com --email a@example.com",
        "resolve": "resolve all mine",
        "diff": "diff 1",
        "restore": "restore 1",
        "rename": "rename another",
        "delete-account": "delete-account --yes",
        "conformance": f"conformance {laptop.url}",
    }
    for name in commands():
        asks_another = name.startswith("bridge ") and name not in ("bridge off", "bridge status")
        if name not in ("watch", "ui", "service install", "delete-account", "logout", "register") and not asks_another:
            json.loads(laptop.ok(f"{runs.get(name, name)} --json"))
            if name == "login":
                laptop.write({"a": 1, "of": name})
            if name == "password":
                laptop.types(NEW_PASSWORD)
    for name in ("logout", "delete-account", "register"):
        json.loads(laptop.ok(f"{runs.get(name, name)} --json"))


def test_numbers_keep_their_spelling(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> None:
    """What is shown of a conflict has them as the file of labels has them, however large or exact they are."""
    email = address()
    laptop, phone = (Machine(tmp_path / name, running_server.url, email) for name in ("laptop", "phone"))
    for machine, large, exact in ((laptop, "1e999", "1.50"), (phone, "-1e999", "0.10")):
        machine.init("--format bip329")
        machine.file.write_text(f'{{"type":"tx","ref":"{64 * "a"}","label":"","a":{large},"b":{exact}}}\n')
    laptop.ok("register")
    laptop.ok("sync")
    synced = phone.ok("sync --json")
    for told in (synced, phone.ok("conflicts --json")):
        numbers = re.findall(r'"(mine|theirs)": ?([^,}]+)', told)
        assert numbers == [("mine", "-1e999"), ("theirs", "1e999"), ("mine", "0.10"), ("theirs", "1.50")]
    assert "theirs: 1.50" in phone.ok("conflicts")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str) -> None:
    """The script for the shell is there, and asked for what begins with `fi`, there is the fingerprint."""
    program = "from walletsync.cli import main; main(prog_name='walletsync')"
    environment = os.environ | {"_WALLETSYNC_COMPLETE": f"{shell}_source"}
    script = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert "_WALLETSYNC_COMPLETE" in script.stdout
    environment |= {"_WALLETSYNC_COMPLETE": f"{shell}_complete", "COMP_WORDS": "walletsync fi", "COMP_CWORD": "1"}
    if shell == "fish":
        environment["COMP_CWORD"] = "fi"
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert "fingerprint" in answer.stdout, answer.stderr


@pytest.mark.parametrize("words", [["--help"], ["sync", "--help"], ["--version"]], ids=" ".join)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    """Neither network nor keys nor keyring: help comes at once."""
    program = (
        "import sys\n"
        "from walletsync.cli import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        "print(*sorted(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "walletsync.cli" in loaded
    names = "requests urllib3 keyring rich cryptography websockets sqlite3 ssl asyncio walletsync.client"
    assert loaded.isdisjoint(names.split())


def test_the_library_without_the_extra_says_what_is_missing() -> None:
    """`pip install walletsync` has no click."""
    program = "import sys; sys.modules['click'] = None; import walletsync.cli"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "walletsync[cli]" in done.stderr
    assert "Traceback" not in done.stderr
