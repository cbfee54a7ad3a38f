"""README's promises: its code runs as it stands, and what it names is there."""

import itertools
import re
import shlex
import subprocess
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tools.docs.project import READERS_SERVER, WIDTH
from walletsync import Client, JSONFormat
from walletsync.cli import main as walletsync_main
from walletsync.errors import RollbackDetected
from walletsync_server.cli import main
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def section(heading: str) -> str:
    """Return what stands below a heading of the second level."""
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert text, heading
    return text


def test_the_first_use_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first device's five lines, the second's, with what each block returns, and a wallet's file after that, on the
    same server; no commit takes what that leaves behind."""
    blocks = re.findall(r"```python\n(.*?)```\n\n> ```text\n> (.*?)\n> ```", section("First use"), re.DOTALL)
    assert section("First use").count("```python") == len(blocks) == 3
    assert len([line for line in blocks[0][0].splitlines() if line and "import" not in line]) == 5
    monkeypatch.chdir(tmp_path)
    with RunningServer(accounts="open", database=tmp_path / "walletsync.db") as server:
        names: dict[str, Client] = {}
        for code, shown in blocks:
            *lines, last = code.replace(READERS_SERVER, server.url).splitlines()
            exec("\n".join(lines), names)  # noqa: S102 - README's code is the test
            assert repr(eval(last, names)) == shown  # noqa: S307 - the same
        with names["phone"], names["laptop"] as laptop:
            assert laptop.get_document() == {"labels": {"tx1": "rent", "tx2": "coffee"}}
            _assert_ignored(tmp_path)  # while the stores are open, with what lies beside them
        _keep_a_wallet_file_in_sync(tmp_path, monkeypatch, server.url)


def _keep_a_wallet_file_in_sync(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Type what the section says, on the server of the first use: in one folder, and then in another."""
    (text, *_) = re.findall(r"```sh\n(.*?)```", section("Keep a wallet file in sync"), re.DOTALL)
    init, register, sync = [shlex.split(line)[1:] for line in text.replace(READERS_SERVER, url).splitlines()]
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
    (command,) = re.findall(r"^walletsync-server (serve (?:.*\\\n)*.*)$", README, re.MULTILINE)
    (folder,) = re.findall(r"^mkdir -p (\S+)", README, re.MULTILINE)
    assert f"sqlite:///{folder}/walletsync.db" in command
    shown = CliRunner().invoke(main, ["serve", "--help"]).output
    assert all(option in shown for option in re.findall(r"--[a-z]+", command))
    assert "WALLETSYNC_ALLOW" in shown
    JSONFormat(keys={"/accounts": "id"})
    assert 'JSONFormat(keys={"/accounts": "id"})' in README


def test_the_commands_for_a_wallet_file_are_understood() -> None:
    """Those that README tells a person to type, arguments and all; docs/session.md shows them at work."""
    typed = re.findall(r"^walletsync .*$", section("Keep a wallet file in sync"), re.MULTILINE)
    lines = [shlex.split(line, comments=True) for line in typed]
    assert [words[1] for words in lines] == ["init", "register", "sync", "watch", "conflicts", "resolve"]
    for _, name, *arguments in lines:
        walletsync_main.commands[name].make_context(name, arguments, obj=None)
    session = (ROOT / "docs/session.md").read_text()
    assert all(f"$ walletsync {words[1]}" in session for words in lines)


@pytest.mark.promise("S-35")
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


def test_the_outline_is_one() -> None:
    """A reader who decides sees what it is, how to use it, and why to trust it, before all else; the tour's headings
    stand below its own, and commands for contributors come last."""
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    assert re.findall(r"^## (.*)$", prose, re.MULTILINE) == [
        "First use",
        "Why trust it",
        "Where to go next",
        "Keep a wallet file in sync",
        "In your program",
        "Running a server",
        "The tour",
        "Working on it",
        "Where things are",
    ]
    assert re.findall(r"^### (.*)$", section("The tour"), re.MULTILINE) == ["Setup", "Syncing", "Merging", "Conflicts"]
    levels = [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)]
    assert all(level <= before + 1 for before, level in itertools.pairwise(levels)), "no level is left out"


def test_pictures_are_there() -> None:
    """One before the first use, with each version's way from device to device, and in each chapter of the tour one of
    what was said; where devices merge, also the graph of versions."""
    top = README.partition("\n## First use\n")[0]
    passed = re.findall(r"^\d+\. (.*)$", top, re.MULTILINE)
    assert passed == [
        "laptop: POST /api/3/wallet, sequence 1 → 200 OK, sequence 1",
        "phone: GET /api/3/wallet → 200 OK, sequence 1",
        "phone: POST /api/3/wallet, sequence 2 → 200 OK, sequence 2",
        "laptop: GET /api/3/wallet → 200 OK, sequence 2",
    ]
    assert top.count("```mermaid") == 1
    chapters = section("The tour").split("\n### ")[1:]
    assert [chapter.count("sequenceDiagram") for chapter in chapters] == [1, 1, 1, 1]
    assert [chapter.count("flowchart") for chapter in chapters] == [0, 0, 1, 1]
    assert "409 Conflict" in chapters[3], "the chapter about conflicts shows one"


def test_every_page_is_named() -> None:
    """Who looks for a page finds it in the row; the package's own page is for those who come by the package."""
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"package.md"}
    row = next(line for line in README.splitlines() if line.startswith("| [docs/](docs)"))
    assert set(re.findall(r"\(docs/([\w-]+\.md)\)", row)) == pages


def test_no_line_of_code_or_output_scrolls() -> None:
    """A forge's page has room for so many characters in a window of 1280 pixels."""
    blocks = re.findall(r"^(?:> )?```\w+\n(.*?)^(?:> )?```$", README, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("> ") for block in blocks for line in block.splitlines()]
    assert len(lines) > 100
    assert [line for line in lines if len(line) > WIDTH] == []


def test_make_alone_lists_every_target_that_readme_names() -> None:
    """Help is the default target, and knows what the documentation tells people to run."""
    listed = subprocess.run(["make"], capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S607
    texts = README + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`?make ([a-z-]+)", "\n".join(re.findall(r"`make [^`]*`|^make .*$", texts, re.M))))
    assert {"docs", "test", "lab", "serve"} <= named
    for target in named:
        assert re.search(rf"^  make {target} ", listed, re.M), target
