"""`python -m tools.docs try URL`: the notebooks on somebody else's server."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.docs.trees import ASK, Tree, an_oracle, code, notebook
from tools.docs.__main__ import main
from tools.docs.project import for_one_run

SHOWN = code("shown", "print('ada@example.com')")
WRONG = code("shape", "assert sorted(answer)[2:] == [], 'nothing else'")


def test_each_notebook_is_told_of_and_nothing_is_published(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What happens there too, where another stopped, and which one would start a server of its own, and why."""
    tree = Tree(tmp_path / "tree")
    tree.add("01-setup", ASK, SHOWN)
    tree.add("02-syncing", ASK, WRONG)
    own = notebook(ASK)
    own.cells[0].source = 'server_url = ""  # not used here: it is about backups\nseed = 1'
    (tree.root / "notebooks/08-own.ipynb").write_text(json.dumps(own))
    before = tree.files()
    with an_oracle() as oracle:
        exit_code = main(["try", oracle.url, "--root", str(tree.root)])
    said = capfd.readouterr().err
    assert exit_code == 1
    assert "\n01-setup                 as it should be\n" in said
    assert "\n02-syncing               stopped at `shape`: AssertionError: nothing else\n" in said
    assert "\n    sorted(answer)[2:]: ['sequence', 'time']\n" in said
    assert "\n08-own                   not run: it is about backups\n" in said
    assert "stay on the server" in said
    assert tree.files() == before
    report = ElementTree.parse(tree.root / ".docs/trial.xml").getroot()  # noqa: S314 - our own
    assert [(suite.get("name"), suite.get("failures")) for suite in report] == [("01-setup", "0"), ("02-syncing", "1")]


def test_over_tls_nothing_is_run_and_that_is_said(tree: Tree, capfd: pytest.CaptureFixture[str]) -> None:
    """A notebook that draws what passes cannot see it there."""
    tree.add("01-setup", ASK)
    assert main(["try", "https://sync.example.com", "--root", str(tree.root)]) == 0
    said = capfd.readouterr().err
    assert "01-setup                 not run: it shows what passes, which TLS hides" in said
    assert "stay on the server" not in said


def test_addresses_are_those_of_one_run() -> None:
    """A second run finds no account of the first, and leaves everything else as it is."""
    assert for_one_run('account = "bob@example.com"; url = "https://example.com"', "1f") == (
        'account = "bob-1f@example.com"; url = "https://example.com"'
    )
