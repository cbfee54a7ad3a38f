"""What an import of the library costs the program that embeds it."""

import subprocess
import sys


def loaded_by(statement: str) -> list[str]:
    """Return the modules that a statement loads into a new Python."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def outside(modules: list[str]) -> set[str]:
    """Return the packages among them that Python does not bring along."""
    return {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names)


def test_the_wire_contract_needs_nothing_but_msgspec() -> None:
    """protocol.py is what the server takes from the client, so it drags nothing along."""
    loaded = loaded_by("import walletsync.protocol")
    assert [name for name in loaded if name.startswith("walletsync")] == ["walletsync", "walletsync.protocol"]
    assert outside(loaded) <= {"walletsync", "msgspec", "typing_extensions"}  # msgspec takes the latter if it is there


def test_importing_the_library_loads_nothing_but_names() -> None:
    """A wallet that embeds the client starts as fast as without it; the rest comes with what is used first."""
    loaded = loaded_by("import walletsync")
    assert [name for name in loaded if name.startswith("walletsync")] == ["walletsync"]
    assert outside(loaded) == {"walletsync"}
