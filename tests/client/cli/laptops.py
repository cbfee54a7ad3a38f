"""A laptop with a wallet program, a person who clicks, and a page that says what to click and to type."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tests.client.cli.machines import ROOT, Machine


class Program(Protocol):
    """A wallet program, as far as labels go."""

    def export(self) -> str: ...

    def imports(self, text: str) -> None: ...


P = TypeVar("P", bound=Program)


class Laptop(Machine, Generic[P]):
    """A machine whose wallet's file `program` writes and reads."""

    def __init__(self, folder: Path, url: str, email: str, file: str, program: P) -> None:
        super().__init__(folder, url, email)
        self.file = folder / file
        self.program = program

    def types_section(self, page: str, heading: str) -> None:
        """Type the commands below a heading of a page, on the server and for the account of this test."""
        section = re.split(r"\n## ", page.partition(f"## {heading}\n")[2], maxsplit=1)[0]
        for line in "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).splitlines():
            program, *words = shlex.split(line)
            assert program == "walletsync"
            here = {"https://sync.example.com": self.url, "alice@example.com": self.email, self.file.name: self.file}
            self.ok(shlex.join(str(here.get(word, word)) for word in words))

    def exports(self) -> None:
        self.file.write_text(self.program.export())

    def imports(self) -> None:
        self.program.imports(self.file.read_text())

    def day(self, change: Callable[[P], object] = lambda _: None) -> str:
        """Sync, import, change something, export, sync; return what the last said on stderr."""
        self.ok("sync")
        self.imports()
        change(self.program)
        self.exports()
        result = self.run("sync")
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stderr


def page(name: str) -> str:
    """Return a page of the documentation."""
    return (ROOT / "docs" / f"{name}.md").read_text()


def rows_of(page: str) -> list[str]:
    """Return the first cells of a page's table."""
    table = page.partition("| --- | --- |\n")[2].partition("\n\n")[0]
    return [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()]
