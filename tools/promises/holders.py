"""Which tests hold a promise: those that carry its id as a mark, and the rules of the conformance suite by their own.

A rule counts as a test because `tests/end_to_end/test_conformance.py` has a broken server for each that fails it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONTRACT = "server/walletsync_server/storage/contract_tests"
"""What tests inherit, so that the files are called otherwise."""
PLACES = {"tests": "promise", CONTRACT: "promise", "walletsync/conformance": "add"}
"""Where they are, and what the decorator is called whose arguments begin with ids."""


@dataclass(frozen=True)
class Holder:
    """A test that carries an id, or whatever else does. `sentence` says what it tests."""

    id: str
    path: str
    line: int
    name: str
    sentence: str
    is_test: bool


def holders(root: Path) -> list[Holder]:
    """Return what carries ids below `root`, in the order of files and lines; a test with two ids twice."""
    return [
        holder
        for place, decorator in PLACES.items()
        for path in sorted((root / place).rglob("*.py"))
        for holder in _in_file(root, path, decorator)
    ]


def _in_file(root: Path, path: Path, decorator: str) -> Iterator[Holder]:
    text = path.read_text(encoding="utf-8")
    if f".{decorator}(" not in text:
        return
    place = str(path.relative_to(root))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for called in node.decorator_list:
                match called:
                    case ast.Call(func=ast.Attribute(attr="promise"), args=ids):
                        yield from (_test(place, node, _text(id)) for id in ids)
                    case ast.Call(func=ast.Attribute(attr="add"), args=[id, said, *_]) if decorator == "add":
                        yield Holder(_text(id), place, node.lineno, node.name, _text(said), is_test=True)


def _test(path: str, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, id: str) -> Holder:
    said = (ast.get_docstring(node) or "").partition("\n\n")[0]
    sentence = " ".join(said.split()) or node.name.removeprefix("test_").replace("_", " ").capitalize() + "."
    is_collected = Path(path).name.startswith("test_") or path.startswith(CONTRACT)
    is_test = is_collected and node.name.startswith("test_") and not isinstance(node, ast.ClassDef)
    return Holder(id, path, node.lineno, node.name, sentence, is_test)


def _text(node: ast.expr) -> str:
    """Return a text that is written out; of anything else the code, which is no id that a page has."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)
