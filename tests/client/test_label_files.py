"""Label files as programs write them: what is in them beside the document, and in which spelling."""

import json

import pytest

from walletsync.errors import DocumentError
from walletsync.formats.bip329 import BIP329Format

LABELS = BIP329Format()
A, B, C = (f'{{"type":"tx","ref":"{ref}","label":"{ref}"}}\n' for ref in "abc")
BAD = '{"type":"tx","ref":"b","label":"b}\n'
JUNK = "# my labels\n"


def read(text: str, known: str = "") -> str:
    return LABELS.from_file(text.encode(), known)


def write(document: str, over: str) -> str:
    return LABELS.to_file(document, over.encode()).decode()


def test_a_line_that_is_no_record_is_left_where_it_is() -> None:
    """Told with its number; the lines around it are read, and news get in."""
    text = JUNK + A + BAD + C
    assert read(text) == A + C
    told = LABELS.unreadable(text.encode())
    assert [each.split(" at ")[0] for each in told] == ["line 1 is not JSON", "line 3 is not JSON"]
    new = C.replace('"c"}', '"news"}') + '{"type":"tx","ref":"d"}\n'
    assert write(A + new, text) == JUNK + A + BAD + new
    assert write(new, text) == JUNK + BAD + new
    assert (LABELS.unreadable(A.encode()), write(A + C, A + C)) == ([], A + C)
    assert write(A + C[:-1], f"{A}\n{C}{JUNK}") == A + C + JUNK
    assert len(LABELS.contents(f"{A}\n{C}")) == 2


def test_a_record_that_was_broken_is_not_deleted() -> None:
    """It counts as it was, and other deletions count; it is not written beside the broken line."""
    assert read(A + BAD, known=A + B + C) == A + B
    assert write(A + B, A + BAD) == A + BAD
    assert write(A + B.replace('"b"}', '"edited elsewhere"}') + C, A + BAD) == A + BAD + C


def test_where_a_broken_line_tells_nothing_nothing_is_deleted() -> None:
    """It may have been any of them."""
    assert read(A + "oops\n", known=A + B + C) == A + B + C
    assert read(A + "oops\n", known=A) == A


def test_of_several_records_the_broken_one_is_not_deleted_either() -> None:
    """And the edit of the other one is taken."""
    two, edited = B + B.replace('"b"}', '"2"}'), B.replace('"b"}', '"1"}')
    assert sorted(read(edited + BAD, known=two).splitlines()) == sorted((edited + two).splitlines())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(A + B[:-6], "Line 2 of the label file is not JSON", id="cut off"),
        pytest.param("type,ref,label\ntx,a,x\n", "Line 1 of the label file is not JSON", id="no record at all"),
        pytest.param("\ufeff\ufeff" + A, "Line 1 begins with a byte order mark", id="two marks"),
    ],
)
def test_what_is_half_written_or_something_else_is_refused(text: str, says: str) -> None:
    """As a whole: a read that ended early is no state."""
    with pytest.raises(DocumentError, match=says):
        read(text)


def test_a_byte_order_mark_is_taken_and_stays() -> None:
    """In the file; the document has none, so that no other device gets one."""
    data = b"\xef\xbb\xbf" + A.encode()
    assert LABELS.from_file(data, "") == LABELS.decode(data) == A
    assert LABELS.to_file(A + B, data) == data + B.encode()


def test_each_file_keeps_its_spelling() -> None:
    """What the document has otherwise spelled stays as the program wrote it, also beside what is new."""
    mine = '{ "type": "addr", "ref": "BC1QX", "label": "Cafe\u0301", "spendable": "false", "n": 11 }\n'
    theirs = '{"type":"addr","ref":"bc1qx","label":"Caf\u00e9","spendable":false,"n":11.00}\n'
    assert write(theirs, mine) == mine
    assert write(theirs.replace("11.00", "12"), mine) == mine.replace(": 11", ":12")
    assert write(theirs.replace(',"n"', ',"later":1,"n"'), mine).count('"BC1QX"') == 1
    assert write(A, A.replace(",", ", ")) == A.replace(",", ", ")


def test_records_told_apart_by_origin_keep_theirs() -> None:
    """Wherever they stand."""
    one, two = (json.dumps({"type": "tx", "ref": "a", "origin": f"wpkh([ab/{n}h])"}) for n in (1, 2))
    document = "\n".join(each.replace("h]", "']") for each in (two, one))
    assert write(document, f"{one}\n{two}\n") == f"{two}\n{one}"


def test_notes_of_one_record_keep_theirs() -> None:
    """Found by what they say."""
    one, two = (f'{{"type": "tx", "ref": "a", "label": "{label}", "n": 1}}' for label in "xy")
    document = "".join(f"{each.replace(': 1', ': 1.0')}\n" for each in (two, one, one))
    assert write(document, f"{one}\n{two}\n") == f"{two}\n{one}\n{one.replace(': 1', ': 1.0')}\n"
