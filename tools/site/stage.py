"""Puts together what Sphinx reads: every page where it is in the repository, so that links between pages hold."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.site import promises
from walletsync_server.api import docs, openapi
from walletsync_server.api.routes import ROUTES

OWN = "docs/site"
"""Pages that are on the site alone, and stand at its top."""
OPENAPI = "openapi.json"
"""What programs read; the page beside it is for people."""
PAGES = (
    "docs/*.md",
    "notebooks/*.ipynb",
    "server/README.md",
    "bench/README.md",
    "tests/README.md",
    "tools/docs/README.md",
    "*.md",
)
BESIDE = ("notebooks/*.py", "deploy/**/*", "tests/vectors/*.json", "tests/end_to_end/second_client.py")
"""What pages link to, and a reader can download."""
NOT_SHOWN = "README.md"
"""The site's first page and the notebooks say the same."""
FOLDED = {
    "check": "What checks this",
    "hidden": "What prepares the next step",
    "parameters": "What the run was given",
    "picture": "What draws this",
}
"""Cells whose code is folded, and what stands there instead, by their tag."""


def stage(root: Path, folder: Path) -> None:
    """Fill `folder` anew from the repository at `root`."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in _found(root, (*PAGES, *BESIDE)):
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".ipynb":
            text = re.sub(r"\]\(\.\./README\.md(#[\w-]+)?\)", "](../index.md)", path.read_text())
            target.write_text(json.dumps(_folded(json.loads(text))))
        elif path.suffix == ".md":
            target.write_text(promises.linked(str(path.relative_to(root)), _with_folders(root, path)))
        else:
            shutil.copyfile(path, target)
    for path in (root / OWN).rglob("*.md"):
        target = folder / path.relative_to(root / OWN)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (folder / promises.NAME).write_text(promises.page_of_promises(root, _source(root)))
    (folder / OPENAPI).write_text(json.dumps(_openapi(), indent=2))
    (folder / "openapi.md").write_text(_openapi_page())


def _found(root: Path, patterns: Iterable[str]) -> list[Path]:
    found = (path for pattern in patterns for path in sorted(root.glob(pattern)) if path.is_file())
    return [path for path in found if path != root / NOT_SHOWN]


def _with_folders(root: Path, page: Path) -> str:
    """Return the text of a page whose links to folders lead to where the source is: the site shows none."""

    def mended(link: re.Match[str]) -> str:
        folder = (page.parent / link[1]).resolve()
        return f"]({_source(root)}/tree/main/{folder.relative_to(root)})" if folder.is_dir() else link[0]

    return re.sub(r"\]\(([\w./-]+)\)", mended, page.read_text())


def _source(root: Path) -> str:
    """Return the URL where the repository can be looked at."""
    urls: dict[str, str] = tomllib.loads((root / "pyproject.toml").read_text())["project"]["urls"]
    return urls["Source"]


def _folded(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook whose cells are tagged as MyST-NB knows it."""
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        for tag in FOLDED.keys() & tags:
            if not any(each.startswith("hide-") for each in tags):
                cell["metadata"]["tags"] = [*tags, "hide-input"]
            cell["metadata"]["mystnb"] = {"code_prompt_show": FOLDED[tag], "code_prompt_hide": FOLDED[tag]}
    return notebook


def _openapi() -> dict[str, Any]:
    return openapi.document(ROUTES)


def _openapi_page() -> str:
    """Return the page that a server shows at `/docs`, in the frame of the site."""
    shown = docs.page(_openapi(), OPENAPI).response(200).body.decode()
    content = shown.partition("</h1>")[2].rpartition("</main>")[0]
    return f'# OpenAPI\n\n````{{raw}} html\n<div class="openapi">{content}</div>\n````\n'
