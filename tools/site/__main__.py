"""`python -m tools.site`, from the root of the repository: writes the site to `.docs/site`, or a folder that is named.

Exit code 0: done. 1: something is wrong with a page; each warning is told.
"""

import io
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

from sphinx.cmd.build import build_main

from tools.site.run_page import NAME, run_page
from tools.site.stage import OPENAPI, OWN, stage

ROOT = Path(__file__).parents[2]
SITE = Path(".docs/site")
"""Below the repository, ignored by git."""
RECORD = [sys.executable, "-m", "tools.site.stories"]
"""Writes down what the page shows where a reader steps through a run."""


def build(root: Path, site: Path) -> int:
    """Write the site of the repository at `root`; return an exit code, 0 if all is well."""
    source = site.with_name(f"{site.name}-source")
    stage(root, source)
    shutil.rmtree(site, ignore_errors=True)
    how = ["-W", "--keep-going", "--quiet", "--jobs", "auto", "-b", "html", "-c", root / OWN]
    warnings = io.StringIO()
    # What is recorded waits for servers and keys most of the time, and Sphinx does not.
    with subprocess.Popen(RECORD, cwd=root, stdout=subprocess.PIPE, text=True) as recording, redirect_stderr(warnings):
        status = build_main([str(word) for word in (*how, "-d", source / ".doctrees", source, site)])
        stories, _ = recording.communicate()
    sys.stderr.write(in_repository(warnings.getvalue(), root, source))
    status = status or recording.returncode
    if not status:
        shutil.copyfile(source / OPENAPI, site / OPENAPI)
        (site / NAME).write_text(run_page(root / OWN / "run", stories))
    return status


def in_repository(warnings: str, root: Path, source: Path) -> str:
    """Return warnings that name each page where its author finds it, and not the copy that Sphinx reads."""

    def page(copy: re.Match[str]) -> str:
        own = f"{OWN}/{copy[1]}"
        return own if (root / own).is_file() else copy[1]

    return re.sub(rf"{re.escape(str(source))}/([\w./-]+)", page, warnings)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else SITE
    ended = build(ROOT, target.absolute())
    if not ended:
        print(f"The site is in {target}: open {target}/index.html.")
    sys.exit(ended)
