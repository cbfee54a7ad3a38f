"""Edits for `update_document()`."""

from collections.abc import Callable
from typing import Any


def putting(key: str) -> Callable[[Any], Any]:
    """Return one that puts a key into a JSON document."""
    return lambda document: document | {key: 1}
