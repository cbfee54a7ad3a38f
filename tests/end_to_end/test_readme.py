"""README's promises: its code runs as it stands, and its links lead somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

from walletsync import Client
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_first_use_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The five lines, against a server; another device then has the wallet as README says."""
    (code,) = re.findall(r"```python\n(.*?)```", README.partition("## First use")[2].partition("## The tour")[0], re.S)
    assert len([line for line in code.splitlines() if line and "import" not in line]) == 5
    monkeypatch.chdir(tmp_path)
    with RunningServer(accounts="open") as server:
        names: dict[str, Client] = {}
        exec(code.replace("http://127.0.0.1:8090", server.url), names)  # noqa: S102 - README's code is the test
        laptop = names["laptop"]
        with Client(server.url) as phone:
            phone.set_account("ada@example.com", "a long password that only Ada knows")
            phone.sync()
            assert phone.get_document() == laptop.get_document() == {"labels": {"tx1": "rent"}}
        laptop.close()


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
