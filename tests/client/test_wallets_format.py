"""A document of several wallets: what `walletsync.formats.wallets` and `one_wallet` promise."""

import json
from typing import Any

import pytest

from walletsync.errors import DocumentError, NotReady, OtherFormat
from walletsync.formats.base import Format
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import JSONFormat
from walletsync.formats.lbry import LBRYFormat
from walletsync.formats.one_wallet import OneWallet
from walletsync.formats.testing import PROMISES, Promise, check, keeps_every_edit, replaces_the_whole, shares_nothing
from walletsync.formats.wallets import WalletsFormat, is_name, names, with_format
from walletsync.merge import MISSING, Conflict, Item, Merged

LABELS = (Item("wallet", "labels"),)
NAMELESS = (Item("wallet", ""),)
SAVINGS = WalletsFormat(JSONFormat(), "savings")


def label(ref: str, text: str) -> str:
    return json.dumps({"type": "tx", "ref": ref, "label": text}, separators=(",", ":")) + "\n"


def labels(*lines: str) -> dict[str, Any]:
    return {"labels": with_format("bip329", "".join(lines))}


def savings(document: dict[str, Any]) -> dict[str, Any]:
    return {"savings": with_format("json", document)}


def nameless(document: dict[str, Any]) -> dict[str, Any]:
    return {"": with_format("json", json.dumps(document, separators=(",", ":")))}


RENT, MAY, COFFEE = label("aa", "rent"), label("aa", "rent, May"), label("bb", "coffee")
ALONE = [
    savings({"a": 1, "b": {"c": [1, 2]}}),
    savings({"a": 2}),
    savings({"a": 1, "n": 2}),
    savings({"b": 5}),
    savings({}),
]
TOGETHER = [
    savings({"a": 1}) | labels(RENT),
    savings({"a": 2}) | labels(MAY, COFFEE),
    labels(COFFEE),
    nameless({"a": 1}),
    savings({}) | nameless({"a": 2}) | {"x": with_format("unknown", "q")},
    savings({}) | nameless({}) | {"x": with_format("unknown", "r")},
    labels("not a label") | {"x": with_format("json", "{}")},
]
REFUSED = [
    b"[]",
    b'{"a":{}}',
    b'{"a":{"format":"json","document":1}}',
    b'{"a":{"format":"json","document":"{}","more":1}}',
    b'{"/":{"format":"json","document":"{}"}}',
    b'{"savings":{"format":"bip329","document":""}}',
    b'{"savings":{"format":"json","document":"[]"}}',
]


def test_a_wallet_merges_as_it_does_alone() -> None:
    check(SAVINGS, ALONE, refused=REFUSED)
    check(WalletsFormat(JSONFormat()), [{"": each["savings"]} for each in ALONE])


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_several_keep_the_promises(promise: Promise) -> None:
    """That every edit is kept is looked at below: to the kit, the text of another wallet is one value."""
    if promise is keeps_every_edit:
        check(SAVINGS, [*ALONE, TOGETHER[0]])
    else:
        promise(SAVINGS, TOGETHER)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_view_keeps_the_promises(promise: Promise) -> None:
    """Of a wallet with a name not the one whose check knows places without one."""
    texts = [RENT, MAY + COFFEE, COFFEE, RENT + label("bb", "tea")]
    if promise not in (replaces_the_whole, shares_nothing):
        promise(OneWallet(BIP329Format(), "bip329"), [{"": with_format("bip329", each)} for each in texts])
        if promise is not keeps_every_edit:
            promise(OneWallet(BIP329Format(), "bip329", "labels"), [labels(each) for each in texts])


def test_other_wallets_are_merged_by_their_own_formats() -> None:
    """As after a server was restored, when a device brings along what it knows of all of them."""
    base, mine, theirs = labels(RENT), labels(RENT, COFFEE), labels(MAY)
    merged = SAVINGS.merge(base, mine, theirs)
    assert merged == Merged(labels(MAY, COFFEE), ())
    merged = SAVINGS.merge(base, labels(label("aa", "rent, June")), theirs)
    (conflict,) = merged.conflicts
    assert conflict == Conflict((*LABELS, "tx", "aa", "label"), "rent", "rent, June", "rent, May")
    assert SAVINGS.value_at(merged.document, conflict.path) == "rent, May"
    decided = SAVINGS.replace(merged.document, conflict.path, conflict.mine)
    assert decided == labels(label("aa", "rent, June"))


@pytest.mark.parametrize(
    ("base", "mine", "theirs"),
    [
        (labels(RENT), {}, labels(MAY)),
        (labels(RENT), labels(MAY), {}),
        ({}, labels(RENT), {"labels": with_format("json", "{}")}),
        ({}, {"labels": with_format("unknown", "a")}, {"labels": with_format("unknown", "b")}),
        ({}, labels("broken"), labels(RENT)),
        ({}, labels(RENT), labels("broken")),
    ],
)
def test_wallets_that_have_no_merge_are_one_conflict(base: Any, mine: Any, theirs: Any) -> None:
    """Deleted against edited, of two formats, of one that is unknown here, or of a broken program: nothing is lost."""
    merged = SAVINGS.merge(base, mine, theirs)
    sides = [each.get("labels", MISSING) for each in (base, mine, theirs)]
    assert merged == Merged(theirs, (Conflict(LABELS, *sides),))
    assert SAVINGS.replace(merged.document, LABELS, sides[1]) == mine


def test_a_base_of_another_format_counts_as_an_empty_one() -> None:
    base = {"labels": with_format("json", "{}")}
    assert SAVINGS.merge(base, labels(RENT), labels(COFFEE)).document == labels(COFFEE, RENT)


class Whole(JSONFormat):
    """Merges nothing in parts."""

    def merge(self, base: Any, mine: Any, theirs: Any) -> Merged[dict[str, Any]]:
        return Merged(theirs, (Conflict((), base, mine, theirs),))


def test_a_wallet_that_is_one_conflict_for_its_format_is_one_here() -> None:
    sides = [savings({"a": number}) for number in range(3)]
    expected = Conflict((Item("wallet", "savings"),), *(each["savings"] for each in sides))
    assert WalletsFormat(Whole(), "savings").merge(*sides).conflicts == (expected,)
    assert OneWallet(Whole(), "json", "savings").merge(*sides).conflicts == (expected,)


def test_a_wallet_alone_and_without_a_name_goes_as_what_it_is() -> None:
    """To any client of its format, and from it."""
    plain: Format[Any] = JSONFormat()
    mine = WalletsFormat(plain)
    document = {"": with_format("json", {"a": 1})}
    assert mine.sent(mine.encode(document)) == ("json", plain.encode({"a": 1}))
    assert mine.decode(mine.received("json", b'{"a":1}')) == document
    beside = SAVINGS.decode(SAVINGS.received("bip329", RENT.encode()))
    assert beside == {"": with_format("bip329", RENT)}
    both = SAVINGS.encode(beside | savings({}))
    assert SAVINGS.sent(both) == ("wallets", both)
    assert SAVINGS.received("wallets", both) == both
    assert names(SAVINGS.decode(both)) == {"": "bip329", "savings": "json"}


def test_what_another_client_sent_is_refused_where_it_is_not_ours() -> None:
    with pytest.raises(OtherFormat, match=r"'bip329'.*'json'") as raised:
        WalletsFormat(JSONFormat()).received("bip329", b"")
    assert raised.value.format == "bip329"
    with pytest.raises(DocumentError, match="not UTF-8 at byte 1"):
        SAVINGS.received("unknown", b"a\xff")
    with pytest.raises(OtherFormat, match=r"The wallet 'savings' of this account holds .* 'lbry'"):
        SAVINGS.decode(b'{"savings":{"format":"lbry","document":"{}"}}')
    with pytest.raises(OtherFormat, match="'another one'"):
        SAVINGS.decode(b'{"savings":{"format":"whatever","document":"{}"}}')


@pytest.mark.parametrize(
    "document",
    [
        [],
        {1: with_format("json", "{}")},
        {"a/b": with_format("json", "{}")},
        {"a": "text"},
        {"a": with_format("json", {})},
        {"savings": with_format("bip329", {})},
        {"savings": with_format("json", [])},
        {"savings": {"document": {}}},
    ],
)
def test_what_is_no_document_is_refused(document: Any) -> None:
    with pytest.raises(DocumentError):
        SAVINGS.encode(document)
    with pytest.raises(DocumentError):
        SAVINGS.replace({}, (), document)


def test_a_place_in_a_wallet_that_is_not_there_is_none_but_in_our_own() -> None:
    """Ours is made; another one's format nobody here knows."""
    assert SAVINGS.replace({}, (Item("wallet", "savings"), "a"), 1) == savings({"a": 1})
    assert SAVINGS.value_at({}, (*LABELS, "tx", "aa", "label")) is MISSING
    with pytest.raises(DocumentError, match="/wallet=labels/tx/aa/label is not a place"):
        SAVINGS.replace({}, (*LABELS, "tx", "aa", "label"), "rent")
    assert SAVINGS.replace(nameless({}), NAMELESS, MISSING) == {}


@pytest.mark.parametrize("name", ["", "a", "savings 2026", "Sparbuch_ä.x-y", 64 * "a"])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", [" ", "a ", "-", "a/b", "a\nb", "a\n", 65 * "a"])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)


LBRY_FILE = {"version": 1, "name": "w", "preferences": {}, "accounts": [{"public_key": "k", "seed": "canary"}]}


def test_a_view_shows_no_secret_of_its_own_or_of_another_wallet() -> None:
    view = OneWallet(LBRYFormat(), "lbry", "coins")
    document = {"coins": with_format("lbry", LBRY_FILE)} | labels(RENT)
    own = (Item("wallet", "coins"),)
    account = (*own, "accounts", Item("public_key", "k"))
    for path in (own, account, (*account, "seed")):
        assert "canary" not in str(view.shown(path, view.value_at(document, path)))
        other = OneWallet(BIP329Format(), "bip329", "labels")
        assert other.shown(path, view.value_at(document, path)) == view.shown(path, view.value_at(document, path))
    assert view.shown(LABELS, document["labels"]) == "(the whole wallet)"
    assert view.shown(LABELS, MISSING) is view.value_at(document, LABELS) is MISSING
    assert view.title(LABELS, MISSING) == "the wallet 'labels'"
    assert view.title(own, MISSING) == "the wallet 'coins'"
    assert OneWallet(JSONFormat(), "json").title(NAMELESS, MISSING) == "the wallet without a name"
    assert view.record_at((*LABELS, "tx", "aa", "label")) == LABELS
    assert view.both(LABELS, 1, 2) is view.both(own, 1, 2) is MISSING
    with pytest.raises(DocumentError, match="/wallet=labels is not a place in the wallet 'coins'"):
        view.with_values(document, {LABELS: MISSING})


def test_a_view_changes_its_own_wallet_alone() -> None:
    view = OneWallet(BIP329Format(), "bip329", "labels")
    document, path = savings({"a": 1}) | labels(RENT), (*LABELS, "tx", "aa", "label")
    assert view.replace(document, path, "rent, May") == savings({"a": 1}) | labels(MAY)
    assert view.value_at(document, ()) == document
    opened = view.opened(document)
    opened.replace(path, "rent, May")
    assert opened.value_at(LABELS) == labels(MAY)["labels"]
    assert view.part(document, savings({"a": 2}) | labels(MAY)) == savings({"a": 1}) | labels(MAY)
    assert view.part(document, savings({"a": 2})) == savings({"a": 1})
    assert view.both(path, "a", "b") == "a / b"
    assert view.unreadable(b"x\n") == BIP329Format().unreadable(b"x\n")
    assert view.to_file(document, b"") == RENT.encode()
    with pytest.raises(NotReady, match="does not have the wallet 'labels'"):
        view.to_file(savings({}), b"")
