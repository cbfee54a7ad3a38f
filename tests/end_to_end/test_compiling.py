"""The tests of a fresh clone are compiled before the workers begin."""

import sys
from pathlib import Path

import pytest

from tests.compiling import FEW, compile_tests, is_compiled


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Tests that pytest has not seen yet, and may compile."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    files = [tmp_path / f"test_{number}.py" for number in range(FEW + 1)]
    for file in files:
        file.write_text("def test_it() -> None:\n    assert True\n")
    return files


def test_many_tests_are_compiled_where_pytest_looks(files: list[Path], tmp_path: Path) -> None:
    """All of them, and one that changes afterwards is not taken for compiled."""
    assert not any(map(is_compiled, files))
    compile_tests(tmp_path)
    assert all(map(is_compiled, files))
    files[0].touch()
    assert not is_compiled(files[0])


def test_few_tests_are_left_to_the_workers(files: list[Path], tmp_path: Path) -> None:
    """As after a change of some of them."""
    files[0].unlink()
    compile_tests(tmp_path)
    assert not any(map(is_compiled, files[1:]))
