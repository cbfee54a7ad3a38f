"""What can't be the same in two runs, and what a reader is shown in its place.

A mask is a name with a number, `<hmac 1>`: the same value has the same number everywhere in a notebook, so a reader
still sees what equals what. Numbers go by first appearance. To mask something new, add a row to `RULES`; to refuse
something new, one to `REFUSALS`.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache

_HEX64 = r"(?<![0-9a-fA-F])(?!0{64})[0-9a-f]{64}(?![0-9a-fA-F])"
"""32 bytes, unless all of them are zero, as they are in every run."""
_HEADER_AND_TAG = 81 + 16
"""Bytes that an encrypted wallet has at least: its header and the tag of the cipher."""


def _is_port(text: str) -> bool:
    return 0 < int(text) < 2**16


def _is_wallet(text: str) -> bool:
    """Whether this is base64 of a WSY1 envelope, or the client's short form of one (its last 8 characters)."""
    if "…" in text:
        return len(text.partition("…")[2]) == 8
    try:
        envelope = base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return envelope[:5] == b"WSY1\x01" and len(envelope) >= _HEADER_AND_TAG


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_32_bytes(text: str) -> bool:
    return len(bytes.fromhex(text)) == 32


def _after(*labels: str) -> str:
    """A pattern for 64 hex digits with one of these labels before them."""
    return f"(?:{'|'.join(f'(?<={re.escape(label)})' for label in labels)}){_HEX64}"


@dataclass(frozen=True)
class Rule:
    """`pattern` finds a value, `check` says whether it has the shape that its name claims.

    `identity` maps a value to what tells it from others. A rule without it masks with the bare name, for values that
    may or may not be equal by chance.
    """

    name: str
    pattern: str
    check: Callable[[str], bool]
    identity: Callable[[str], str] | None = str


# Where the same value fits several rules, here or elsewhere in the notebook, the topmost names it.
RULES = (
    Rule("port", r"(?<=//127\.0\.0\.1:)\d+", _is_port),
    Rule("port", r"(?<=//localhost:)\d+", _is_port),
    Rule(
        "encrypted wallet",
        r"(?<![A-Za-z0-9+/])V1NZMQ(?:…[A-Za-z0-9+/]+={0,2}|[A-Za-z0-9+/]+={0,2})",
        _is_wallet,
        lambda text: text[-8:],
    ),
    Rule("hmac", _after("hmac='", 'hmac":"', 'hmac": "', "hmac': '", "hmac: ", "hmac "), _is_32_bytes),
    Rule("salt seed", _after("seed='", 'eed":"', 'eed": "', "eed': '", "seed: ", "seed "), _is_32_bytes),
    Rule("digest", _HEX64, _is_32_bytes),
    # Two events of one second share a time and of two seconds don't, so equality would differ from run to run.
    Rule("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)", _is_time, None),
)

_LABEL = r"(?i:token|bearer|secret|password|keys?)\W{1,6}"
REFUSALS = (
    ("a secret", _LABEL + _HEX64),
    ("a secret", _LABEL + r"[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])"),
    ("a memory address", r"\bat 0x[0-9a-fA-F]{6,}"),
)
"""What no output may hold: its name, and the pattern that finds it."""


class Masks:
    """The masks of one notebook, or of another page by the rules that it needs."""

    def __init__(self, texts: Iterable[str], rules: tuple[Rule, ...] = RULES) -> None:
        """Learn every value of a notebook's outputs; `texts` come in reading order and have passed `refused`."""
        self._rules = rules
        self._any = _any_of(rules)
        topmost: dict[str, int] = {}
        for match in (match for text in texts for match in self._any.finditer(text)):
            number = _number(match)
            if identity := rules[number].identity:
                key = identity(match[0])
                topmost[key] = min(number, topmost.get(key, number))
        self._masks: dict[str, str] = {}
        counts: dict[str, int] = {}
        for key, number in topmost.items():
            name = rules[number].name
            counts[name] = counts.get(name, 0) + 1
            self._masks[key] = f"<{name} {counts[name]}>"

    def apply(self, text: str) -> str:
        """Return `text` with every known value masked."""

        def mask(match: re.Match[str]) -> str:
            rule = self._rules[_number(match)]
            return self._masks[rule.identity(match[0])] if rule.identity else f"<{rule.name}>"

        return self._any.sub(mask, text)


def refused(text: str) -> Iterator[str]:
    """Yield what is in `text` and may not be: the names of refusals, and values that aren't what they look like."""
    for name, pattern in REFUSALS:
        if re.search(pattern, text):
            yield name
    for match in _any_of(RULES).finditer(text):
        rule = RULES[_number(match)]
        if not rule.check(match[0]):
            yield f"a malformed {rule.name}"


@cache
def _any_of(rules: tuple[Rule, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<rule{n}>{rule.pattern})" for n, rule in enumerate(rules)))


def _number(match: re.Match[str]) -> int:
    return int(str(match.lastgroup).removeprefix("rule"))
