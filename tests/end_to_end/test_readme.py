"""README's promises: its code runs as it stands, and its links lead somewhere."""

import re
import shlex
import subprocess
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from walletsync import Client, JSONFormat
from walletsync.cli import main as walletsync_main
from walletsync.errors import RollbackDetected
from walletsync_server.cli import main
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_first_use_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first device's five lines, the second's, and a wallet's file after that, on the same server; no commit takes
    what that leaves behind."""
    section = README.partition("## First use")[2].partition("## The tour")[0]
    first, second = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len([line for line in first.splitlines() if line and "import" not in line]) == 5
    monkeypatch.chdir(tmp_path)
    with RunningServer(accounts="open", database=tmp_path / "walletsync.db") as server:
        names: dict[str, Client] = {}
        for code in (first, second):
            exec(code.replace("http://127.0.0.1:8090", server.url), names)  # noqa: S102 - README's code is the test
        with names["phone"], names["laptop"] as laptop:
            laptop.sync()
            assert laptop.get_document() == {"labels": {"tx1": "rent", "tx2": "coffee"}}
            _assert_ignored(tmp_path)  # while the stores are open, with what lies beside them
        _keep_a_wallet_file_in_sync(tmp_path, monkeypatch, server.url)


def _keep_a_wallet_file_in_sync(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Type what the section says, on the server of the section before: in one folder, and then in another."""
    section = README.partition("## Keep a wallet file in sync")[2].partition("## The tour")[0]
    text = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0].replace("http://127.0.0.1:8090", url)
    init, register, sync = [shlex.split(line)[1:] for line in text.splitlines()]
    (folder / "password").write_text("a long password that only Grace knows\n")
    monkeypatch.setenv("WALLETSYNC_PASSWORD_FILE", str(folder / "password"))
    labels = '{"type":"tx","ref":"a","label":"rent"}\n'

    def typed(words: list[str]) -> Result:
        return CliRunner().invoke(walletsync_main, words)

    for name, log_in in (("first", register), ("other", ["login"])):
        (folder / name).mkdir()
        monkeypatch.chdir(folder / name)
        assert [typed(words).output for words in (init, log_in)][1].endswith("is logged in.\n")
        if name == "first":
            assert "There is no file labels.jsonl yet" in typed(sync).stderr
            Path("labels.jsonl").write_text(labels)
        assert typed(sync).stdout == "version 1\n"
        assert Path("labels.jsonl").read_text() == labels
        _assert_ignored(folder / name, but="labels.jsonl")


def _assert_ignored(folder: Path, but: str | None = None) -> None:
    """Assert that no commit takes what lies in `folder`, if it is the root of the repository."""
    patterns = (ROOT / ".gitignore").read_text().split()
    names = [f"{each.name}/" if each.is_dir() else each.name for each in folder.iterdir() if each.name != but]
    assert names
    for name in names:
        assert any(fnmatch(name, pattern) for pattern in patterns), name


def test_the_options_in_readme_exist() -> None:
    """What README tells an operator or a program to write is there."""
    (command,) = re.findall(r"^walletsync-server (serve .*)$", README, re.MULTILINE)
    (folder,) = re.findall(r"^mkdir -p (\S+)", README, re.MULTILINE)
    assert f"sqlite:///{folder}/walletsync.db" in command
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
