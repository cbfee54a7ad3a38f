"""Three-way merge by example: one table row, one test, for each rule."""

import copy
from typing import Any

import pytest

from walletsync.errors import DocumentError, UsageError
from walletsync.merge import MISSING, Conflict, Item, Missing, merge, pointer, replace, same, value_at

BY_ID = {"/accounts": "id", "/accounts/*/labels": "name"}


def exactly(a: Any, b: Any) -> bool:
    """Tell whether two values are equal to the last type and in the order of every entry."""
    return repr(a) == repr(b)


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        pytest.param({"a": 1}, {"a": 1}, {"a": 1}, {"a": 1}, id="nothing changed"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}, id="both changed the same way"),
        pytest.param({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}, id="only they changed it"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, id="only I changed it"),
        pytest.param({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}, id="two entries"),
        pytest.param({}, {"m": 1}, {"t": 1}, {"t": 1, "m": 1}, id="theirs come first, then mine"),
        pytest.param({"a": 1, "b": 1}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2}, id="I deleted one"),
        pytest.param({"a": 1, "b": 1}, {"a": 1, "b": 2}, {"b": 1}, {"b": 2}, id="they deleted one"),
        pytest.param({"a": 1}, {}, {}, {}, id="both deleted it"),
        pytest.param({"a": 1}, {}, {"a": 1, "b": 1}, {"b": 1}, id="deleting beside adding"),
        pytest.param(
            {"o": {"p": {"a": 1, "b": 1}}},
            {"o": {"p": {"a": 2, "b": 1}}},
            {"o": {"p": {"a": 1, "b": 2}}},
            {"o": {"p": {"a": 2, "b": 2}}},
            id="objects inside objects",
        ),
        pytest.param({}, {"o": {"a": 1}}, {"o": {"b": 1}}, {"o": {"b": 1, "a": 1}}, id="both made it"),
        pytest.param({"o": 5}, {"o": {"a": 1}}, {"o": {"b": 1}}, {"o": {"b": 1, "a": 1}}, id="base no object"),
        pytest.param({"a": None}, {"a": None}, {}, {}, id="null is a value, not nothing"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, {"a": [1]}, {"a": [1, 2]}, id="a list, one side"),
        pytest.param(
            {"c": 1, "a": 1},
            {"b": 1, "c": 1, "a": 1},
            {"c": 1, "a": 1},
            {"b": 1, "c": 1, "a": 1},
            id="my order stays if only I changed anything",
        ),
    ],
)
def test_changes_that_fit_together_are_merged_without_a_conflict(
    base: Any, mine: Any, theirs: Any, merged: Any
) -> None:
    """What only one side changed, or both changed alike, needs no decision."""
    result = merge(base, mine, theirs)
    assert exactly(result.document, merged)
    assert result.conflicts == ()


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "path"),
    [
        pytest.param({"a": 1}, {"a": 2}, {"a": 3}, ("a",), id="edit against edit"),
        pytest.param({"a": 1}, {}, {"a": 3}, ("a",), id="I deleted what they edited"),
        pytest.param({"a": 1}, {"a": 2}, {}, ("a",), id="they deleted what I edited"),
        pytest.param({}, {"a": 2}, {"a": 3}, ("a",), id="both added, differently"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, {"a": [1, 3]}, ("a",), id="lists are whole"),
        pytest.param({"a": {}}, {"a": {"b": 1}}, {"a": 5}, ("a",), id="an object against a number"),
        pytest.param({"a": {}}, {"a": [1]}, {"a": {"b": 1}}, ("a",), id="a list against an object"),
        pytest.param({"o": {"a": 1}}, {}, {"o": {"a": 2}}, ("o",), id="I deleted around their edit"),
        pytest.param({"a": 0}, {"a": 1}, {"a": True}, ("a",), id="1 is not true"),
        pytest.param({"a": 0}, {"a": 1}, {"a": 1.0}, ("a",), id="1 is not 1.0"),
        pytest.param({"a": 1}, {"a": True}, {"a": 1.0}, ("a",), id="all three differ in type only"),
        pytest.param({"a": 1}, {"a": 0.0}, {"a": -0.0}, ("a",), id="zero has a sign"),
        pytest.param([1], [1, 2], [1, 3], (), id="the whole document"),
    ],
)
def test_changes_that_exclude_each_other_are_a_conflict_and_theirs_stays(
    base: Any, mine: Any, theirs: Any, path: tuple[str, ...]
) -> None:
    """The document keeps theirs; the conflict holds the place and all three values."""
    result = merge(base, mine, theirs)
    assert exactly(result.document, theirs)
    (conflict,) = result.conflicts
    assert conflict.path == path
    sides = [value_at(side, path) for side in (base, mine, theirs)]
    assert exactly([conflict.base, conflict.mine, conflict.theirs], sides)


def test_a_conflict_does_not_stop_the_other_changes() -> None:
    """Everything else merges, and the conflicts come in the order of the document."""
    result = merge({"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}, {"a": 3, "b": 1, "c": 3, "d": 3})
    assert result.document == {"a": 3, "b": 2, "c": 3, "d": 3}
    assert [conflict.at for conflict in result.conflicts] == ["/a", "/c"]


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        pytest.param([], [{"id": 1}], [{"id": 2}], [{"id": 2}, {"id": 1}], id="theirs, then mine"),
        pytest.param(
            [{"id": 1, "n": 0}, {"id": 2, "n": 0}],
            [{"id": 1, "n": 5}, {"id": 2, "n": 0}],
            [{"id": 2, "n": 7}, {"id": 1, "n": 0}],
            [{"id": 2, "n": 7}, {"id": 1, "n": 5}],
            id="edits meet, in their order",
        ),
        pytest.param(
            [{"id": 1}, {"id": 2}, {"id": 3}],
            [{"id": 3}, {"id": 2}, {"id": 1}, {"id": 4}],
            [{"id": 1}, {"id": 2, "n": 7}, {"id": 5}],
            [{"id": 2, "n": 7}, {"id": 1}, {"id": 4}, {"id": 5}],
            id="in my order, if only I have moved something",
        ),
        pytest.param(
            [{"id": 1}, {"id": 2}],
            [{"id": 2}],
            [{"id": 1}, {"id": 2}, {"id": 3}],
            [{"id": 2}, {"id": 3}],
            id="I deleted one",
        ),
        pytest.param(
            [{"id": 1}, {"id": 2}],
            [{"id": 1}, {"id": 2}, {"id": 3}],
            [{"id": 2}],
            [{"id": 2}, {"id": 3}],
            id="they deleted one",
        ),
        pytest.param(MISSING, [{"id": 1}], [{"id": 2}], [{"id": 2}, {"id": 1}], id="both made it"),
        pytest.param(5, [{"id": 1}], [{"id": 2}], [{"id": 2}, {"id": 1}], id="base is no list"),
        pytest.param(
            [],
            [{"id": 1}, {"id": True}, {"id": "1"}],
            [{"id": 1.0}, {"id": None}, {"id": False}],
            [{"id": 1.0}, {"id": None}, {"id": False}, {"id": 1}, {"id": True}, {"id": "1"}],
            id="keys of different types are different keys",
        ),
        pytest.param(
            [{"id": 1, "labels": []}],
            [{"id": 1, "labels": [{"name": "m"}]}],
            [{"id": 1, "labels": [{"name": "t"}]}],
            [{"id": 1, "labels": [{"name": "t"}, {"name": "m"}]}],
            id="a list with a key inside an item",
        ),
    ],
)
def test_lists_of_objects_merge_by_the_key_of_their_place(base: Any, mine: Any, theirs: Any, merged: Any) -> None:
    """Items are matched by the named field, whatever their positions."""
    documents = [{} if side is MISSING else {"accounts": side} for side in (base, mine, theirs)]
    result = merge(*documents, keys=BY_ID)
    assert exactly(result.document, {"accounts": merged})
    assert result.conflicts == ()


@pytest.mark.parametrize(
    ("mine", "theirs", "merged"),
    [
        pytest.param([{"id": 1, "n": 2}], [{"id": 1, "n": 3}], [{"id": 1, "n": 3}], id="both edited"),
        pytest.param([], [{"id": 1, "n": 3}], [{"id": 1, "n": 3}], id="I deleted, they edited"),
        pytest.param([{"id": 1, "n": 2}], [], [], id="they deleted, I edited"),
    ],
)
def test_a_conflict_in_a_list_names_the_item_by_its_key(mine: Any, theirs: Any, merged: Any) -> None:
    """The path has the item's key where a position would soon be wrong."""
    result = merge({"accounts": [{"id": 1, "n": 0}]}, {"accounts": mine}, {"accounts": theirs}, keys=BY_ID)
    assert result.document == {"accounts": merged}
    (conflict,) = result.conflicts
    assert conflict.path[:2] == ("accounts", Item("id", 1))
    assert conflict.at in ("/accounts/id=1/n", "/accounts/id=1")


@pytest.mark.parametrize("side", [0, 1, 2])
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([{"id": 1}, {"id": 1, "x": 0}], id="a doubled key"),
        pytest.param([{"id": 1}, {"x": 0}], id="a missing key"),
        pytest.param([{"id": 1}, {"id": [1]}], id="a key that is no scalar"),
        pytest.param([{"id": 1}, 5], id="an item that is no object"),
    ],
)
def test_a_list_whose_items_cannot_be_told_apart_is_whole(side: int, broken: Any) -> None:
    """If base, mine or theirs has such a list, a change on both sides is one conflict."""
    sides: list[Any] = [[{"id": 1}], [{"id": 1}, {"id": 2}], [{"id": 1}, {"id": 3}]]
    sides[side] = broken
    result = merge(*({"accounts": value} for value in sides), keys=BY_ID)
    assert exactly(result.document, {"accounts": sides[2]})
    assert [conflict.path for conflict in result.conflicts] == [("accounts",)]


@pytest.mark.parametrize(
    ("keys", "is_keyed"),
    [
        ({"/a/b": "id"}, True),
        ({"/*/b": "id"}, True),
        ({"/a/*": "id"}, True),
        ({"/x": "id", "/*/*": "id"}, True),
        ({"/*/b": "id", "/a/b": "other"}, True),
        ({"/a/b": "other", "/*/b": "id"}, False),
        ({"/a": "id"}, False),
        ({"/b/b": "id"}, False),
        ({"/a/b/*": "id"}, False),
        ({"": "id"}, False),
        ({}, False),
    ],
)
def test_the_first_pointer_that_fits_the_place_gives_the_key(keys: dict[str, str], is_keyed: bool) -> None:
    """A pointer has as many steps as the place; * stands for any one of them."""
    result = merge({"a": {"b": []}}, {"a": {"b": [{"id": 1}]}}, {"a": {"b": [{"id": 2}]}}, keys=keys)
    assert (result.conflicts == ()) is is_keyed


def test_a_pointer_escapes_slash_and_tilde_and_the_empty_one_is_the_top() -> None:
    """A name with ~ or / is written as RFC 6901 says; "" is the document, if that is a list."""
    escaped = merge({"a/~": []}, {"a/~": [{"k": 1}]}, {"a/~": [{"k": 2}]}, keys={"/a~1~0": "k"})
    assert escaped.document == {"a/~": [{"k": 2}, {"k": 1}]}
    assert merge([], [{"k": 1}], [{"k": 2}], keys={"": "k"}).document == [{"k": 2}, {"k": 1}]


@pytest.mark.parametrize("where", ["accounts", "/a~", "/a~2", "*"])
def test_what_is_not_a_pointer_is_refused(where: str) -> None:
    """A mistyped place is an error at once, not a list that is silently whole."""
    with pytest.raises(UsageError, match="write a JSON pointer such as /accounts"):
        merge({}, {}, {}, keys={where: "id"})


NAN = float("nan")


@pytest.mark.parametrize(
    ("a", "b", "is_same"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (0, False, False),
        (0.0, -0.0, False),
        (NAN, float("nan"), True),
        ("1", 1, False),
        (None, MISSING, False),
        (None, False, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {"b": None}, False),
        ({}, [], False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ([[1]], [[1.0]], False),
    ],
)
def test_same_tells_types_apart_and_ignores_the_order_of_entries(a: Any, b: Any, is_same: bool) -> None:
    """JSON's equality, not Python's, and the same from either side."""
    assert same(a, b) is is_same
    assert same(b, a) is is_same


def test_the_result_shares_nothing_with_the_arguments() -> None:
    """Whoever gets a merged document may change it, and its conflicts keep what they hold."""
    base = {"a": {"l": [[0]]}, "c": [0]}
    mine = {"a": {"l": [[0]], "m": [{}]}, "c": [1]}
    theirs = {"a": {"l": [[0]], "t": [{}]}, "c": [2]}
    before = copy.deepcopy((base, mine, theirs))
    result = merge(base, mine, theirs)
    document = result.document
    for changed in (document["a"]["l"][0], document["a"]["m"], document["a"]["t"], document["c"]):
        changed.append("later")
    document["a"]["m"][0]["later"] = document["a"]["t"][0]["later"] = 1
    assert result.conflicts == (Conflict(("c",), [0], [1], [2]),)
    for value in (result.conflicts[0].base, result.conflicts[0].mine, result.conflicts[0].theirs):
        value.append("later")
    assert (base, mine, theirs) == before


def test_a_conflict_reads_well_in_a_notebook() -> None:
    """Its repr has the place as a JSON pointer, and MISSING for what is not there."""
    result = merge({"labels": {"rent": "a"}}, {"labels": {}}, {"labels": {"rent": "b"}})
    assert repr(result.conflicts[0]) == ("Conflict(at='/labels/rent', base='a', mine=MISSING, theirs='b')")
    assert Missing.MISSING is MISSING


def test_a_path_reads_as_a_json_pointer() -> None:
    """Names are escaped as RFC 6901 says; the path of the whole document is empty."""
    assert pointer(("a/b", Item("id", 7), "~", "")) == "/a~1b/id=7/~0/"
    assert pointer(()) == ""


def test_items_of_paths_tell_types_apart() -> None:
    """Two items whose keys differ only in type are two places, also in a set or dict."""
    values: list[Any] = [1, True, 1.0, "1", None, 0.0, -0.0]
    assert len({Item("id", value) for value in values}) == len(values)
    assert Item("id", 1) == Item("id", 1)
    assert Item("id", 1) != Item("key", 1)
    assert Item("id", 1) != "id=1"


DOCUMENT: dict[str, Any] = {
    "o": {"a": 1},
    "n": None,
    "accounts": [{"id": 1, "n": 0}, {"id": 2}],
    "doubled": [{"id": 1}, {"id": 1}],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), DOCUMENT),
        (("o", "a"), 1),
        (("n",), None),
        (("o", "b"), MISSING),
        (("o", "a", "b"), MISSING),
        (("accounts", Item("id", 1), "n"), 0),
        (("accounts", Item("id", True)), MISSING),
        (("accounts", Item("id", 3), "n"), MISSING),
        (("doubled", Item("id", 1)), MISSING),
        (("o", Item("id", 1)), MISSING),
    ],
)
def test_value_at_finds_what_is_at_a_path_or_missing(path: Any, value: Any) -> None:
    """Whatever the document has become, asking is safe."""
    assert same(value_at(DOCUMENT, path), value)


@pytest.mark.parametrize(
    ("path", "value", "place", "result"),
    [
        pytest.param(("o", "a"), 2, "o", {"a": 2}, id="an entry"),
        pytest.param(("o", "b"), 2, "o", {"a": 1, "b": 2}, id="an entry that is new"),
        pytest.param(("o", "a"), MISSING, "o", {}, id="deleted"),
        pytest.param(("o", "b"), MISSING, "o", {"a": 1}, id="deleted before"),
        pytest.param(("new", "a", "b"), 1, "new", {"a": {"b": 1}}, id="parents are made"),
        pytest.param(("new", "a"), MISSING, "new", MISSING, id="no parents only to delete"),
        pytest.param(
            ("accounts", Item("id", 1), "n"),
            5,
            "accounts",
            [{"id": 1, "n": 5}, {"id": 2}],
            id="inside an item",
        ),
        pytest.param(
            ("accounts", Item("id", 1)),
            {"id": 1},
            "accounts",
            [{"id": 1}, {"id": 2}],
            id="an item, where it stands",
        ),
        pytest.param(("accounts", Item("id", 1)), MISSING, "accounts", [{"id": 2}], id="an item deleted"),
        pytest.param(
            ("accounts", Item("id", 3), "n"),
            MISSING,
            "accounts",
            DOCUMENT["accounts"],
            id="an item deleted before",
        ),
        pytest.param(
            ("accounts", Item("id", True)),
            {"id": True},
            "accounts",
            [{"id": 1, "n": 0}, {"id": 2}, {"id": True}],
            id="an item appended",
        ),
        pytest.param(("new", Item("id", 7), "n"), 5, "new", [{"id": 7, "n": 5}], id="list and item are made"),
        pytest.param(("new", Item("id", 7)), MISSING, "new", MISSING, id="no list only to delete"),
    ],
)
def test_replace_puts_a_value_at_a_path_of_a_copy(path: Any, value: Any, place: str, result: Any) -> None:
    """The rest stays as it is, and so does the document that was given."""
    before = copy.deepcopy(DOCUMENT)
    replaced = replace(DOCUMENT, path, value)
    assert exactly(DOCUMENT, before)
    assert exactly(replaced.pop(place, MISSING), result)
    assert replaced == {name: entry for name, entry in DOCUMENT.items() if name != place}


def test_replace_shares_nothing_with_its_arguments() -> None:
    """Neither the document nor the value changes when the result does."""
    document: dict[str, Any] = {"kept": {"a": 1}}
    value: list[Any] = [{}]
    replaced = replace(document, ("new",), value)
    replaced["kept"]["a"] = 2
    replaced["new"][0]["a"] = 2
    assert (document, value) == ({"kept": {"a": 1}}, [{}])
    assert replace(document, (), {"all": "new"}) == {"all": "new"}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("n", "a"), 1, "/n is not an object, so it has no place for 'a'"),
        (("accounts", "0"), 1, "/accounts is not an object"),
        (("o", Item("id", 1)), {"id": 1}, "/o is not a list of objects told apart by 'id'"),
        (("doubled", Item("id", 1)), MISSING, "/doubled is not a list of objects told apart"),
        ((Item("id", 1),), {"id": 1}, "The document itself is not a list of objects"),
        (("accounts", Item("id", 1)), {"id": 2}, "/accounts/id=1 has to be an object that keeps id=1"),
        (("accounts", Item("id", 1)), {"id": True}, "/accounts/id=1 has to be an object"),
        (("accounts", Item("id", 1)), 5, "/accounts/id=1 has to be an object"),
        (("accounts", Item("id", 1), "id"), MISSING, "/accounts/id=1 has to be an object"),
        ((), MISSING, "The whole document cannot be deleted"),
    ],
)
def test_replace_refuses_what_the_document_cannot_hold(path: Any, value: Any, says: str) -> None:
    """The document has changed since the conflict: the sentence tells where, and mine is not lost."""
    with pytest.raises(DocumentError, match=says):
        replace(DOCUMENT, path, value)
