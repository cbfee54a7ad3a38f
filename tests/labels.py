"""Label files as two wallets export them, of any size, the same ones for the same seed.

The shapes follow Sparrow (fields of the kind of record first, HTML-safe escapes, fiat rates with two decimals) and
Electrum (a space after colon and comma, `spendable` as text, no more than the BIP's first fields). Every txid, address
and name is made up.
"""

import json
import random
import sys
from collections.abc import Iterator
from typing import Any

LABEL_FILES = [
    '{"type":"tx","ref":"a","label":"x"}\n',
    '{"type":"tx","ref":"a","label":"y"}\n{"type":"addr","ref":"b"}',
    '{"type":"tx","ref":"a","label":"y","origin":"o1"}\r\n\r\n{"type":"tx","ref":"a","origin":"o2","label":"z"}\r\n',
    '{"type":"tx","ref":"a","origin":"o1","rate":{"USD":1.10}}\n{"type":"tx","ref":"a","origin":"o2","label":"q"}\n',
    '{"type":"tx","ref":"a","label":"w"}\n{"type":"tx","ref":"a","label":"q"}\n{"type":"tx","ref":"a","label":"w"}',
    '{"rate":{"USD":1.1,"EUR":2e5},"type":"tx","ref":"a","label":"\\u0027"}\n{"type":"later","ref":"c","n":-0}\n',
    "\n\n",
    '{"type":"addr","ref":"BC1QB","label":"Cafe\u0301","fee":11,"spendable":"false","origin":"wpkh([ab/84h])"}\n',
    '{"type":"addr","ref":"bc1qb","label":"Caf\u00e9","fee":11.00,"spendable":false,"origin":"wpkh([ab/84\'])"}\n',
]
"""Small files that differ in all that matters to merging: fields, origins, doubled keys, spellings and layout."""

_WORDS = [
    "Rent",
    "Salary",
    "Coffee ☕",
    "Gift for Ana",
    "Exchange #2",
    "Miete März",
    "工资",
    "Mom's loan",
    "<swap>",
    "😀",
]
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_ORIGINS = ["wpkh([d34db33f/84'/0'/0'])", "wpkh([d34db33f/84'/0'/1'])"]


def sparrow(seed: int, lines: int) -> str:
    """Return what Sparrow exports for a wallet of two accounts: some transactions are in both."""
    chance = random.Random(seed)
    records = [{"type": "xpub", "ref": f"xpub{_text(chance, 107)}", "label": "Coldcard"}]
    while len(records) < lines:
        records += _sparrow_transaction(chance)
    return "".join(_escaped(json.dumps(r, ensure_ascii=False, separators=(",", ":"))) + "\n" for r in records[:lines])


def electrum(seed: int, lines: int) -> str:
    """Return what Electrum exports: labels of transactions and addresses, then the coins."""
    chance = random.Random(seed)
    coins = lines // 3
    labelled = [
        {"type": kind, "ref": _hex(chance) if kind == "tx" else _address(chance), "label": _label(chance)}
        for kind in chance.choices(["tx", "addr"], k=lines - coins)
    ]
    unspent = [
        {"type": "output", "ref": f"{_hex(chance)}:{n % 4}", "label": "", "spendable": chance.choice(["true", "false"])}
        for n in range(coins)
    ]
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in labelled + unspent)


def edited(document: str, seed: int, edits: int, lines: range) -> str:
    """Return `document` after a person relabelled, deleted and added in some of `lines`, `edits` times in all."""
    chance = random.Random(seed)
    result: list[str] = document.splitlines(keepends=True)
    for number, place in enumerate(chance.sample(lines, edits)):
        record = json.loads(result[place])
        match number % 5:
            case 0:
                result[place] = ""
            case 1:
                new = {"type": "addr", "ref": _address(chance), "label": _label(chance)}
                result[place] += json.dumps(new, ensure_ascii=False) + "\n"
            case _:
                record["label"] = f"{_label(chance)} {seed}"
                result[place] = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
    return "".join(result)


def _sparrow_transaction(chance: random.Random) -> Iterator[dict[str, Any]]:
    txid, height, time = (
        _hex(chance),
        chance.randrange(500_000, 900_000),
        f"2025-{chance.randrange(1, 13):02}-14T11:40:35Z",
    )
    value, cents = chance.randrange(1, 10**9), chance.randrange(10**8)
    for origin in chance.choice([_ORIGINS[:1], _ORIGINS[1:], _ORIGINS]):
        spread = {"height": height, "time": time, "fee": 141, "value": -value, "rate": {"USD": _cents(cents)}}
        yield spread | {"type": "tx", "ref": txid} | _maybe_label(chance) | {"origin": origin}
    origin = chance.choice(_ORIGINS)
    keypath = f"/{chance.randrange(2)}/{chance.randrange(500)}"
    yield (
        {"keypath": keypath, "heights": [height] * chance.randrange(3), "type": "addr", "ref": _address(chance)}
        | _maybe_label(chance)
        | {"origin": origin}
    )
    for kind in ("output", "input"):
        coin = {"keypath": keypath, "value": value, "height": height, "time": time, "fmv": {"USD": _cents(cents * 7)}}
        frozen = {"spendable": False} if kind == "output" and not chance.randrange(9) else {}
        yield coin | {"type": kind, "ref": f"{txid}:0"} | _maybe_label(chance) | {"origin": origin} | frozen


def _cents(cents: int) -> str:
    return f"@{cents // 100}.{cents % 100:02}@"


def _escaped(line: str) -> str:
    """Escape as Gson does, and take the marks from numbers that keep their zeros."""
    line = line.replace('"@', "").replace('@"', "")
    for character in "'<>&=":
        line = line.replace(character, f"\\u{ord(character):04x}")
    return line


def _maybe_label(chance: random.Random) -> dict[str, str]:
    return {"label": _label(chance)} if chance.randrange(3) else {}


def _label(chance: random.Random) -> str:
    return f"{chance.choice(_WORDS)} {chance.randrange(10_000)}"


def _hex(chance: random.Random) -> str:
    return f"{chance.getrandbits(256):064x}"


def _address(chance: random.Random) -> str:
    return "bc1q" + "".join(chance.choices(_BECH32, k=38))


def _text(chance: random.Random, length: int) -> str:
    return "".join(chance.choices("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", k=length))


if __name__ == "__main__":  # python -m tests.labels 5000 > labels.jsonl
    sys.stdout.write(sparrow(seed=1, lines=int(sys.argv[1])))
