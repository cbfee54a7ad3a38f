"""What docs/install.md tells people to type: its blocks, each with who types it."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "install.md").read_text()


@dataclass(frozen=True)
class Block:
    """The lines of a block. `heading` is that of its section."""

    heading: str
    who: str
    lines: tuple[str, ...]


def blocks() -> list[Block]:
    """Return the blocks of the page, in order."""
    found = []
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        for who, text in re.findall(r"^```sh (\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
            found.append(Block(heading, who, tuple(text.splitlines())))
    return found
