"""Electrum's file as a view of a label file: what is in it, what comes of its edits, and what stays beside it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from walletsync.errors import DocumentError
from walletsync.formats.electrum import ElectrumFormat

FORMAT = ElectrumFormat()
TX, ADDRESS = "ab" * 32, "bc1qexample"
SPARROW = (
    f'{{"height":1,"type":"tx","ref":"{TX}","label":"rent","origin":"wpkh([d34db33f/84h])"}}\n'
    f'{{"type":"output","ref":"{TX}:0","label":"change","spendable":false}}\n'
)
SEVERAL = "".join(f'{{"type":"addr","ref":"{ADDRESS}","label":"{label}"}}\n' for label in ("a", "b"))


def file_of(labels: dict[str, str]) -> bytes:
    return json.dumps(labels, indent=4, sort_keys=True).encode()


def view_of(labels: dict[str, str]) -> str:
    return FORMAT.from_file(file_of(labels), "")


def edited(document: str, before: dict[str, str], after: dict[str, str]) -> str:
    """Return what becomes of a document when Electrum edits its labels."""
    merged = FORMAT.merge(view_of(before), view_of(after), document)
    assert merged.conflicts == ()
    return merged.document


def test_file_has_labels_of_transactions_and_addresses() -> None:
    """As Electrum writes one: four spaces, in order, ASCII."""
    document = (
        SPARROW + f'{{"type":"addr","ref":"{ADDRESS}","label":"Zürich"}}\n{{"type":"tx","ref":"b","label":" "}}\n'
    )
    assert FORMAT.to_file(document, b"") == file_of({TX: "rent", ADDRESS: "Zürich"})
    assert FORMAT.to_file("", b"") == b"{}"


def test_file_that_says_the_same_stays_as_it_is() -> None:
    """To the byte, in whatever layout."""
    over = f'{{"{TX}":"rent"}}\n'.encode()
    assert FORMAT.to_file(SPARROW, over) == over
    assert FORMAT.unreadable(over) == ()


def test_label_that_is_gone_is_an_empty_one() -> None:
    """Electrum's import deletes it by that; and takes a space for a line break, so the file has one."""
    document = f'{{"type":"addr","ref":"{ADDRESS}","label":"two\\nlines"}}\n'
    assert FORMAT.to_file(document, file_of({TX: "rent"})) == file_of({TX: "", ADDRESS: "two lines"})
    assert view_of({TX: "", ADDRESS: " "}) == ""


def test_label_changes_within_its_record() -> None:
    """All else stays, to the byte where nothing changed."""
    document = edited(SPARROW, {TX: "rent"}, {TX: "rent, May"})
    assert document == SPARROW.replace('"rent"', '"rent, May"')


def test_label_is_taken_away_from_its_record() -> None:
    """What Electrum does not know stays; a record of which nothing is left goes."""
    document = SPARROW + f'{{"type":"addr","ref":"{ADDRESS}","label":"landlord"}}\n'
    assert edited(document, {TX: "rent", ADDRESS: "landlord"}, {}) == SPARROW.replace(',"label":"rent"', "")


def test_record_without_a_label_says_nothing() -> None:
    """Such as what the rule at the edge leaves of one that is gone."""
    assert FORMAT.merge(f'{{"type":"tx","ref":"{TX}"}}\n', "", SPARROW).document == SPARROW


def test_new_label_is_a_new_record() -> None:
    """Behind the others."""
    document = edited(SPARROW, {TX: "rent"}, {TX: "rent", ADDRESS: "landlord"})
    assert document == SPARROW + f'{{"type":"addr","ref":"{ADDRESS}","label":"landlord"}}\n'


def test_several_labels_of_an_address_are_not_electrums() -> None:
    """It could hold one only. Its own is one more; one of theirs is no news."""
    assert FORMAT.to_file(SEVERAL, b"") == b"{}"
    assert edited(SEVERAL, {}, {ADDRESS: "a"}) == SEVERAL
    assert edited(SEVERAL, {}, {ADDRESS: "c"}) == SEVERAL + SEVERAL.splitlines()[0].replace('"a"', '"c"') + "\n"


def test_same_label_twice_is_one() -> None:
    """Two programs that know the same."""
    document = SEVERAL.replace('"b"', '"a"')
    assert FORMAT.to_file(document, b"") == file_of({ADDRESS: "a"})


def test_both_changed_is_a_conflict_in_the_label() -> None:
    """The document has theirs."""
    merged = FORMAT.merge(view_of({TX: "tax"}), view_of({TX: "flat"}), SPARROW)
    (conflict,) = merged.conflicts
    assert (conflict.path, conflict.mine, conflict.theirs) == (("tx", TX, "label"), "flat", "rent")
    assert merged.document == SPARROW


@pytest.mark.parametrize("data", [b"[]", b'{"a": 1}', b'{"a": ', b'{"a": "b", "a": "c"}', b"\xff"])
def test_other_files_are_refused(data: bytes) -> None:
    """The error names the place, and holds nothing that stands there."""
    with pytest.raises(DocumentError):
        FORMAT.from_file(data, "")


refs = st.sampled_from([TX, "cd" * 32, ADDRESS, "bc1qother"])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1).filter(str.strip)
labels = st.dictionaries(refs, texts)


@examples(100)
@given(labels, labels)
def test_what_electrum_wrote_is_in_its_file_again(before: dict[str, str], after: dict[str, str]) -> None:
    """Whatever it edits, in a document that has more: the file then says what it wrote."""
    document = edited(edited(SPARROW, {TX: "rent"}, before), before, after)
    assert json.loads(FORMAT.to_file(document, b"")) == after
    assert SPARROW.splitlines()[1] in document
