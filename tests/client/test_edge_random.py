"""Files of any shape, written and put in any order: the rule takes them all, and the same again changes nothing."""

import json
import random
from collections import Counter
from typing import Any

import pytest

from walletsync.edge import Known, Limit, carrying, judge, still_other
from walletsync.formats.base import FileFormat
from walletsync.formats.bip329 import BIP329Format
from walletsync.formats.json import JSONFormat
from walletsync.formats.label_answers import LabelAnswers
from walletsync.formats.label_sense import Key
from walletsync.memory import Memory, remembered

pytestmark = pytest.mark.untraced  # far more steps than other tests of the same rooms

SEEDS = 150
STEPS = 12


def labels(rng: random.Random) -> str:
    """Return up to three records of each of two transactions, with origins that tell them apart, or not."""
    lines = []
    for ref in "ab":
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            record: dict[str, Any] = {"type": "tx", "ref": ref}
            if rng.random() < 0.7:
                record["label"] = rng.choice(("x", "y", "z", ""))
            if rng.random() < 0.6:
                record["origin"] = rng.choice((None, "o1", "o2", "o3"))
            if rng.random() < 0.3:
                record["height"] = rng.randint(1, 3)
            if rng.random() < 0.2:
                record["spendable"] = rng.random() < 0.5
            lines.append(f"{json.dumps(record)}\n")
    return "".join(lines)


def entries(rng: random.Random) -> dict[str, Any]:
    """Return objects where others have values, and a list whose items have keys, or not."""
    values: list[Any] = [None, 1, "x", "y", True, {}, {"a": "x"}, {"a": {"b": 1}}, [1]]
    found = {name: rng.choice(values) for name in "ab" if rng.random() < 0.8}
    lists: list[Any] = [
        [],
        [{"id": 1}],
        [{"id": 1, "v": 2}, {"id": 2}],
        [{"id": 2}, {"id": 1}],
        [{"id": 1}] * 2,
        [3],
        3,
    ]
    return found | ({"list": rng.choice(lists)} if rng.random() < 0.6 else {})


def several(*documents: Any) -> set[Any]:
    """Return types and refs that have several records in one of these label files."""
    found = set()
    for document in documents:
        lines = document.splitlines() if isinstance(document, str) else []
        keys = Counter((record["type"], record["ref"]) for record in map(json.loads, lines))
        found |= {key for key in keys if keys[key] > 1}
    return found


@pytest.mark.parametrize(
    ("format", "any_document"),
    [(BIP329Format(), labels), (JSONFormat({"/list": "id"}), entries)],
    ids=["labels", "json"],
)
def test_whatever_the_shape_it_is_judged_and_again_alike(format: FileFormat[Any], any_document: Any) -> None:
    """As after a crash between the document and what is remembered: nothing is added, lost or let go by it."""
    for seed in range(SEEDS):
        print(f"seed {seed}")
        rng = random.Random(seed)
        memory, document = Memory(format.encode(format.empty())), any_document(rng)
        for _ in range(STEPS):
            if rng.random() < 0.5:
                document = any_document(rng)
            if rng.random() < 0.5 and not memory.held:
                memory = memory.after_put(format, format.encode(document))
                continue
            written = any_document(rng)
            limit = None if rng.random() < 0.1 else Limit(rng.choice((0, 1, 5)), rng.choice((0, 10)))
            judged = judge(format, memory.known(format), written, document, limit)
            again = judge(format, memory.known(format), written, judged.document, limit)
            assert format.encode(again.document) == format.encode(judged.document)
            assert again.held == judged.held
            asked = {conflict.path for conflict in set(again.conflicts) - set(judged.conflicts)}
            # Whether records are told apart depends on all three sides: then a question may be one too many.
            assert {path[:2] for path in asked} <= several(format.decode(memory.seen), written, document)
            document, memory = judged.document, remembered(judged, format.encode(written))
            assert Memory.decode(memory.encode()) == memory
            still_other(format, document, memory.earlier)


def records(text: str) -> dict[str, list[dict[str, Any]]]:
    """Return the records of a file by their ref, those of one in an order that says nothing."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in sorted(map(json.loads, text.splitlines()), key=json.dumps):
        found.setdefault(record["ref"], []).append(record)
    return found


def labels_of(of: list[dict[str, Any]]) -> list[str]:
    return [record["label"] for record in of if record.get("label")]


def besides(of: list[dict[str, Any]]) -> list[Any]:
    """Return what a person would miss of records besides the labels."""
    return [record["spendable"] for record in of if "spendable" in record]


@pytest.mark.parametrize("has_news", [False, True])
def test_of_a_program_that_holds_labels_just_its_edits_are_taken(has_news: bool) -> None:
    """Whatever else is in the file and in the document, what the program did not change stays; what it changed is
    there, or asked, but never asked without news; and the same again changes nothing."""
    format, asked = BIP329Format(), 0
    for seed in range(600):
        print(f"seed {seed}")
        rng = random.Random(seed)
        file = labels(rng)
        document = labels(rng) if has_news else file
        here, there = records(file), records(document)
        before = {Key("tx", ref): each for ref, of in here.items() if len(of) == 1 for each in labels_of(of)}
        now = {Key("tx", ref): rng.choice("xyz") for ref in "abc" if rng.random() < 0.6}
        answers = LabelAnswers(before, now)
        known = carrying(format, Known(file), answers.had(file))
        written = answers.written(file, file)
        judged = judge(format, known, written, document, None)
        told, after = {conflict.path[1] for conflict in judged.conflicts}, records(judged.document)
        asked += len(told)
        for ref in {"a", "b", "c"} - told:
            old, new = (each.get(Key("tx", ref)) for each in (before, now))
            was, is_now = (of.get(ref, []) for of in (there, after))
            if old == new:
                assert is_now == was
            elif new is None:
                assert old not in labels_of(is_now) or len(was) > 1  # of several, nobody can tell which one is meant
            else:
                assert new in labels_of(is_now) or new in labels_of(here[ref])  # which it may have from there
            if max(len(was), len(here.get(ref, []))) < 2:
                assert besides(is_now) == besides(was)
        assert judge(format, known, written, judged.document, None).document == judged.document
        waits = judge(format, known, written, document, Limit(0, 0))
        assert format.contents(document) <= format.contents(waits.document)
    assert bool(asked) == has_news
