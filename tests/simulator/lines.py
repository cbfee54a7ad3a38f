"""What the server has accepted, ever: the line of versions that it goes on from now, and those that it left.

It leaves a line when it is restored from a backup, and when its account is deleted and made anew.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field


class Broken(AssertionError):
    """Something did not hold. The message has the whole history."""


def hold(condition: bool, otherwise: str) -> None:
    """Raise `Broken` unless `condition`."""
    if not condition:
        raise Broken(otherwise)


@dataclass
class Lines:
    """`now` has the digests of what the server stored one after the other, and `account` tells whose it is.

    `before` has every version that was ever accepted, with the one that its author wrote it after: a server compares
    sequences only, so after a restore it may store what follows a version that it does not have any more.
    """

    now: dict[int, str] = field(default_factory=dict)
    account: int | None = None
    before: dict[str, str] = field(default_factory=dict)

    def look(self, account: int | None, versions: dict[int, str], previous: Callable[[int], str]) -> None:
        """Take note of what the server keeps: sequences have no gap and no branch, whatever came twice or late."""
        if account != self.account:
            self.account, self.now = account, {}
        for sequence, digest in versions.items():
            if sequence not in self.now:
                hold(sequence == len(self.now) + 1, f"version {sequence} came after {len(self.now)}")
                self.now[sequence] = digest
                self.before[digest] = previous(sequence)
            hold(self.now[sequence] == digest, f"version {sequence} became another one")

    def copy(self) -> "Lines":
        """Return what the server has now, for when it is put back to that; nothing is forgotten."""
        return Lines(dict(self.now), self.account, self.before)

    def are_now(self, digest: str | None) -> bool:
        """Tell whether a version is on the present line."""
        return digest is not None and bool(self.now) and self.descends(self.now[len(self.now)], digest)

    def linked(self, kept: Iterable[str]) -> Iterator[str]:
        """Yield those of the versions that are `kept` that the present one descends from, without a gap."""
        there, digest = set(kept), self.now.get(len(self.now))
        while digest in there:
            yield digest
            digest = self.before.get(digest)

    def descends(self, digest: str | None, earlier: str) -> bool:
        """Tell whether a version is `earlier` or came after it on its line."""
        while digest is not None and digest != earlier:
            digest = self.before.get(digest)
        return digest is not None

    def any_descends(self, digests: Iterable[str | None], earlier: str) -> bool:
        """Tell whether one of them is `earlier` or came after it on its line."""
        return any(self.descends(digest, earlier) for digest in digests if digest in self.before)
