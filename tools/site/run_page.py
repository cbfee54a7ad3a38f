"""The page where a reader steps through a run: one file, made of docs/site/run and of what was recorded."""

from pathlib import Path
from string import Template

NAME = "run.html"


def run_page(folder: Path, stories: str) -> str:
    """Return the page, from its parts in `folder` and what `stories.record` returns, as JSON."""
    return Template((folder / "run.html").read_text()).substitute(
        style=(folder / "run.css").read_text(),
        script=(folder / "run.js").read_text(),
        runs=stories.replace("<", "\\u003c"),  # or what was recorded could end the script that it is in
    )
