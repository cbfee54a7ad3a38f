"""What happened between two documents, in words."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from walletsync.changes import Changes, ago
from walletsync.formats.base import FileFormat
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import JSONFormat
from walletsync.formats.lbry import LBRYFormat
from walletsync.merge import MISSING

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
LABEL = '{"type":"tx","ref":"%s","label":"%s"}\n'
NO_LABEL = '{"type":"tx","ref":"%s","height":%d}\n'


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("", LABEL % ("a", "rent"), "1 label added"),
        (LABEL % ("a", "rent"), LABEL % ("a", "car"), "1 label changed"),
        (LABEL % ("a", "rent") + LABEL % ("b", "car"), "", "2 labels deleted"),
        (
            LABEL % ("a", "x") + LABEL % ("b", "x"),
            LABEL % ("a", "y") + LABEL % ("c", "x"),
            "1 label added, 1 changed, 1 deleted",
        ),
        ("", NO_LABEL % ("a", 1), "no labels changed"),
        (NO_LABEL % ("a", 1), NO_LABEL % ("a", 2), "no labels changed"),
        (NO_LABEL % ("a", 1), LABEL % ("a", "rent"), "1 label added"),
        (LABEL % ("a", "rent"), NO_LABEL % ("a", 1), "1 label deleted"),
    ],
)
def test_labels_are_counted_as_people_count_them(before: str, after: str, sentence: str) -> None:
    """A record without a label is none, and what a program works out is no change."""
    assert Changes.between(BIP329Format(), before, after).sentence("labels") == sentence


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1}, {"a": 2, "b": 3}, Changes(1, 1, 0)),
        ({}, {"a": {"b": {"c": 1}, "d": 2}}, Changes(2, 0, 0)),
        ({"a": {"b": 1}}, {}, Changes(0, 0, 1)),
        ({"a": ""}, {"a": None}, Changes(0, 0, 0)),
        ({"items": [{"id": 1, "n": 1}, {"id": 2}]}, {"items": [{"id": 1, "n": 2}, {"id": 3}]}, Changes(1, 1, 1)),
    ],
)
def test_entries_are_counted_where_they_are(before: Any, after: Any, changes: Changes) -> None:
    """An object by what is in it, an item of a list that has a key by itself, and nothing by nothing."""
    assert Changes.between(JSONFormat({"/items": "id"}), before, after) == changes


@pytest.mark.parametrize(
    ("content", "number", "sentence"),
    [
        ("entries", 1, "1 entry changed"),
        ("entries", 2, "2 entries changed"),
        (LBRYFormat.content, 1, f"1 of the {LBRYFormat.content} changed"),
    ],
)
def test_sentences_speak_of_what_the_format_has(content: str, number: int, sentence: str) -> None:
    """One is not called as several are."""
    assert Changes(0, number, 0).sentence(content) == sentence


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=5, seconds=40), "5 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=6, hours=23), "6 days ago"),
        (timedelta(days=7), "on 2026-03-03"),
        (timedelta(days=-1), "on 2026-03-11"),
    ],
)
def test_times_are_told_as_people_tell_them(before: timedelta, words: str) -> None:
    """From any zone; a clock that is a little ahead is forgiven."""
    for zone in (UTC, timezone(timedelta(hours=-5))):
        assert ago((NOW - before).astimezone(zone).isoformat(), NOW) == words
    assert ago(f"{(NOW - before).replace(tzinfo=None).isoformat()}Z", NOW) == words


@pytest.mark.parametrize("text", ["yesterday", "", "9999-99-99T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_what_is_no_time_is_told_as_it_is(text: str) -> None:
    """A server may say anything."""
    assert ago(text, NOW) == text


@pytest.mark.parametrize(
    ("path", "record", "title"),
    [
        (("tx", 56 * "0" + "0000ab12"), {"label": "rent"}, '"rent", transaction …0000ab12'),
        (("addr", "bc1qa"), {"label": " "}, "address bc1qa"),
        (("output", "a:0"), MISSING, "coin a:0"),
        (("later", "x"), [{"type": "later"}, {"label": "one"}, {"label": "two"}], '"one", later x'),
    ],
)
def test_records_of_labels_have_titles(path: tuple[str, ...], record: Any, title: str) -> None:
    """The label, what it is of, and the end of a long hash."""
    assert BIP329Format().title(path, record) == title


@pytest.mark.parametrize("format", [JSONFormat(), LBRYFormat()], ids=lambda format: str(format.name))
def test_other_records_are_called_by_their_place(format: FileFormat[Any]) -> None:
    """The names on the way; and nothing in there is two things at once."""
    assert format.title(("a", "b"), 1) == "a › b"
    assert format.title((), {}) == "the whole file"
    assert format.both(("a", "label"), "rent", "flat") is MISSING


@pytest.mark.parametrize(
    ("field", "mine", "theirs", "both"),
    [
        ("label", "rent", "flat", "rent / flat"),
        ("label", "rent", "rent / flat", "rent / flat"),
        ("label", "rent", MISSING, MISSING),
        ("label", "", "flat", MISSING),
        ("label", 1, "flat", MISSING),
        ("spendable", "true", "false", MISSING),
    ],
)
def test_two_labels_can_be_one(field: str, mine: Any, theirs: Any, both: Any) -> None:
    """Where both are labels; mine is not said twice."""
    assert BIP329Format().both(("tx", "a", field), mine, theirs) == both
