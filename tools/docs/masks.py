"""What a reader is shown in the place of what can't be the same in two runs.

A mask is a name with a number, `<digest 1>`: the same value has the same number everywhere in a notebook, so a reader
still sees what equals what. Numbers go by first appearance. To mask something new, add a row to the project's `RULES`;
to refuse something new, one to its `REFUSALS`.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from tools.docs.project import REFUSALS, RULES
from tools.docs.rules import Rule


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
    for refusal in REFUSALS:
        if re.search(refusal.pattern, text):
            yield refusal.name
    for match in _any_of(RULES).finditer(text):
        rule = RULES[_number(match)]
        if not rule.check(match[0]):
            yield f"a malformed {rule.name}"


@cache
def _any_of(rules: tuple[Rule, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<rule{n}>{rule.pattern})" for n, rule in enumerate(rules)))


def _number(match: re.Match[str]) -> int:
    return int(str(match.lastgroup).removeprefix("rule"))
