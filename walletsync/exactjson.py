"""JSON in which every number keeps its spelling: 105620.00 stays 105620.00, where a float would become 105620.0.

For values that go back into a file that another program wrote. Numbers that Python writes the same way are plain int
and float; only the others are a `Number`. Strict otherwise: no name twice in an object, no NaN, no Infinity.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn


class Number(float):
    """A number spelled otherwise than Python spells it, such as 1.10, 1e5 or -0; `text` is the spelling."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> "Number":  # noqa: D102 - the class says what its argument is
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text


def loads(text: str) -> Any:
    """Return the value that `text` is. Raises ValueError (JSONDecodeError mostly), and RecursionError if too deep."""
    return _DECODER.decode(text)


def dumps(value: Any) -> str:
    """Return `value` as compact JSON: what `loads` made is written as it was, but for spaces and escapes.

    Raises TypeError or ValueError for what is not a JSON value.
    """
    kind = type(value)
    if kind is dict:
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{dumps(value[name])}" for name in value) + "}"
    if kind is list:
        return "[" + ",".join(map(dumps, value)) + "]"
    if kind is Number:
        return str(value.text)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def canonical(number: float) -> str:
    """Return one text for all spellings of a number: that of 11, 11.00 and 1.1e1 is the same. -0 is 0."""
    text = number.text if type(number) is Number else repr(number)
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("NaN and Infinity are not numbers in JSON")
    sign, whole, fraction, exponent = found.groups(default="")
    significant = (whole + fraction).lstrip("0")
    if not significant or len(exponent) > _MAX_EXPONENT_DIGITS:
        return text if significant else "0"
    digits = significant.rstrip("0")
    power = int(exponent or 0) - len(fraction) + len(significant) - len(digits)
    return f"{sign}{digits}e{power}"


_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")
_MAX_EXPONENT_DIGITS = 1000
"""An exponent with more digits than that is compared as text."""


@dataclass(frozen=True)
class Spelling:
    """How somebody wrote an object: what stands around its entries, and each entry's value and text by its name."""

    opening: str
    separator: str
    closing: str
    entries: dict[str, tuple[Any, str]]


def spelling(text: str) -> Spelling:
    """Return how an object is written; `text` is one of at least one entry that `loads` takes."""
    entries: dict[str, tuple[Any, str]] = {}
    start = first = text.index('"')
    end, separator = 0, ","
    while text[start] == '"':
        if len(entries) == 1:
            separator = text[end:start]
        name, colon = _DECODER.raw_decode(text, start)
        value, end = _DECODER.raw_decode(text, _after(_COLON, text, colon))
        entries[name] = (value, text[start:end])
        start = _after(_COMMA, text, end)
    return Spelling(text[:first], separator, text[end:], entries)


@dataclass(frozen=True)
class Part:
    """An entry of an object or an item of a list: its name and colon if any, its value, and the spaces around it."""

    before: str
    head: str
    text: str
    after: str


def parts(text: str) -> list[Part]:
    """Return what an object or a list consists of; `text` is one that `loads` takes, and no spaces around it."""
    found: list[Part] = []
    position = 1
    while text[position - 1] not in "}]":
        start = _after(_SPACES, text, position)
        if text[start] in "}]":
            break
        value = start
        if text[0] == "{":
            _, end = _DECODER.raw_decode(text, start)
            value = _after(_COLON, text, end)
        _, end = _DECODER.raw_decode(text, value)
        closing = _after(_SPACES, text, end)
        found.append(Part(text[position:start], text[start:value], text[value:end], text[end:closing]))
        position = closing + 1
    return found


def _after(punctuation: re.Pattern[str], text: str, position: int) -> int:
    found = punctuation.match(text, position)
    return position if found is None else found.end()


_SPACES = re.compile(r"[ \t\r\n]*")
_COLON, _COMMA = (re.compile(rf"[ \t\r\n]*{mark}[ \t\r\n]*") for mark in ":,")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("an object has the same name twice")
    return entries


def parse_float(text: str) -> float:
    """Return a number with a point or an exponent, for a decoder of its own."""
    number = float(text)
    return number if repr(number) == text else Number(text)


def _int(text: str) -> int | float:
    try:
        number = int(text)
    except ValueError:  # more digits than Python converts
        return Number(text)
    return number if number or text == "0" else Number(text)


def _constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not numbers in JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=parse_float, parse_int=_int, parse_constant=_constant
)
