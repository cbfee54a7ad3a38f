"""The machine serves any project: what it knows of this one stands in one file."""

import re
from pathlib import Path

from tools.docs import project

MACHINE = Path(project.__file__).parent
OURS = r"^\s*(from|import) (walletsync|walletsync_server|tests|bench|append_log|tour|wire|pictures)\b"


def test_one_file_knows_the_project() -> None:
    """No other names it, or a thing of it, and none imports its packages."""
    others = sorted(set(MACHINE.rglob("*")) - {MACHINE / "project.py"})
    sources = [file for file in others if file.is_file() and "__pycache__" not in file.parts]
    assert len(sources) > 10
    for file in sources:
        assert file.suffix == ".py"
        assert not re.search("wallet|hmac|WSY1|salt|argon2", file.read_text(), re.IGNORECASE), file
        assert not re.search(OURS, file.read_text(), re.MULTILINE), file


def test_the_listing_names_every_file() -> None:
    """A reader of the package's docstring sees all of it."""
    listed = re.findall(r"^    ([a-z_]+\.py)  +\S", (MACHINE / "__init__.py").read_text(), re.MULTILINE)
    assert sorted([*listed, "__init__.py", "__main__.py"]) == sorted(file.name for file in MACHINE.glob("*.py"))
