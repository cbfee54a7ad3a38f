"""What a rule is: an id that stays, the sentence that a server has to keep, who has to keep it, and how to see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from walletsync.conformance.site import Site

Check: TypeAlias = Callable[[Site], None]
ALL_SERVERS = "API 3"
"""What every server of the protocol knows, one of LBRY's wallet-sync API 3 as well."""
EXTRAS = "walletsync"
"""What every server promises that has `/.well-known/walletsync`."""


@dataclass(frozen=True)
class Rule:
    """`capability` is who has to keep it: `ALL_SERVERS`, `EXTRAS`, or those that list this feature."""

    id: str
    sentence: str
    capability: str
    check: Check

    @property
    def required(self) -> bool:
        """Whether every server of the protocol has to keep it."""
        return self.capability == ALL_SERVERS


class Rules(list[Rule]):
    """Rules in the order in which they run; none leans on what another one did."""

    def add(self, id: str, sentence: str, capability: str = ALL_SERVERS) -> Callable[[Check], Check]:
        """Make a rule of the decorated function, which raises `Broken` where the server breaks it."""

        def take(check: Check) -> Check:
            self.append(Rule(id, sentence, capability, check))
            return check

        return take
