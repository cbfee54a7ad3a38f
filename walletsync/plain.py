"""Places of documents as plain JSON values, for what is kept on this device: the store, and the memory of a file."""

from typing import Any

from walletsync.merge import Item, Path


def plain_path(path: Path) -> list[Any]:
    """Return a path as a list of JSON values."""
    return [{"key": step.key, "value": step.value} if isinstance(step, Item) else step for step in path]


def path_of(plain: list[Any]) -> Path:
    """Return the path that `plain_path` made a list of."""
    return tuple(Item(**step) if isinstance(step, dict) else step for step in plain)
