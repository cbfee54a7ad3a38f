"""README's promises: its code runs as it stands, and its links lead somewhere."""

import re
import shlex
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from walletsync import Client, JSONFormat
from walletsync.cli import main as walletsync_main
from walletsync.errors import RollbackDetected
from walletsync_server.cli import main
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_first_use_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The five lines of the first device, then the second device's, against a server; then the laptop once more."""
    section = README.partition("## First use")[2].partition("## The tour")[0]
    first, second = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len([line for line in first.splitlines() if line and "import" not in line]) == 5
    monkeypatch.chdir(tmp_path)
    with RunningServer(accounts="open") as server:
        names: dict[str, Client] = {}
        for code in (first, second):
            exec(code.replace("http://127.0.0.1:8090", server.url), names)  # noqa: S102 - README's code is the test
        with names["phone"], names["laptop"] as laptop:
            laptop.sync()
            assert laptop.get_document() == {"labels": {"tx1": "rent", "tx2": "coffee"}}


def test_the_options_in_readme_exist() -> None:
    """What README tells an operator or a program to write is there."""
    (command,) = re.findall(r"^walletsync-server (serve .*)$", README, re.MULTILINE)
    shown = CliRunner().invoke(main, ["serve", "--help"]).output
    assert all(option in shown for option in re.findall(r"--[a-z]+", command))
    assert "WALLETSYNC_ALLOW" in shown
    JSONFormat(keys={"/accounts": "id"})
    assert 'JSONFormat(keys={"/accounts": "id"})' in README


def test_the_commands_for_a_wallet_file_are_understood() -> None:
    """Those that README tells a person to type, arguments and all; docs/session.md shows them at work."""
    section = README.partition("## Keep a wallet file in sync")[2].partition("## The tour")[0]
    lines = [shlex.split(line, comments=True) for line in re.findall(r"^walletsync .*$", section, re.MULTILINE)]
    assert [words[1] for words in lines] == ["init", "register", "sync", "watch", "conflicts", "resolve"]
    for _, name, *arguments in lines:
        walletsync_main.commands[name].make_context(name, arguments, obj=None)
    session = (ROOT / "docs/session.md").read_text()
    assert all(f"$ walletsync {words[1]}" in session for words in lines)


def test_a_person_can_go_on_after_a_restored_backup(tmp_path: Path) -> None:
    """What SECURITY.md says to do after a restore works, and every entry of either side is there."""
    database = tmp_path / "server.db"
    with RunningServer(accounts="open", database=database) as server, ExitStack() as stack:

        def client() -> Client:
            made = stack.enter_context(Client(server.url))
            made.set_account("ada@example.com", "a long password that only Ada knows")
            return made

        laptop, phone = client(), client()
        laptop.register()
        laptop.set_document({"before": 1})
        laptop.sync()
        phone.sync()
        server.stop()
        backup = database.read_bytes()
        server.start()
        laptop.set_document({"before": 1, "after": 1})
        laptop.sync()
        phone.sync()
        server.stop()
        database.write_bytes(backup)
        server.start()
        for device in (laptop, phone):
            with pytest.raises(RollbackDetected, match="accept_restored_server"):
                device.sync()
        laptop.accept_restored_server()
        for device in (phone, laptop):
            device.sync()
            assert device.get_document() == {"before": 1, "after": 1}
            assert not device.conflicts


def test_every_link_leads_somewhere() -> None:
    """Files exist, and anchors are in the page."""
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", README, flags=re.S))
    assert links
    for link in links:
        if link.startswith("#"):
            assert f'<a id="{link[1:]}"></a>' in README
        elif not link.startswith("https://"):
            assert (ROOT / link).exists(), link


def test_make_alone_lists_every_target_that_readme_names() -> None:
    """Help is the default target, and knows what the documentation tells people to run."""
    listed = subprocess.run(["make"], capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S607
    texts = README + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`?make ([a-z-]+)", "\n".join(re.findall(r"`make [^`]*`|^make .*$", texts, re.M))))
    assert {"docs", "test", "lab", "serve"} <= named
    for target in named:
        assert re.search(rf"^  make {target} ", listed, re.M), target
