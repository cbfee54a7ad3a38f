"""Computes the table of docs/large.md from the figures that stand above it on the page.

    python -m bench.large    # write the table anew, after a figure was changed

A formula on the page is what is computed: numbers, names of figures and of earlier rows, + - * /, and `up(…)`, which
rounds up, and `most(…, …)`. A test fails where the page and its figures differ.
"""

import ast
import math
import operator
import re
from collections.abc import Callable
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "large.md"
SIZES = (10**4, 10**6, 10**8)
_INPUT = re.compile(r"^\| `(\w+)` \| ([\d.,]+) \|", re.MULTILINE)
_ROW = re.compile(r"^\| ([^|`]+) \| `(\w+) = ([^`]+)` \|.*$", re.MULTILINE)
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def inputs(page: str) -> dict[str, float]:
    """Return the figures that the page begins with, by name."""
    return {name: float(value.replace(",", "")) for name, value in _INPUT.findall(page)}


def computed(page: str) -> str:
    """Return the page with every row of its table computed anew."""
    known = {size: {"accounts": float(size), **inputs(page)} for size in SIZES}

    def row(match: re.Match[str]) -> str:
        what, name, formula = match.groups()
        for values in known.values():
            values[name] = value_of(ast.parse(formula, mode="eval").body, values)
        figures = " | ".join(shown(values[name]) for values in known.values())
        return f"| {what} | `{name} = {formula}` | {figures} |"

    return _ROW.sub(row, page)


def value_of(formula: ast.expr, values: dict[str, float]) -> float:
    """Return what a formula comes to.

    Raises:
        ValueError: if it has anything else than what this module's docstring lists.
        KeyError: if it names a figure that there is not.
    """
    match formula:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](value_of(left, values), value_of(right, values))
        case ast.Call(func=ast.Name(id="up"), args=[argument], keywords=[]):
            return float(math.ceil(value_of(argument, values)))
        case ast.Call(func=ast.Name(id="most"), args=arguments, keywords=[]):
            return max(value_of(argument, values) for argument in arguments)
    raise ValueError(f"`{ast.unparse(formula)}` is no part of a formula.")


def shown(value: float) -> str:
    """Return a number with two digits that count, or whole where it is larger; rounded as people read it."""
    if value >= 100:
        digits = max(0, len(str(int(value))) - 3)
        return f"{round(value, -digits):,.0f}"
    return f"{value:.2g}"


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(computed(PAGE.read_text()))


if __name__ == "__main__":
    main()
