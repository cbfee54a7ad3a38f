"""The page where a reader steps through a run: one file, made of docs/site/run and of what was recorded."""

import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

NAME = "run.html"


def run_page(folder: Path, stories: Sequence[dict[str, Any]]) -> str:
    """Return the page, from its parts in `folder` and what `stories.record` returns."""
    return Template((folder / "run.html").read_text()).substitute(
        style=(folder / "run.css").read_text(),
        script=(folder / "run.js").read_text(),
        runs=json.dumps(stories).replace("<", "\\u003c"),  # or what was recorded could end the script that it is in
    )
