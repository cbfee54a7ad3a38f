"""What a conflict is to a program: comparable by value with types told apart, and found again by its place."""

import pytest

from append_log import AppendLog
from walletsync import Client, JSONFormat
from walletsync.errors import DocumentError
from walletsync.merge import MISSING, Conflict, Item, Merged


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


def test_a_document_is_merged_by_a_rule_of_ones_own() -> None:
    """With its conflicts, each once; None is no document yet; and after an error all is as it was."""
    with Client("https://sync.example.com") as client:
        conflict = Conflict(("a",), MISSING, 1, 2)
        seen: list[object] = []

        def merged(document: object) -> Merged[object]:
            seen.append(document)
            return Merged({"a": 2}, (conflict,))

        for _ in range(2):
            client.merge_document(merged)
        assert seen == [None, {"a": 2}]
        assert client.conflicts == (conflict,)
        with pytest.raises(DocumentError):
            client.merge_document(lambda _: Merged([], ()))
        assert client.get_document() == {"a": 2}
