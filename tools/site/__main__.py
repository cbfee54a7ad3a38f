"""`python -m tools.site`, from the root of the repository: writes the site to `.docs/site`, or a folder that is named.

Exit code 0: done. 1: something is wrong with a page; each warning is told.
"""

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from tools.site.run_page import NAME, run_page
from tools.site.stage import OPENAPI, OWN, stage
from tools.site.stories import record

ROOT = Path(__file__).parents[2]
SITE = Path(".docs/site")
"""Below the repository, ignored by git."""


def build(root: Path, site: Path) -> int:
    """Write the site of the repository at `root`; return what Sphinx says, 0 if all is well."""
    source = site.with_name(f"{site.name}-source")
    stage(root, source)
    shutil.rmtree(site, ignore_errors=True)
    words = ["-W", "--keep-going", "--quiet", "-b", "html", "-c", root / OWN, "-d", source / ".doctrees", source, site]
    status = build_main([str(word) for word in words])
    if not status:
        shutil.copyfile(source / OPENAPI, site / OPENAPI)
        (site / NAME).write_text(run_page(root / OWN / "run", record()))
    return status


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else SITE
    ended = build(ROOT, target.absolute())
    if not ended:
        print(f"The site is in {target}: open {target}/index.html.")
    sys.exit(ended)
