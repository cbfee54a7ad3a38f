"""What a conflict is to a program: comparable by value with types told apart, and found again by its place."""

import pytest

from append_log import AppendLog
from walletsync import JSONFormat
from walletsync.merge import MISSING, Conflict, Item


def test_conflicts_are_equal_by_value_with_types_told_apart() -> None:
    """1 is neither True nor 1.0, on any side."""
    conflict = Conflict(("a",), 1, {"b": 1}, MISSING)
    assert conflict == Conflict(("a",), 1, {"b": 1}, MISSING)
    assert hash(conflict) == hash(Conflict(("a",), 1, {"b": 1}, MISSING))
    for other in (
        Conflict(("b",), 1, {"b": 1}, MISSING),
        Conflict(("a",), True, {"b": 1}, MISSING),
        Conflict(("a",), 1, {"b": 1.0}, MISSING),
        Conflict(("a",), 1, {"b": 1}, None),
        ("a",),
    ):
        assert conflict != other


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), {"a": [{"id": 1, "b": "c"}]}),
        (("a", Item("id", 1), "b"), "c"),
        (("a", Item("id", True), "b"), MISSING),
        (("missing", "deeper"), MISSING),
    ],
)
def test_the_json_format_finds_what_is_at_a_path(path: tuple[str | Item, ...], value: object) -> None:
    """Or tells that nothing is there."""
    assert JSONFormat().value_at({"a": [{"id": 1, "b": "c"}]}, path) == value


def test_the_append_log_is_one_value() -> None:
    """A conflict is about all of it."""
    assert AppendLog().value_at("-:aaaa", ()) == "-:aaaa"
    assert AppendLog().value_at("-:aaaa", ("a",)) is MISSING
