"""docs/large.md: its table is what its formulas come to, and its figures are the bench's."""

import ast
import re
from pathlib import Path

import pytest

from bench.large import PAGE, computed, inputs, shown, value_of
from walletsync.protocol import TOKEN_DAYS
from walletsync_server.storage.postgres.links import MOST

TEXT = PAGE.read_text()
BENCH = (Path(__file__).parents[2] / "bench" / "README.md").read_text()


def test_the_table_is_computed_from_the_figures() -> None:
    """Change a figure or a formula, and the table has to be written anew."""
    assert computed(TEXT) == TEXT, "run `.venv/bin/python -m bench.large`"
    assert computed(TEXT.replace("| `edits` | 5 |", "| `edits` | 6 |")) != TEXT


def test_every_row_is_computed() -> None:
    """No line of the table is left as somebody typed it."""
    section = TEXT.partition("## What comes out\n")[2].partition("\n\nPasswords are rare")[0].strip().splitlines()[2:]
    without = [re.sub(r"` \|.*$", "` |", line) for line in section]
    assert computed(TEXT.replace("\n".join(section), "\n".join(without))) == TEXT


def test_every_figure_is_used() -> None:
    """A figure that no formula needs would be read for nothing."""
    formulas = " ".join(re.findall(r"`\w+ = ([^`]+)`", TEXT))
    assert set(inputs(TEXT)) <= set(re.findall(r"\w+", formulas))


def test_measured_figures_are_the_benchs() -> None:
    """What is said to be from the bench stands there."""
    measured = re.findall(r"^\| `(\w+)` \| ([\d.,]+) \| .* \| \[bench\]\(../bench/README.md\) \|$", TEXT, re.MULTILINE)
    assert len(measured) >= 8
    for name, value in measured:
        assert re.search(rf"(?<![\d,.]){re.escape(value)}(?![\d,.]*\d)", BENCH), (
            f"{name} is no figure of bench/README.md"
        )


def test_the_servers_own_figures_are_the_codes() -> None:
    """What a process has of connections, and how long a token lives."""
    assert (inputs(TEXT)["links"], inputs(TEXT)["token"]) == (MOST, TOKEN_DAYS)


@pytest.mark.parametrize("formula", ["open('x')", "accounts ** 2", "up(1, 2)", "'a'", "most(1, 2, key=3)"])
def test_formulas_are_arithmetic_and_nothing_else(formula: str) -> None:
    """Whatever else is in one is refused."""
    with pytest.raises(ValueError, match="is no part of a formula"):
        value_of(ast.parse(formula, mode="eval").body, {"accounts": 2.0})


def test_numbers_are_shown_as_people_read_them() -> None:
    """Three digits count, or two where there are fewer."""
    assert [shown(value) for value in (0.0257, 9.04, 99.4, 337.4, 33_749, 1_234_567)] == [
        *("0.026", "9", "99", "337", "33,700", "1,230,000"),
    ]
