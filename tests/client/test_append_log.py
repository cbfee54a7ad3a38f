"""The tour's toy format. What every format promises, test_formats.py runs over it as well."""

import re
from itertools import islice

import pytest

from append_log import AppendLog, append, segments
from walletsync.errors import DocumentError
from walletsync.merge import Conflict


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        ("-:cfF6", "-:cfF6:6De1", "-:cfF6:565b", "-:cfF6:565b:6De1"),
        ("-", "-:aaaa:bbbb", "-:cccc:dddd", "-:cccc:dddd:aaaa:bbbb"),
        ("-:cfF6", "-:cfF6", "-:cfF6:565b", "-:cfF6:565b"),
        ("-:cfF6", "-:cfF6:6De1", "-:cfF6", "-:cfF6:6De1"),
        ("-:cfF6", "-:cfF6:6De1", "-:cfF6:6De1", "-:cfF6:6De1"),
        ("-:cfF6", "-:cfF6", "-", "-"),
    ],
)
def test_my_segments_go_after_theirs(base: str, mine: str, theirs: str, merged: str) -> None:
    """A change that only one side made is taken, one that both made is not doubled."""
    result = AppendLog().merge(base, mine, theirs)
    assert result.document == merged
    assert result.conflicts == ()


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [("-:cfF6:6De1", "-"), ("-", "-:cfF6:6De1"), ("-:0000", "-:1111"), ("-:cfF6:6De1", "-:565b:cfF6")],
)
def test_a_rewritten_log_is_one_conflict_and_theirs_stays(mine: str, theirs: str) -> None:
    """Merging appends; which of two histories is right, a person decides."""
    log = AppendLog()
    result = log.merge("-:cfF6", mine, theirs)
    assert result.document == theirs
    assert result.conflicts == (Conflict((), "-:cfF6", mine, theirs),)
    assert log.replace(result.document, (), mine) == mine


@pytest.mark.parametrize("document", ["", "-:", "-:abc", "-:abcde", "-:ab_d", "-:abcd:", "-:abcd\n", "-:abcé", 5, None])
def test_what_is_not_a_log_is_refused(document: str) -> None:
    """In both directions and as a decision, with a sentence that does not quote it."""
    log = AppendLog()
    with pytest.raises(DocumentError, match=re.escape("a dash, then segments such as :cfF6.")):
        log.encode(document)
    with pytest.raises(DocumentError, match="a dash, then segments"):
        log.decode(str(document).encode())
    with pytest.raises(DocumentError, match="a dash, then segments"):
        log.replace("-", (), document)


def test_a_log_has_no_parts() -> None:
    """A conflict is about the whole of it, and so is a decision."""
    with pytest.raises(DocumentError, match=re.escape("the path of a decision is ()")):
        AppendLog().replace("-", ("a",), "-:cfF6")


def test_a_log_is_its_text_in_bytes() -> None:
    """So the reader of the tour recognises it where it is not encrypted."""
    assert AppendLog().encode("-:cfF6:565b") == b"-:cfF6:565b"
    assert AppendLog.name == "append-log"


def test_segments_come_from_the_seed_alone() -> None:
    """Every run of a notebook shows the same ones, another seed shows others."""
    log = AppendLog().empty()
    for segment in islice(segments(seed=1), 100):
        log = append(log, segment)
    assert AppendLog().decode(AppendLog().encode(log)) == log
    assert list(islice(segments(seed=1), 3)) == log.split(":")[1:4]
    assert list(islice(segments(seed=2), 3)) != log.split(":")[1:4]
    # Written out, since the committed notebooks show them on every Python version.
    assert list(islice(segments(seed=1), 3)) == ["8QLf", "urEM", "51Pq"]
