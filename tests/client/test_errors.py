"""The errors themselves: each can leave its process, and stands in the tree."""

import copy
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import walletsync
from walletsync import crypto, errors
from walletsync.errors import WalletSyncError
from walletsync.remedies import Remedy

ARGUMENTS: dict[str, Any] = {
    "remedy": Remedy.SYNC,
    "status": 503,
    "code": "busy",
    "retry_after": 7,
    "format": "bip329",
}


def all_kinds() -> Iterator[type[WalletSyncError]]:
    """Yield every class of the tree, wherever in the library it is defined."""
    for module in pkgutil.walk_packages(walletsync.__path__, "walletsync."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting = [WalletSyncError]
    for kind in waiting:
        waiting.extend(kind.__subclasses__())
    yield from dict.fromkeys(waiting)


KINDS = list(all_kinds())


def made(kind: type[WalletSyncError]) -> WalletSyncError:
    options = {name for name, each in inspect.signature(kind).parameters.items() if each.kind is each.KEYWORD_ONLY}
    return kind("What is wrong.", **{name: ARGUMENTS[name] for name in options})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_can_be_copied_and_pickled(kind: type[WalletSyncError]) -> None:
    """A worker process can hand it to the one that shows it, with all that it says."""
    error = made(kind)
    error.add_note("in the worker")
    pickled = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]  # noqa: S301 - our own
    for other in (copy.copy(error), copy.deepcopy(error), *pickled):
        assert type(other) is kind
        assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


def test_the_tree_is_drawn_whole() -> None:
    """Each class stands in it, below the one that it is one of."""
    assert errors.__doc__ is not None
    drawn: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        name = line.lstrip("│├└─ ").split(" ")[0]
        if hasattr(errors, name):
            drawn.append((len(line) - len(line.lstrip("│├└─ ")), name))
    assert {name for _, name in drawn} == {kind.__name__ for kind in KINDS}
    for number, (depth, name) in enumerate(drawn[1:], 1):
        above = next(above for less, above in reversed(drawn[:number]) if less < depth)
        assert getattr(errors, name).__bases__[0].__name__ == above


WITHOUT_MEMORY = """
import resource
from walletsync.crypto import Binding, derive
from walletsync.errors import NotEnoughMemory

resource.setrlimit(resource.RLIMIT_AS, (200 * 1024 * 1024,) * 2)
try:
    derive("a password", Binding("https://wallet.example.com", "alice@example.com", bytes(32)))
except NotEnoughMemory as error:
    print(error)
"""


def test_too_little_memory_for_the_keys_is_said() -> None:
    """It takes 256 MiB, which a small machine, or a limit, may not give."""
    said = subprocess.run([sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, text=True, check=True).stdout
    assert "takes 256 MiB of memory" in said
    assert "Close other programs" in said


def test_memory_that_no_machine_has_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in this process, which has no limit: nobody has four TiB."""
    monkeypatch.setattr(crypto, "_ARGON2_KIB", 2**32 - 1)
    with pytest.raises(errors.NotEnoughMemory, match="takes 4194303 MiB of memory"):
        crypto.derive("a password", crypto.Binding("https://wallet.example.com", "alice@example.com", bytes(32)))
