"""What a file imports, as it is written: the doors between rooms are checked by it."""

import ast
from pathlib import Path


def imports_of(file: Path) -> set[str]:
    """Return the full names of everything that a file imports, inside functions as well."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
