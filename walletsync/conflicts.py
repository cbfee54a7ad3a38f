"""Conflicts that wait for a decision: shown with what the document has there now, and decided. No store in here."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from walletsync.errors import DocumentError, UsageError
from walletsync.formats.base import Format, Opened, opened
from walletsync.merge import Conflict, same
from walletsync.remedies import Remedy

OnConflict: TypeAlias = Literal["mine", "theirs"] | Callable[[Conflict], Any]
"""Who decides conflicts: one side always, or a function that returns the value to keep (MISSING deletes), or the
conflict itself to leave it for later. None is a value only where one of the sides has it: else nothing was returned."""


def named(conflicts: Iterable[Conflict], before: int) -> tuple[Conflict, ...]:
    """Return the conflicts with names for people to type: numbers, from the one after `before`."""
    return tuple(replace(conflict, name=str(number)) for number, conflict in enumerate(conflicts, before + 1))


@dataclass(frozen=True)
class OpenConflicts:
    """A document, and the conflicts that wait in it."""

    format: Format[Any]
    document: Any
    conflicts: tuple[Conflict, ...]

    def shown(self) -> tuple[Conflict, ...]:
        """Return the conflicts, each with what the document has there now as theirs."""
        document = opened(self.format, self.document)
        return tuple(_shown(document, conflict) for conflict in self.conflicts)

    def resolved(self, conflict: Conflict, keep: Literal["mine", "theirs"]) -> "OpenConflicts":
        """Return what is left once `conflict`, one of those `shown`, is decided.

        Raises:
            UsageError: it is not one of them.
        """
        _check_side(keep)
        names = [waiting.name for waiting in self.conflicts]
        index = names.index(conflict.name) if conflict.name in names else None
        document = opened(self.format, self.document)
        if index is None or _shown(document, self.conflicts[index]) != conflict:
            raise UsageError(
                "This conflict no longer waits: it is decided already, or the document has changed there since.",
                remedy=Remedy.LIST_CONFLICTS,
            )
        _decide(document, conflict, getattr(conflict, keep))
        left = self.conflicts[:index] + self.conflicts[index + 1 :]
        return replace(self, document=document.document(), conflicts=left)

    def decided(self, on_conflict: OnConflict, already_asked: set[Conflict]) -> "OpenConflicts":
        """Return what is left once each conflict that is not in `already_asked` is decided, and put those into it.

        A conflict whose value has no place in the document is left.
        """
        document, remaining = opened(self.format, self.document), []
        for conflict in self.conflicts:
            shown = _shown(document, conflict)
            value = shown
            if shown not in already_asked:
                already_asked.add(shown)
                value = _asked(on_conflict, shown) if callable(on_conflict) else getattr(shown, on_conflict)
            with suppress(DocumentError):
                if value is not shown:
                    _decide(document, shown, value)
                    continue
            remaining.append(conflict)
        return replace(self, document=document.document(), conflicts=tuple(remaining))

    def all_resolved(self, keep: OnConflict) -> "OpenConflicts":
        """Return what is left once all are decided. Raises UsageError as `resolved` does.

        A conflict whose value has no place in the document is left.
        """
        if not callable(keep):
            _check_side(keep)
        return self.decided(keep, set())


def _shown(document: Opened[Any], conflict: Conflict) -> Conflict:
    return replace(conflict, theirs=document.value_at(conflict.path))


def _decide(document: Opened[Any], conflict: Conflict, value: Any) -> None:
    if not same(value, conflict.theirs):
        document.replace(conflict.path, value)


def _check_side(keep: str) -> None:
    if keep not in ("mine", "theirs"):
        raise UsageError('Keep either "mine" or "theirs".', remedy=Remedy.EDIT_AND_KEEP_THEIRS)


def _asked(on_conflict: Callable[[Conflict], Any], conflict: Conflict) -> Any:
    """Return what a function decides; raise UsageError if it forgot to return something."""
    value = on_conflict(conflict)
    if value is None and None not in (conflict.mine, conflict.theirs):
        raise UsageError(
            "The function that decides conflicts returned nothing (None), which neither side has there. Nothing was "
            "decided; return the value to keep, MISSING to delete, or the conflict itself to leave it for later."
        )
    return value
