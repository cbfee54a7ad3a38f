"""A long line of an output, broken so that no reader has to scroll."""

import re

from tools.docs.project import WIDTH

_WORD = re.compile(r" *(?:<[^<>\n]*>|(?<!\w)'[^'\n]*'(?!\w)|\S)+")
"""What is not broken: a mask and a quoted text are one word with what touches them."""


def pieces(line: str) -> list[str]:
    """Return a line as a page has room for it: broken between words, the rest indented below."""
    if len(line) <= WIDTH:
        return [line]
    indented = " " * (len(line) - len(line.lstrip()) + 4)
    broken = [""]
    for word in _WORD.findall(line):
        if broken[-1] and len(broken[-1]) + len(word) > WIDTH:
            broken.append(indented + word.lstrip())
        else:
            broken[-1] += word
    return broken
