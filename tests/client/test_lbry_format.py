"""The wallet file of the LBRY SDK: the contract of formats, and what it merges by rules of its own."""

import json
from typing import Any

import pytest

from walletsync.errors import DocumentError
from walletsync.formats.lbry import LBRYFormat
from walletsync.formats.testing import PROMISES, check, keeps_every_edit
from walletsync.merge import MISSING, Item

LBRY = LBRYFormat()


def wallet(theme: str = "dark", ts: float = 1, accounts: Any = (), **more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "W",
        "preferences": {"theme": {"value": theme, "ts": ts}},
        "accounts": list(accounts),
        **more,
    }


def account(key: str = "xpubA", **more: Any) -> dict[str, Any]:
    return {"public_key": key, "certificates": {}, **more}


def test_lbry_keeps_the_contract() -> None:
    documents = [
        wallet(accounts=[account(name="n", modified_on=1)]),
        wallet("light", accounts=[account(name="n", modified_on=1), account("xpubB", seed="s")]),
        wallet("auto", accounts=[account(name="n", modified_on=1, certificates={"a": "PEM"})]),
        {"accounts": [], "preferences": {}},
    ]
    refused = [b"", b"[]", b'{"accounts":{}}', b'{"preferences":[]}', b'{"accounts":[{"seed":"s"}]}']
    check(LBRY, documents, refused=[*refused, b'{"accounts":[{"public_key":"a"},{"public_key":"a"}]}'])


@pytest.mark.parametrize("promise", [each for each in PROMISES if each is not keeps_every_edit])
def test_lbry_keeps_the_contract_where_time_decides(promise: Any) -> None:
    """All but that each edit is kept: of two, the program itself keeps the later."""
    promise(
        LBRY,
        [
            wallet(accounts=[account(name="n", modified_on=1)]),
            wallet("light", 2, [account(name="m", modified_on=2.5), account("xpubB")]),
            wallet("auto", 3, [account(modified_on=4, address_generator={"name": "x"})]),
            wallet("auto", True, [account(name="k", modified_on=4, certificates={"a": "PEM"})]),
        ],
    )


@pytest.mark.parametrize(("mine", "theirs", "kept"), [(2, 3, "auto"), (3, 2, "light"), (2.5, 2, "light")])
def test_the_later_preference_counts_and_no_account_is_lost(mine: float, theirs: float, kept: str) -> None:
    """One laptop has made a second account, the other a certificate for the first."""
    base = wallet(accounts=[account()])
    ours = wallet("light", mine, [account(), account("xpubB", seed="words")])
    others = wallet("auto", theirs, [account(certificates={"addr1": "PEM"})])
    merged = LBRY.merge(base, ours, others)
    assert merged.conflicts == ()
    assert merged.document["preferences"]["theme"] == {"value": kept, "ts": max(mine, theirs)}
    assert merged.document["accounts"] == [
        account(certificates={"addr1": "PEM"}),
        account("xpubB", seed="words"),
    ]


def test_equal_times_and_different_values_are_a_conflict_about_the_preference_alone() -> None:
    ours, others = wallet("light", 2, [account("xpubB")]), wallet("auto", 2, [account("xpubC")])
    merged = LBRY.merge(wallet(), ours, others)
    (conflict,) = merged.conflicts
    assert conflict.path == ("preferences", "theme")
    assert conflict.mine == {"value": "light", "ts": 2}
    decided = LBRY.replace(merged.document, conflict.path, conflict.mine)
    assert {each["public_key"] for each in decided["accounts"]} == {"xpubB", "xpubC"}


@pytest.mark.parametrize("is_mine_later", [False, True])
def test_name_and_chains_are_those_of_the_later_account(is_mine_later: bool) -> None:
    times = (5, 4) if is_mine_later else (4, 5)
    base = wallet(accounts=[account(name="n", modified_on=1, address_generator={"name": "single"})])
    mine, theirs = (
        account(name=name, modified_on=time, address_generator={"name": name}, certificates={name: "PEM"})
        for name, time in zip("mt", times, strict=True)
    )
    merged = LBRY.merge(base, wallet(accounts=[mine]), wallet(accounts=[theirs]))
    assert merged.conflicts == ()
    (found,) = merged.document["accounts"]
    later = mine if is_mine_later else theirs
    assert {**found, "certificates": {}} == {**later, "certificates": {}}
    assert found["certificates"] == {"m": "PEM", "t": "PEM"}


def test_no_secret_is_shown() -> None:
    secret = account(seed="words", private_key="xprv", certificates={"a": "PEM"})
    place = ("accounts", Item("public_key", "xpubA"))
    for path, value in [
        (place, secret),
        ((), wallet(accounts=[secret])),
        ((*place, "seed"), "words"),
        ((*place, "certificates", "a"), "PEM"),
        (("accounts",), [secret]),
    ]:
        shown = json.dumps(LBRY.shown(path, value))
        assert not any(word in shown for word in ("words", "xprv", "PEM"))
    assert LBRY.shown((*place, "seed"), MISSING) is MISSING
    for data in (b'{"accounts":[{"seed":"words"}]}', b'{"accounts":{"seed":"words"}}'):
        with pytest.raises(DocumentError) as error:
            LBRY.decode(data)
        assert "words" not in str(error.value)


def test_file_keeps_its_layout_and_digits() -> None:
    """The SDK's own for a new one; times keep all their digits."""
    document = LBRY.from_file(b'{"preferences":{"theme":{"value":1,"ts":12345678901234567.89}},"accounts":[]}', {})
    assert LBRY.to_file(document, b"").startswith(b'{\n    "accounts": [],')
    over = b'{"accounts": [], "preferences": {}}'
    assert b"12345678901234567.89" in LBRY.to_file(document, over)
    assert LBRY.unreadable(over) == ()
    assert LBRY.to_file(LBRY.from_file(over, {}), over) == over


def test_what_is_secret_is_not_decided_by_time() -> None:
    """A seed that both changed is a conflict; so is an account that one deleted and the other changed."""
    base, changed = wallet(accounts=[account(seed="s")]), wallet(accounts=[account(seed="t")])
    assert [each.at for each in LBRY.merge(base, wallet(), changed).conflicts] == ["/accounts/public_key=xpubA"]
    (conflict,) = LBRY.merge(base, wallet(accounts=[account(seed="u")]), changed).conflicts
    assert conflict.at == "/accounts/public_key=xpubA/seed"
    assert LBRY.shown(conflict.path, conflict.mine) == "(a secret, not shown)"


def test_places_are_accounts_preferences_and_the_rest() -> None:
    """Of which a preference is one, whole."""
    one, other = wallet(accounts=[account()]), wallet("light", 2, [account(name="n")])
    found = LBRY.differences([one, other])
    assert set(found[1]) == {("preferences", "theme"), ("accounts", Item("public_key", "xpubA"))}
    path = ("preferences", "theme")
    assert found[1][path] == {"value": "light", "ts": 2}
    assert LBRY.with_values(one, {path: found[1][path]})["preferences"]["theme"]["value"] == "light"
    assert LBRY.record_at((*path, "value")) == path
    assert LBRY.is_telling(path, {"value": "light", "ts": 2})
    assert not LBRY.is_derived(path)
    assert LBRY.contents(one) == {path, ("accounts", Item("public_key", "xpubA")), ("version",), ("name",)}


def test_preference_may_be_of_any_shape() -> None:
    """The order of what is in it is no edit."""
    base = wallet() | {"preferences": {"shared": {"value": {"a": [{"c": 1, "d": 2}], "b": 1}, "ts": 1}}}
    respelled = wallet() | {"preferences": {"shared": {"ts": 1, "value": {"b": 1, "a": [{"d": 2, "c": 1}]}}}}
    edited = wallet() | {"preferences": {"shared": {"value": {"a": [], "b": 1}, "ts": 1}}}
    merged = LBRY.merge(base, respelled, edited)
    assert (merged.document, merged.conflicts) == (edited, ())
