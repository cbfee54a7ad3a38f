"""What the client takes from its dependencies beyond what they document."""

import ast
import inspect
import tomllib
from pathlib import Path

import pytest
import requests
import requests.adapters
import urllib3
import urllib3.connection

import walletsync
from walletsync import transport

ROOT = Path(__file__).parents[2]
PACKAGE = Path(walletsync.__file__).parent
UNDOCUMENTED = {
    "Session.resolve_redirects": requests.Session,
    "HTTPAdapter.poolmanager": requests.adapters.HTTPAdapter(),
    "PoolManager.pool_classes_by_scheme": urllib3.PoolManager(),
    "HTTPConnection.sock": urllib3.connection.HTTPConnection("localhost"),
}


@pytest.mark.parametrize(("name", "owner"), UNDOCUMENTED.items())
def test_what_is_not_documented_is_there_and_listed(name: str, owner: object) -> None:
    """The docstring of the transport lists it, and the installed version has it."""
    assert name in (transport.__doc__ or "")
    assert hasattr(owner, name.split(".")[1])


def test_an_unfollowed_redirect_is_resolved_all_the_same() -> None:
    """It is why the transport takes `resolve_redirects` away."""
    source = inspect.getsource(requests.Session.send)
    assert "if not allow_redirects" in source
    assert "self.resolve_redirects(" in source.partition("if not allow_redirects")[2]


def test_a_log_line_that_quotes_an_answer_begins_as_it_is_looked_for() -> None:
    """Else it would be let through."""
    assert '"Failed to parse headers' in inspect.getsource(urllib3.connection)
    assert '"Failed to parse headers"' in inspect.getsource(transport)


def test_no_other_major_version_is_allowed_of_what_they_are_in() -> None:
    """The bounds of the distribution say so."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = {each.partition(">=")[0]: each.partition(">=")[2] for each in wanted}
    assert all(bounds.values()), "each dependency has a lowest version"
    assert {name for name, bound in bounds.items() if bound.endswith(",<3")} == {"requests", "urllib3"}


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_private_name_of_another_package_is_used(file: Path) -> None:
    """Names with an underscore are our own: of this object, or defined in the same file."""
    tree = ast.parse(file.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            assert ast.unparse(node.value) in ("self", "cls") or node.attr in own, ast.unparse(node)
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(alias.name for alias in node.names if alias.name != "__version__")]
            assert not any(part.startswith("_") for name in names for part in name.split(".")), names
