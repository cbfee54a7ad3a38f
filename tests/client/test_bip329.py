"""BIP-329 label files: what they are, how they merge, and that nothing of them changes by itself."""

import json
import re
import traceback
from typing import Any

import pytest

from tests.labels import edited, spaced, sparrow
from walletsync import exactjson
from walletsync.errors import DocumentError
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import MAX_DEPTH
from walletsync.merge import MISSING, Conflict, Item, Merged

LABELS = BIP329Format()
# The BIP's own example of an export, with its spaces.
EXAMPLE = """\
{ "type": "tx", "ref": "f91d0a8a78462bc59398f2c5d7a84fcff491c26ba54c4833478b202796c8aafd", "label": "Transaction", \
"origin": "wpkh([d34db33f/84'/0'/0'])" }
{ "type": "addr", "ref": "bc1q34aq5drpuwy3wgl9lhup9892qp6svr8ldzyy7c", "label": "Address" }
{ "type": "pubkey", "ref": "0283409659355b6d1cc3c32decd5d561abaac86c37a353b52895a5e6c196d6f448", "label": "Public Key" }
{ "type": "input", "ref": "f91d0a8a78462bc59398f2c5d7a84fcff491c26ba54c4833478b202796c8aafd:0", "label": "Input" }
{ "type": "output", "ref": "f91d0a8a78462bc59398f2c5d7a84fcff491c26ba54c4833478b202796c8aafd:1", "label": "Output", \
"spendable": false }
{ "type": "xpub", "ref": "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg\
7usUDFdp6W1EGMcet8", "label": "Extended Public Key" }
{ "type": "tx", "ref": "f546156d9044844e02b181026a1a407abfca62e7ea1159f87bbeaa77b4286c74", "label": "Account #1 \
Transaction", "origin": "wpkh([d34db33f/84'/0'/1'])" }
"""


def line(ref: str = "a", type: str = "tx", **fields: Any) -> str:
    """Return a record as a line without its end."""
    return json.dumps({"type": type, "ref": ref, **fields}, ensure_ascii=False, separators=(",", ":"))


def file(*lines: str) -> str:
    return "".join(f"{each}\n" for each in lines)


def merged(base: str, mine: str, theirs: str) -> str:
    """Return the merge, which has to be without a conflict."""
    result = LABELS.merge(base, mine, theirs)
    assert result.conflicts == ()
    return result.document


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("", id="nothing"),
        pytest.param(EXAMPLE, id="the example of the BIP"),
        pytest.param(EXAMPLE.replace("\n", "\r\n"), id="line ends of Windows"),
        pytest.param(EXAMPLE.rstrip("\n"), id="no end of the last line"),
        pytest.param(f"\n \t\n{EXAMPLE}\n\n  ", id="blank lines"),
        pytest.param('{"ref":"a","type":"later","n":1.10,"big":123456789012345678901234567890}', id="numbers"),
        pytest.param('{"type":"tx","ref":"\\u0061","label":"\\ud83d\\ude00 \\u0027"}\n', id="escapes"),
        pytest.param('{"type":"tx","ref":"a","label":"\u2028\u0085\x7f工资"}\n', id="breaks that end no line"),
        pytest.param('{"type":"tx","ref":"a"}\n{"type":"tx","ref":"a"}\n', id="the same line twice"),
        pytest.param('{"type":"tx","ref":"a","origin":null,"heights":[[]],"label":null}\n', id="null"),
        pytest.param(sparrow(seed=1, lines=300), id="Sparrow"),
        pytest.param(spaced(seed=1, lines=300), id="spaced"),
    ],
)
def test_a_file_comes_back_byte_for_byte(document: str) -> None:
    """Spaces, escapes, numbers, line ends and order are those of the program that wrote it."""
    data = document.encode()
    assert LABELS.decode(data) == document
    assert LABELS.encode(LABELS.decode(data)) == data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(
            b'\n{"type":"tx","ref":"secret"', "Line 2 of the label file is not JSON at column 28", id="cut off"
        ),
        pytest.param(b"txid,secret\n", "Line 1 of the label file is not JSON at column 1", id="CSV"),
        pytest.param(b'{"type":"tx","ref":"a"}{"ref":"secret"}', "is not JSON at column 24", id="two in a line"),
        pytest.param(b'["secret"]', "is not a record: each is an object with a type and a ref", id="a list"),
        pytest.param(b'{"type":"secret"}', "is not a record: each is an object", id="no ref"),
        pytest.param(b'{"type":"tx","ref":1}', "is not a record: each is an object", id="a ref that is no text"),
        pytest.param(b'{"type":true,"ref":"secret"}', "is not a record: each is an object", id="a type that is none"),
        pytest.param(b'{"type":"tx","ref":"secret","ref":"b"}', "is not a record: an object has", id="a field twice"),
        pytest.param(b'{"type":"tx","ref":"secret","fee":NaN}', "is not a record: NaN", id="NaN"),
        pytest.param(b'{"type":"tx","ref":"secret","label":"\\ud800"}', "half of a surrogate", id="surrogate"),
        pytest.param(b'{"type":"tx","ref":"a"}\n\n"secret\xff"', "Line 3 is not UTF-8", id="another encoding"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfsecret", "Line 1 begins with a byte order mark", id="two BOMs"),
        pytest.param(b"\xc2\xa0\n", "Line 1 of the label file is not JSON", id="a blank that is none of JSON's"),
        pytest.param(b'{"type":"tx","ref":"secret\rb"}', "is not JSON at column", id="a line break in a text"),
        pytest.param(b'{"type":"tx","ref":"a","x":' + b"[" * 100_000, f"more than {MAX_DEPTH} objects", id="endless"),
        pytest.param(
            b'{"type":"tx","ref":"secret","x":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
            f"more than {MAX_DEPTH} objects",
            id="too deep",
        ),
    ],
)
def test_what_is_no_label_file_is_refused(data: bytes, says: str) -> None:
    """The error names the line and what to do, and neither it nor what led to it quotes the file."""
    with pytest.raises(DocumentError, match=says) as caught:
        LABELS.decode(data)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("document", [None, b"", 5, ["a"], "\ufeff", "nothing", '{"type":"tx","ref":"\ud800"}'])
def test_what_is_no_label_file_is_not_encoded(document: Any) -> None:
    """Nor taken as a decision about the whole."""
    with pytest.raises(DocumentError):
        LABELS.encode(document)
    with pytest.raises(DocumentError):
        LABELS.replace("", (), document)


def test_a_file_that_was_checked_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync meets the same file many times; one line more, and every line counts, whatever was found good before."""
    read: list[str] = []
    real = exactjson.loads

    def counted(text: str) -> Any:
        read.append(text)
        return real(text)

    monkeypatch.setattr(exactjson, "loads", counted)
    document = sparrow(seed=77, lines=20)
    for _ in range(3):
        assert LABELS.decode(LABELS.encode(document)) == document
    assert len(read) == 20
    for _ in range(2):
        with pytest.raises(DocumentError, match=r"Line 21 "):
            LABELS.encode(f"{document}no label")
    assert len(read) == 20 + 2 * 21


def test_many_lists_beside_one_another_are_not_deep() -> None:
    """It is the nesting that is bounded."""
    wide = line(heights=[[]] * (2 * MAX_DEPTH))
    assert LABELS.encode(wide) == wide.encode()


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "result"),
    [
        pytest.param(
            [line("a"), line("b")],
            [line("a", label="m"), line("b")],
            [line("a"), line("b", label="t")],
            [line("a", label="m"), line("b", label="t")],
            id="two records",
        ),
        pytest.param(
            [line(label="x", spendable=True)],
            [line(label="m", spendable=True)],
            [line(label="x", spendable=False)],
            [line(label="m", spendable=False)],
            id="two fields of a record",
        ),
        pytest.param([], [line("m")], [line("t")], [line("t"), line("m")], id="theirs, then mine"),
        pytest.param([], [line(label="x", n=1)], [line(label="x", o=1)], [line(label="x", o=1, n=1)], id="both new"),
        pytest.param([line("a"), line("b")], [line("b")], [line("a"), line("b", n=1)], [line("b", n=1)], id="I did"),
        pytest.param([line("a"), line("b")], [line("a"), line("b", n=1)], [line("b")], [line("b", n=1)], id="they did"),
        pytest.param([line("a"), line("b")], [line("a")], [line("b")], [], id="each deleted one"),
        pytest.param(
            [line("a"), line("b")],
            [line("a", n=1), line("b")],
            [line("b"), line("a"), line("c")],
            [line("b"), line("a", n=1), line("c")],
            id="their order",
        ),
        pytest.param([line("a")], [line("a"), line("a", "addr")], [line("a"), line("a", "later")],
            [line("a"), line("a", "later"), line("a", "addr")], id="the same ref of other types"),
        pytest.param([line(fmv={"USD": 1})], [line(fmv={"USD": 1, "EUR": 2})], [line(fmv={"USD": 3})],
            [line(fmv={"USD": 3, "EUR": 2})], id="inside a field"),
        pytest.param(
            [line(label="x")],
            [line(label="m")],
            [line(label="x", origin="o1"), line(label="x", origin="o2"), line("b")],
            [line(label="x", origin="o1"), line(label="x", origin="o2"), line(label="m"), line("b")],
            id="origins where there were none",
        ),
        pytest.param(
            [line(origin="o1"), line(origin="o2")],
            [line(origin="o1", label="m"), line(origin="o2")],
            [line(origin="o1"), line(origin="o2", label="t"), line(origin=None)],
            [line(origin="o1", label="m"), line(origin="o2", label="t"), line(origin=None)],
            id="told apart by origin",
        ),
        pytest.param(
            [line(origin="o1")],
            [line(origin="o1"), line(origin="o2")],
            [line(origin="o1", label="t"), line(origin="o3")],
            [line(origin="o1", label="t"), line(origin="o3"), line(origin="o2")],
            id="each added an origin",
        ),
        pytest.param(
            [line(label="x")],
            [line(label="m", origin="o1")],
            [line(label="x", height=7)],
            [line(label="m", height=7, origin="o1")],
            id="an origin added to a single record is a field like any other",
        ),
    ],
)  # fmt: skip
def test_records_merge_by_type_and_ref(base: Any, mine: Any, theirs: Any, result: Any) -> None:
    """And then field by field, whatever the fields are."""
    found = LABELS.merge(file(*base), file(*mine), file(*theirs))
    assert [json.loads(each) for each in found.document.splitlines()] == [json.loads(each) for each in result]
    assert found.conflicts == ()


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "path", "values"),
    [
        pytest.param(line(label="b"), line(label="m"), line(label="t"), ("label",), ("b", "m", "t"), id="two labels"),
        pytest.param(line(n=1), line(n=True), line(n="1"), ("n",), (1, True, "1"), id="types are told apart"),
        pytest.param(line(), line(n=2), line(n="2"), ("n",), (MISSING, 2, "2"), id="both added"),
        pytest.param(line(n=1), line(), line(n=2), ("n",), (1, MISSING, 2), id="a field deleted and edited"),
        pytest.param(line(n={"USD": 1}), line(n={"USD": 2}), line(n={"USD": 3}), ("n", "USD"), (1, 2, 3), id="inside"),
        pytest.param(line(n=1), "", line(n=2), (), ({"n": 1}, MISSING, {"n": 2}), id="I deleted what they edited"),
        pytest.param(line(n=1), line(n=2), "", (), ({"n": 1}, {"n": 2}, MISSING), id="they deleted what I edited"),
        pytest.param(
            line(origin="o", n=1) + "\n" + line(origin="p"),
            line(origin="p") + "\n" + line(origin="o", n=2),
            line(origin="o", n=3) + "\n" + line(origin="p"),
            (Item("origin", "o"), "n"),
            (1, 2, 3),
            id="in one of several origins",
        ),
        pytest.param(
            line(n=1) + "\n" + line(n=2),
            "",
            line(n=1) + "\n" + line(n=3),
            (),
            ([{"n": 1}, {"n": 2}], MISSING, [{"n": 1}, {"n": 3}]),
            id="I deleted all of several, and they added one",
        ),
    ],
)
def test_changes_that_exclude_each_other_are_a_conflict(
    base: str, mine: str, theirs: str, path: Any, values: tuple[Any, ...]
) -> None:
    """Its path leads to the field or the record; the file keeps theirs."""
    other = line("other")
    sides = [f"{side}\n{other}\n" for side in (base, mine, theirs)]
    result = LABELS.merge(*sides)
    (conflict,) = result.conflicts
    assert conflict == Conflict(("tx", "a", *path), *(complete(value) for value in values))
    assert result.document == sides[2]
    for kept in (conflict.base, conflict.mine, conflict.theirs):
        decided = LABELS.replace(result.document, conflict.path, kept)
        assert LABELS.value_at(decided, conflict.path) == kept
        assert other in decided


def complete(value: Any) -> Any:
    """Return records with their type and ref; other values as they are."""
    if isinstance(value, list):
        return [complete(each) for each in value]
    return {"type": "tx", "ref": "a"} | value if isinstance(value, dict) else value


def test_a_line_that_only_one_side_changed_stays_as_that_side_wrote_it() -> None:
    """To the byte: spaces, escapes, the order of fields, the zeros of numbers."""
    mine = '{ "label": "\\u0027m",  "ref":"a", "type":"tx", "rate":{"USD": 1.10} } '
    theirs = '{"type" : "tx", "ref" : "b", "fee" : 1e2}'
    base = file(line("a"), line("b"), line("c"))
    result = merged(base, file(mine, line("b"), line("c")), file(line("a"), theirs, line("c")))
    assert result == file(mine.rstrip(), theirs, line("c"))


def test_a_line_that_both_changed_keeps_the_text_of_each_field() -> None:
    """Spaces as in theirs, fields in their order and then in mine, each as the side wrote it that it comes from."""
    base = '{"rate":{"USD":105620.00},"type":"tx","ref":"a","fee":-0,"old":1,"mine":1}\n'
    mine = '{"rate":{"USD":105620.00},"type":"tx","ref":"a","fee":-0,"label":"\\u0027m\\u0027","n" : 1E400}\n'
    theirs = '{ "type" : "tx", "value": 12345678901234567890123, "ref":"\\u0061", "rate":{"USD": 105621.50 }, '
    theirs += '"fee":-0, "old":1, "mine":1 }\n'
    assert merged(base, mine, theirs) == theirs.replace(
        ', "mine":1 }', ', "label":"\\u0027m\\u0027", "n" : 1E400 }'
    ).replace(', "old":1', "")


def test_a_field_is_written_anew_only_where_its_value_is_new() -> None:
    """Two currencies of one rate make a value that neither side had."""
    base = '{"type":"tx","ref":"a","rate":{"USD":1.10}}\n'
    mine = '{"type":"tx","ref":"a","rate":{"USD":1.20}}\n'
    theirs = '{ "type": "tx", "ref": "a", "rate": { "USD": 1.10, "EUR": 1.00 } }\n'
    assert merged(base, mine, theirs) == '{ "type": "tx", "ref": "a", "rate":{"USD":1.20,"EUR":1.00} }\n'


def test_a_line_that_both_changed_alike_is_theirs() -> None:
    """In their spelling, since it says the same."""
    theirs = '{ "ref": "a", "type": "tx", "label": "new" }'
    assert merged(file(line()), file(line(label="new"), line("m")), file(theirs)) == file(theirs, line("m"))
    mine = '{ "ref": "a", "type": "tx", "label": "x", "n": 1 }'
    assert merged(file(line(label="x")), file(mine), '{"type":"tx" ,"ref":"a","label":"x"}\n') == file(mine)


def test_a_file_written_anew_in_another_spelling_is_no_edit_of_its_records() -> None:
    """Another program's spaces do not fight with the labels given meanwhile."""
    base = sparrow(seed=2, lines=200)
    mine = file(*(json.dumps(json.loads(each), ensure_ascii=False) for each in base.splitlines()))
    theirs = edited(base, seed=3, edits=40, lines=range(200))
    result = merged(base, mine, theirs)
    assert [json.loads(each) for each in result.splitlines()] == [json.loads(each) for each in theirs.splitlines()]


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "result"),
    [
        pytest.param("A\nB\n", "A\nB\nM\n", "A\r\nB\r\n", "A\r\nB\r\nM\r\n", id="their line ends"),
        pytest.param("A\r\nB\r\n", "A\nB1\n", "A1\r\nB\r\n", "A1\r\nB1\r\n", id="their line ends in a changed line"),
        pytest.param("A\n", "\n\nA\n\nM", "A\n\nT\n\n\n", "A\n\nT\nM\n\n\n", id="their blank lines"),
        pytest.param("A\n", "A\nM\n", "A\nT", "A\nT\nM\n", id="a last line without an end gets one"),
        pytest.param("A\nB", "A\nB1", "A1\nB", "A1\nB1", id="a last line without an end stays so"),
        pytest.param("A\nB", "A\nM", "A1\nB", "A1\nM\n", id="a last line that is deleted"),
        pytest.param("A\n", "M\n", "", "M\n", id="an empty file"),
        pytest.param("A\n", "M\nN", "\n\n", "M\nN\n\n\n", id="blank lines only"),
        pytest.param("", "M\r\n", "T", "T\nM\n", id="one line is no line end to follow"),
    ],
)
def test_layout_is_theirs(base: str, mine: str, theirs: str, result: str) -> None:
    """Blank lines and line ends are no edits; what I added comes after their last record."""
    sides = [drawn(side) for side in (base, mine, theirs)]
    assert merged(*sides) == drawn(result)


def drawn(picture: str) -> str:
    """Return a file for a picture of it: a capital is a record, with a field if 1 follows."""

    def record(found: re.Match[str]) -> str:
        return line(found[1].lower(), n=1) if found[2] else line(found[1].lower())

    return re.sub("([A-Z])(1?)", record, picture)


def test_records_of_one_key_stay_where_they_are() -> None:
    """Also if others stand between them, and one more of them comes or goes."""
    x1, x2, x3 = (line(origin=f"o{n}") for n in (1, 2, 3))
    base = file(x1, line("b"), x2, line("c"))
    mine = file(line(origin="o1", label="m"), line("b"), x2, line("c"), x3)
    theirs = file(x1, line("b"), x2, line("c", n=1))
    assert merged(base, mine, theirs) == file(line(origin="o1", label="m"), line("b"), x2, x3, line("c", n=1))
    assert merged(base, file(x2, line("b"), line("c")), theirs) == file(x2, line("b"), line("c", n=1))


def deep(levels: int) -> list[Any]:
    return [deep(levels - 1)] if levels else []


DOCUMENT = file(
    line("a", label="x", rate={"USD": 1}),
    line("o", origin="o1", n=1),
    line("o", origin="o2"),
    line("d", n=1),
    line("d", n=2),
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), DOCUMENT),
        (("tx",), MISSING),
        ((Item("type", "tx"), "a"), MISSING),
        (("addr", "a"), MISSING),
        (("tx", "a"), {"type": "tx", "ref": "a", "label": "x", "rate": {"USD": 1}}),
        (("tx", "a", "label"), "x"),
        (("tx", "a", "rate", "USD"), 1),
        (("tx", "a", "other"), MISSING),
        (("tx", "a", Item("origin", "o1")), MISSING),
        (("tx", "o", Item("origin", "o1"), "n"), 1),
        (("tx", "o", "n"), MISSING),
        (("tx", "d"), [{"type": "tx", "ref": "d", "n": 1}, {"type": "tx", "ref": "d", "n": 2}]),
        (("tx", "d", "n"), MISSING),
    ],
)
def test_value_at_finds_what_is_at_a_path_or_missing(path: Any, value: Any) -> None:
    """The file, a record, several records, or a field."""
    assert LABELS.value_at(DOCUMENT, path) == value


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        pytest.param(("tx", "a", "label"), "y", '"label":"x"', '"label":"y"', id="a field"),
        pytest.param(("tx", "a", "n"), 1, "}}", '},"n":1}', id="a field that is new"),
        pytest.param(("tx", "a", "label"), MISSING, '"label":"x",', "", id="a field deleted"),
        pytest.param(("tx", "a"), MISSING, DOCUMENT.splitlines()[0] + "\n", "", id="a record deleted"),
        pytest.param(("tx", "o", Item("origin", "o1"), "n"), 2, '"o1","n":1', '"o1","n":2', id="by origin"),
        pytest.param(("tx", "o", Item("origin", "o2")), MISSING, line("o", origin="o2") + "\n", "", id="an origin"),
        pytest.param(("tx", "d"), {"type": "tx", "ref": "d", "n": 3}, line("d", n=1) + "\n" + line("d", n=2),
            line("d", n=3), id="one for two"),
        pytest.param(("tx", "gone", "label"), MISSING, "", "", id="nothing to delete"),
        pytest.param(("tx", "gone"), MISSING, "", "", id="no record to delete"),
    ],
)  # fmt: skip
def test_replace_changes_one_place_and_no_other_byte(path: Any, value: Any, old: str, new: str) -> None:
    """So a program can edit a label, and a person decide a conflict."""
    assert LABELS.replace(DOCUMENT, path, value) == DOCUMENT.replace(old, new, 1)


def test_replace_appends_records_that_are_missing() -> None:
    """With type and ref, as one line, or several."""
    assert LABELS.replace("", ("addr", "bc1q", "label"), "工资") == '{"type":"addr","ref":"bc1q","label":"工资"}\n'
    assert LABELS.replace(DOCUMENT, ("addr", "a"), json.loads(line("a", "addr"))) == DOCUMENT + file(line("a", "addr"))
    two = [json.loads(line(origin=each)) for each in "op"]
    assert LABELS.replace("\r\n", ("tx", "a"), two) == f"{line(origin='o')}\r\n{line(origin='p')}\r\n\r\n"
    named = LABELS.replace("", ("tx", "a", Item("origin", "o"), "label"), "x")
    assert json.loads(named) == {"type": "tx", "ref": "a", "origin": "o", "label": "x"}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("tx",), {}, "/tx is not a place in a label file"),
        ((Item("type", "tx"), "a"), {}, "is not a place in a label file"),
        (("tx", "a"), {"type": "tx", "ref": "b"}, "/tx/a has to be an object that keeps this type and ref"),
        (("tx", "a"), {"type": "tx"}, "/tx/a has to be an object"),
        (("tx", "a"), "secret", "/tx/a has to be an object"),
        (("tx", "a"), [[]], "/tx/a has to be an object"),
        (("tx", "a", "ref"), MISSING, "/tx/a has to be an object"),
        (("tx", "a", "type"), "addr", "/tx/a has to be an object"),
        (("tx", "a", "label", "deeper"), 1, "/tx/a/label is not an object"),
        (("tx", "d", "label"), "secret", "/tx/d is not an object"),
        (("tx", "d", Item("origin", "o"), "n"), 1, "/tx/d is not a list of objects told apart by 'origin'"),
        (("tx", "o", Item("origin", "o1")), {"type": "tx", "ref": "o", "origin": "secret"}, "keeps origin=o1"),
        (("tx", "a", "label"), ("secret",), "cannot be stored in a label file"),
        (("tx", "a", "label"), {1: "secret"}, "cannot be stored in a label file"),
        (("tx", "a", "label"), {1}, "cannot be stored in a label file"),
        (("tx", "a", "label"), float("nan"), "cannot be stored in a label file"),
        (("tx", "a", "label"), "\ud800", "cannot be stored in a label file"),
        (("tx", "a", "label"), deep(MAX_DEPTH), f"at most {MAX_DEPTH} levels of nesting"),
        ((), MISSING, "A label file is text"),
    ],
)
def test_replace_refuses_what_a_label_file_cannot_hold(path: Any, value: Any, says: str) -> None:
    """The sentence tells where, and quotes nothing."""
    with pytest.raises(DocumentError, match=says) as caught:
        LABELS.replace(DOCUMENT, path, value)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("make", [sparrow, spaced])
def test_files_of_real_size_merge_line_by_line(make: Any) -> None:
    """5,000 lines, about a megabyte from Sparrow; a hundred edits a side in different places; not one byte else."""
    base = make(seed=7, lines=5000)
    mine = edited(base, seed=8, edits=100, lines=range(2500))
    theirs = edited(base, seed=9, edits=100, lines=range(2500, 5000))
    before, ours, others, both = (side.splitlines() for side in (base, mine, theirs, merged(base, mine, theirs)))
    gone = (set(before) - set(ours)) | (set(before) - set(others))
    assert set(both) == (set(ours) | set(others)) - gone
    assert len(gone) == 160
    old = set(before)
    kept = [each for each in both if each in old]
    assert kept == [each for each in before if each not in gone]
    if make is sparrow:
        assert 900_000 < len(base.encode()) < 1_400_000


def test_conflicts_in_files_of_real_size_are_told_one_by_one() -> None:
    """Each names the label, and deciding all of them for mine leaves the rest of theirs."""
    base = spaced(seed=7, lines=5000)
    records = [json.loads(each) for each in base.splitlines()[:3]]
    mine, theirs = (
        file(*(json.dumps(r | {"label": who}) for r in records), *base.splitlines()[3:]) for who in ("m", "t")
    )
    result: Merged[str] = LABELS.merge(base, mine, theirs)
    assert result.document == theirs
    assert [c.path for c in result.conflicts] == [(r["type"], r["ref"], "label") for r in records]
    decided = result.document
    for conflict in result.conflicts:
        decided = LABELS.replace(decided, conflict.path, conflict.mine)
    assert [json.loads(each) for each in decided.splitlines()] == [json.loads(each) for each in mine.splitlines()]


def test_records_never_share_a_line() -> None:
    """A second record of a key goes to a line of its own, also behind a last line that ends with blanks only."""
    one = '{"type":"tx","ref":"a","origin":"o1"}'
    two = '{"type":"tx","ref":"a","origin":"o2"}'
    merged = LABELS.merge(f"{one}\n", f"{one}\n{two}\n", f"{one} ")
    assert merged.document == f"{one}\n{two} "
    assert LABELS.decode(LABELS.encode(merged.document)) == merged.document
