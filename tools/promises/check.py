"""Where promises and tests do not fit, each as a sentence that says what to do."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.promises.holders import Holder, holders
from tools.promises.pages import Section, sections


def faults(root: Path) -> list[str]:
    """Return what is wrong below `root`, nothing if all is well."""
    pages, held = sections(root), holders(root)
    return [*_silent(pages), *_not_once(pages), *_without_test(pages, held), *_unknown(pages, held)]


def _silent(pages: Iterable[Section]) -> Iterator[str]:
    """Sections and sentences that should have an id."""
    for section in pages:
        place = f"{section.page}, “{section.heading}”"
        if section.is_excused or not section.sentences:
            continue
        if not any(section.promises()):
            yield f"{place}: no sentence has an id. Give ids, or say why not: <!-- no promise: … -->"
        for sentence in section.bare:
            yield f"{place}: this promises something and has no id: {sentence}"


def _not_once(pages: Iterable[Section]) -> Iterator[str]:
    first: dict[str, str] = {}
    for section in pages:
        for promise in section.promises():
            if promise.id in first:
                yield f"{promise.page}: {promise.id} is given twice, first in {first[promise.id]}. Give a new id here."
            first.setdefault(promise.id, promise.page)


def _without_test(pages: Iterable[Section], held: Iterable[Holder]) -> Iterator[str]:
    ids = {holder.id for holder in held}
    for section in pages:
        for promise in section.promises():
            if promise.id not in ids:
                yield f'{promise.page}: no test holds {promise.id}. Mark one: @pytest.mark.promise("{promise.id}")'


def _unknown(pages: Iterable[Section], held: Iterable[Holder]) -> Iterator[str]:
    known = {promise.id for section in pages for promise in section.promises()}
    for holder in held:
        place = f"{holder.path}:{holder.line}"
        if not holder.is_test:
            yield f"{place}: {holder.name} holds nothing. Mark a function `test_…` in a file `test_….py`."
        elif holder.id not in known:
            yield f"{place}: {holder.name} holds {holder.id}, which no page promises. Write it there, or mend the id."
