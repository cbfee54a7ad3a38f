"""What a program's write of a file means, case by case, and for any documents: `walletsync.edge`."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from walletsync import edge
from walletsync.edge import Judged, Known, Limit, after_put, judge, much_lost, still_other
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import JSONFormat
from walletsync.memory import Memory, remembered
from walletsync.merge import MISSING, Conflict, Item, Path

LABELS, ENTRIES, KEYED = BIP329Format(), JSONFormat(), JSONFormat({"/list": "id"})
Values = dict[str, Any]
LIMIT = Limit()


def labels(**of: Any) -> str:
    """Return a file of records, `a="rent"` for a label, a dict for other fields."""
    lines = [
        {"type": "tx", "ref": ref} | (value if isinstance(value, dict) else {"label": value})
        for ref, value in of.items()
    ]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def known(*states: str) -> Known[str]:
    """Return what is known of a file that a program wrote, and in which more was put."""
    now = Known(states[0])
    for state in states[1:]:
        now = after_put(LABELS, now, state)
    return now


def judged(of: Known[str], written: str, document: str | None = None, limit: Limit | None = LIMIT) -> Judged[str]:
    return judge(LABELS, of, written, of.now if document is None else document, limit)


def at(ref: str, field: str = "label") -> Path:
    return ("tx", ref, field)


P = labels(a="rent", b="car")
S = labels(a="rent, May", b="car")


def test_what_a_program_saves_from_memory_reverts_nothing() -> None:
    """It has nothing of what was put: the other laptop's label stays, its new one is added, and the old is listed."""
    found = judged(known(P, S), labels(a="rent", b="car", c="coffee"))
    assert found == Judged(labels(a="rent, May", b="car", c="coffee"), (), {at("a"): "rent"}, had=found.had)


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (10, 10, (0, 0)),
        (10, 5, (0, 0)),
        (10, 4, (6, 10)),
        (100, 90, (0, 0)),
        (100, 89, (11, 100)),
        (3, 0, (3, 3)),
        (0, 3, (0, 0)),
    ],
)
def test_how_much_a_decision_may_take_away_is_what_a_write_may(before: int, after: int, lost: tuple[int, int]) -> None:
    """More than a handful and a tenth, and the last one, have to be confirmed."""
    document, left = (dict.fromkeys(map(str, range(number)), 1) for number in (before, after))
    assert much_lost(ENTRIES, document, left, LIMIT) == lost


def test_without_a_put_it_is_an_edit_as_ever() -> None:
    """Changed, added and deleted."""
    found = judged(known(P), labels(a="rent, June", c="coffee"))
    assert (found.document, found.conflicts) == (labels(a="rent, June", c="coffee"), ())


def test_what_is_taken_back_by_one_who_has_read_it_is_asked_about() -> None:
    """It has some of the news, and has the rest as it wrote that before: all three values, and the document stays."""
    of = known(P, labels(a="rent, May", b="bike"))
    found = judged(of, labels(a="rent", b="bike"))
    assert found.conflicts == (Conflict(at("a"), "rent, May", "rent", "rent, May"),)
    assert (found.document, found.earlier) == (of.now, {})
    assert judged(of, labels(a="rent", b="bike"), labels(a="rent", b="bike")).conflicts == ()  # as it is there already


def test_an_edit_by_one_who_has_read_the_news_is_no_conflict() -> None:
    """Also in the very place that the news was about."""
    of = known(P, labels(a="rent, May", b="bike"))
    found = judged(of, labels(a="rent, June", b="bike"))
    assert (found.document, found.conflicts) == (labels(a="rent, June", b="bike"), ())
    unread = judged(of, labels(a="rent, June", b="car"))
    assert unread.conflicts == (Conflict(at("a"), "rent", "rent, June", "rent, May"),)
    part = judged(known(P, labels(a="rent, May", b="bike", c="x")), labels(a="rent, June", b="car", c="x"))
    assert set(part.conflicts) == {
        Conflict(at("a"), "rent", "rent, June", "rent, May"),
        Conflict(at("b"), "bike", "car", "bike"),
    }


def test_what_was_read_of_an_earlier_put_shows_nothing_of_a_later_one() -> None:
    """The base is what the program has read last: what came since then meets its edit."""
    of = known(P, labels(a="rent", b="bike"), labels(a="rent, May", b="bike"))
    found = judged(of, labels(a="rent, June", b="bike"))
    assert found.conflicts == (Conflict(at("a"), "rent", "rent, June", "rent, May"),)
    stale = judged(of, labels(a="rent", b="bike", c="coffee"))
    assert (stale.document, stale.earlier) == (labels(a="rent, May", b="bike", c="coffee"), {at("a"): "rent"})


def test_news_that_is_in_the_file_again_shows_nothing() -> None:
    """A program that wrote half of its file, and then all of it, has its own label, not the one that was put."""
    whole = labels(a="rent", b="car")
    half = judged(known(whole), labels(b="car"))
    again = after_put(LABELS, Known(labels(b="car"), had=half.had), labels(a="rent", b="bike"))
    found = judged(again, labels(a="rent", b="boat"))
    assert found.conflicts == (Conflict(at("b"), "car", "boat", "bike"),)


def test_a_program_cannot_delete_what_it_never_had() -> None:
    """An export of what is in its own wallet, also one that shows that the file was read."""
    of = known(labels(a="rent"), labels(a="rent, May", b="car"))
    found = judged(of, labels(a="rent, May"))
    assert (found.document, found.conflicts) == (of.now, ())
    assert found.earlier == {at("b"): MISSING, at("b", "type"): MISSING}
    assert judged(known(of.now), labels(a="rent, May")).document == labels(a="rent, May")


def test_a_field_is_cleared_by_absence_only_where_the_program_had_it() -> None:
    """A frozen coin, as an example: `spendable` is left out both by who thaws it and by who never froze it."""
    frozen, plain = labels(a={"label": "x", "spendable": False}), labels(a={"label": "x"})
    assert judged(known(frozen), plain).document == plain
    of = known(plain, labels(a={"label": "y", "spendable": False}))
    assert judged(of, labels(a={"label": "y"})).document == of.now


def test_a_deleted_label_stays_deleted_though_a_program_exports_it_again() -> None:
    """What is gone is not taken over by an import, so to have it still is no edit; to change it is."""
    of = known(labels(a="rent", b="car"), labels(a={}, b="bike"))
    found = judged(of, labels(a="rent", b="bike"))
    assert (found.document, found.conflicts, found.earlier) == (of.now, (), {at("a"): "rent"})
    edited = judged(of, labels(a="rent, June", b="bike"))
    assert edited.conflicts == (Conflict(at("a"), "rent", "rent, June", MISSING),)


def test_a_deleted_record_stays_deleted_though_prices_have_changed() -> None:
    """What each program works out for itself is no edit, neither of a record nor of a deletion."""
    old, new = {"label": "x", "rate": 1}, {"label": "x", "rate": 2}
    of = known(labels(a=old, b="car"), labels(b="bike"))
    found = judged(of, labels(a=new, b="bike"))
    assert (found.document, found.conflicts) == (of.now, ())
    elsewhere = judged(known(labels(a={"label": "x"}, b="car"), labels(a=new, b="car")), labels(b="car"))
    assert (elsewhere.document, elsewhere.conflicts) == (labels(b="car"), ())


MANY = {f"r{number:02}": f"label {number}" for number in range(40)}


@pytest.mark.parametrize(("left", "is_held"), [(39, False), (35, False), (34, True), (1, True), (0, True)])
def test_a_write_that_takes_away_much_is_held(left: int, is_held: bool) -> None:
    """More than a handful and more than a tenth: the document keeps that, and takes the rest of the edits."""
    kept = dict(list(MANY.items())[:left])
    found = judged(known(labels(**MANY)), labels(**kept, new="coffee"))
    assert found.document == (labels(**MANY, new="coffee") if is_held else labels(**kept, new="coffee"))
    assert bool(found.held) == is_held
    assert found.lost == ((40 - left, 40) if is_held else (0, 0))
    assert judged(known(labels(**MANY)), labels(**kept, new="coffee"), limit=None).document == labels(
        **kept, new="coffee"
    )


def test_a_tenth_of_much_is_no_more_than_a_tenth() -> None:
    """Of four hundred, forty may go; the limit can be another one."""
    all_of_them = {f"r{number:03}": f"label {number}" for number in range(400)}
    left = dict(list(all_of_them.items())[40:])
    assert not judged(known(labels(**all_of_them)), labels(**left)).held
    assert judged(known(labels(**all_of_them)), labels(**left), limit=Limit(5, 9)).lost == (40, 400)
    assert not judged(known(labels(**MANY)), labels(r00="label 0"), limit=Limit(100, 10)).held
    assert not judged(known(labels(**MANY)), labels(r00="label 0"), limit=Limit(5, 100)).held


def test_labels_that_are_blank_are_taken_away_as_well() -> None:
    """As by a program that has lost them and exports every record."""
    blank = dict.fromkeys(MANY, " ")
    found = judged(known(labels(**MANY)), labels(**blank))
    assert (found.document, found.lost) == (labels(**MANY), (40, 40))


@pytest.mark.parametrize("written", ["", labels(a={}, b={})])
def test_the_first_file_of_a_fresh_wallet_is_held(written: str) -> None:
    """Two are no mass, but nothing is left, though this program never had anything of it; a person can confirm."""
    of = known("", P)
    found = judged(of, written)
    assert (found.document, found.lost) == (P, (2, 2))
    assert not LABELS.contents(judged(of, written, limit=None).document)
    waits = Known(written, held=found.held)
    assert judged(waits, written, P).lost == (2, 2)
    assert not LABELS.contents(judged(waits, written, P, limit=None).document)
    assert judged(known("", labels(a={})), written, labels(a={})).held == {}  # there was nothing to lose


@pytest.mark.parametrize("before", ["", "as it is"])
def test_labels_of_records_that_nothing_tells_apart_are_held_as_well(before: str) -> None:
    """They are one place, of which something is left; it is held all the same, and goes on being held."""
    full = several(("x", None), ("y", None))
    of = known("", full) if not before else known(full)
    found = judged(of, several((None, None)))
    assert (found.document, found.lost, found.held.keys()) == (full, (1, 1), {("tx", "a"): 0}.keys())
    waits = Known(several((None, None)), held=found.held)
    later = judged(waits, several((None, None)) + labels(b="car"), full)
    assert (later.document, later.lost) == (full + labels(b="car"), (1, 1))


def test_what_is_held_goes_on_being_held() -> None:
    """Until somebody has decided, whatever else the program writes; what it writes there meets what was there."""
    first = judged(known(P), labels(a={}, b={}))
    waits = Known(labels(a={}, b={}), held=first.held)
    later = judged(waits, labels(a={}, b="boat"), P)
    assert (later.document, later.lost) == (P, (1, 2))
    assert later.conflicts == (Conflict(at("b"), MISSING, "boat", "car"),)
    assert judged(waits, P, P) == Judged(P, had=judged(waits, P, P).had)
    gone = judged(waits, labels(a={}, b={}), labels(a={}, b={}))
    assert (gone.held, gone.lost) == ({}, (0, 0))


def test_what_is_earlier_leaves_the_list_by_itself() -> None:
    """Once the program writes what the document has, or something else; not while it is as before."""
    of = Known(P, earlier={at("a"): "rent"})
    assert judged(of, labels(a="rent", b="car", c="x"), S).earlier == {at("a"): "rent"}
    assert judged(of, S, S).earlier == {}
    assert judged(of, labels(a="rent, July", b="car"), S).earlier == {}


def test_what_is_earlier_is_shown_as_far_as_it_is() -> None:
    """The document may have it by now, or no place for it any more."""
    earlier = {at("a"): "rent", at("b"): "bike"}
    assert still_other(LABELS, S, earlier) == earlier
    assert still_other(LABELS, P, earlier) == {at("b"): "bike"}
    assert still_other(LABELS, S + labels(a="another"), earlier) == {at("b"): "bike"}


def test_a_program_that_reads_a_file_takes_over_what_is_gone() -> None:
    """So do those of JSON: what is back is then asked about, and an item of a list is one place."""
    of = after_put(KEYED, Known({"a": "x", "b": "y", "list": [{"id": 1}, {"id": 2}]}), {"b": "z", "list": [{"id": 1}]})
    found = judge(KEYED, of, {"a": "x", "b": "z", "list": [{"id": 1}, {"id": 2}]}, of.now, Limit())
    assert found.document == of.now
    assert {each.at: (each.base, each.mine) for each in found.conflicts} == {
        "/a": (MISSING, "x"),
        "/list/id=2": (MISSING, {"id": 2}),
    }


def several(*of: tuple[str | None, str | None]) -> str:
    """Return a file of records of one transaction: label and origin of each."""
    records = [{"type": "tx", "ref": "a", "label": label, "origin": origin} for label, origin in of]
    return "".join(f"{json.dumps(record)}\n" for record in records)


def test_records_that_origins_tell_apart_are_places_of_their_own() -> None:
    """One is relabelled in memory, of the other one there are news, and a third one is new."""
    of = known(several(("x", "o1"), ("y", "o2")), several(("x", "o1"), ("z", "o2")))
    found = judged(of, several(("X", "o1"), ("y", "o2"), ("new", "o3")))
    assert found.document == several(("X", "o1"), ("z", "o2"), ("new", "o3"))
    assert found.earlier == {("tx", "a", Item("origin", "o2"), "label"): "y"}
    later = judged(after_put(LABELS, of, several(("x", "o1"))), several(("x", "o1"), ("z", "o2")))
    assert later.document == several(("x", "o1"))


def test_records_that_nothing_tells_apart_are_one_place() -> None:
    """What was put is there as a whole, or not at all."""
    old, new = several(("x", None), ("y", None)), several(("x", None), ("z", None))
    found = judged(known(old + labels(b="car"), new + labels(b="car")), old + labels(b="car", c="coffee"))
    assert (found.document, set(found.earlier)) == (new + labels(b="car", c="coffee"), {("tx", "a")})
    read = judged(known(old + labels(b="car"), new + labels(b="bike")), new + labels(b="car", c="coffee"))
    assert [each.mine for each in read.conflicts] == ["car"]
    alone = judged(known(several(("x", None)), new), several(("x", None)))
    assert alone.document == new


def test_a_record_is_one_as_long_as_it_says_something() -> None:
    """Without its type it goes, but for what a person gave it."""
    for text, left in ((labels(a="x"), labels(a="x")), (labels(a={"height": 1, "origin": "o"}), "")):
        assert LABELS.with_values(text, {at("a", "type"): MISSING}) == left


def test_a_conflict_is_told_once() -> None:
    """What was taken back inside of what is a conflict already is not another one."""
    of = known(labels(a={"label": "x", "n": 1}, b="car"), labels(a={"label": "y", "n": 1}, b="bike"))
    found = judged(of, labels(a={"label": "x", "n": 2}, b="bike"), labels(b="bike"))
    assert [each.path for each in found.conflicts] == [("tx", "a")]


def test_of_many_puts_the_oldest_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered stays small, and a program that has read one of them loses nothing."""
    states = [labels(a=f"a {number}", b=f"b {number // 3}") for number in range(60)]
    of = known(P, *states)
    assert len(of.puts) <= edge.MAX_PUTS
    for state in states[:57]:  # the last ones have the same b
        found = judged(of, state.replace('"b ', '"mine of '))
        assert found.conflicts or found.document == of.now
    stale = judged(of, labels(a="rent", b="car", c="x"))
    assert stale.document == labels(a="a 59", b="b 19", c="x")
    monkeypatch.setattr(edge, "MAX_MARKS", 10)
    assert len(known(P, *states).had) == 10
    fresh = known("", *states)
    assert judged(fresh, labels(c="x")).document == states[-1] + labels(c="x")
    assert judged(fresh, labels(a="rent")).conflicts == (Conflict(at("a"), MISSING, "rent", "a 59"),)


def test_layout_is_no_news() -> None:
    """A put that changes nothing but lines that are blank leaves nothing to read."""
    assert after_put(LABELS, Known(P), P + "\n").puts == ()


VALUES: list[dict[Path, Any]] = [
    {at("a"): "rent", at("b"): MISSING, ("tx", "c", Item("origin", "o"), "label"): {"x": [1, 1.5]}},
    {},
]


@pytest.mark.parametrize("values", VALUES)
def test_what_is_remembered_comes_back(values: dict[Path, Any]) -> None:
    """Byte for byte, with every kind of place; what is damaged is refused."""
    puts = edge.Put(None, None), edge.Put(None, frozenset(values)), edge.Put(values, frozenset(values))
    memory = Memory(b"{}\n\xff", puts, values, (1, 2), values, ("00",))
    data = memory.encode()
    assert Memory.decode(data) == memory
    for damaged in (b"", data[: data.index(b"\n")], b"{}\n", b"[]\n", data[1:], data.replace(b"puts", b"past")):
        with pytest.raises(ValueError, match=r"remembered|Expecting|JSON|Extra"):
            Memory.decode(damaged)
    assert remembered(Judged("x", held=values, lost=(1, 2)), b"y") == Memory(b"y", held=values, lost=(1, 2))


REFS = st.sampled_from("abcd")
FIELDS = st.fixed_dictionaries({}, optional={"label": st.sampled_from(["x", "y", "z", ""]), "spendable": st.booleans()})
FILES = st.dictionaries(REFS, FIELDS, max_size=4).map(lambda of: labels(**of))
JSON = st.dictionaries(REFS, st.sampled_from([1, "x", True, {}, {"a": "x"}, {"a": "y", "b": 1}, [1]]), max_size=4)


@examples(100)
@given(st.lists(FILES, min_size=1, max_size=4), FILES, FILES)
def test_whatever_is_written_nothing_is_lost_without_a_word(states: list[str], written: str, document: str) -> None:
    """What the program had not, it does not take away; what it gives is in the document or told; and the same again, as
    after an interruption, changes nothing."""
    _hold(LABELS, states, written, document)


@examples(100)
@given(st.lists(JSON, min_size=1, max_size=4), JSON, JSON)
def test_the_same_holds_for_json(states: list[Values], written: Values, document: Values) -> None:
    """Its places are others, the rule is not."""
    _hold(ENTRIES, states, written, document)


def _hold(format: Any, states: list[Any], written: Any, document: Any) -> None:
    of = Known(states[0])
    for state in states[1:]:
        of = after_put(format, of, state)
    found = judge(format, of, written, document, Limit())
    first, last, mine, theirs, ours = format.differences([states[0], states[-1], written, document, found.document])
    told = [each.path for each in found.conflicts] + [*found.held, *found.earlier]
    for path in theirs.keys() - ours.keys():
        assert path in first or path in found.held or format.is_derived(path) or len(path) == 0
    for path in mine.keys() | last.keys():
        value = mine.get(path, MISSING)
        is_known = any(path[: len(each)] == each or each[: len(path)] == path for each in told)
        if value != last.get(path, MISSING) and path not in found.earlier:
            assert ours.get(path, MISSING) == value or is_known or value == {}  # which an object with entries is, too
    again = judge(format, of, written, found.document, Limit())
    assert format.encode(again.document) == format.encode(found.document)
    assert set(again.conflicts) <= set(found.conflicts)
    assert judge(format, Known(states[-1]), states[-1], document, Limit()).document == document


def test_a_keyed_list_that_was_put_whole_can_be_reordered() -> None:
    """Its items show that it was read, whatever their order; another order is an edit."""
    items = [{"id": each} for each in "abc"]
    of = after_put(KEYED, Known(KEYED.empty()), {"list": items})
    found = judge(KEYED, of, {"list": items[::-1]}, {"list": [*items[:2], {"id": "c", "n": 1}]}, LIMIT)
    assert found.document == {"list": [{"id": "c", "n": 1}, {"id": "b"}, {"id": "a"}]}
