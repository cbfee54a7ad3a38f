"""A repository to run and a server to talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.trees import Oracle, Tree, an_oracle


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "repository")


@pytest.fixture
def oracle() -> Iterator[Oracle]:
    with an_oracle() as oracle:
        yield oracle
