"""The versions that the server keeps, in words: what each changed, on which device and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from walletsync.cli.wallet import Wallet

if TYPE_CHECKING:
    from walletsync.changes import Changes
    from walletsync.client import Client
    from walletsync.results import KeptVersion

LAST = 10
"""How many versions are told of where nobody says how many."""


@dataclass(frozen=True)
class Told:
    """A kept version, and what it changed since the one that is kept before it, `since`; None where there is none.

    One that this device has not got yet is not `is_seen`, and nothing more is known of it.

    The changes are worked out from the versions themselves, which are authentic. When and by which device it was
    stored is what the server says.
    """

    version: "KeptVersion"
    since: int | None
    changes: "Changes | None"
    is_seen: bool = True

    def sentence(self, content: str) -> str:
        """Return what it changed, `content` being the format's."""
        if not self.is_seen:
            return "not on this device yet: walletsync sync gets it"
        if self.changes is None:
            return "what it changed is not known: no version before it is kept"
        told = self.changes.sentence(content)
        is_next = self.since == self.version.sequence - 1
        return told if is_next else f"{told} since version {self.since}"

    @property
    def device(self) -> str:
        """The device; none is named for a change of the password. Of versions that are not kept nobody knows it."""
        device = self.version.device or "a change of the password"
        is_alone = self.since is None or self.since == self.version.sequence - 1
        return device if is_alone else f"{device}, and perhaps others"

    def ago(self, now: datetime) -> str:
        """Return when that was, as people say it."""
        from walletsync.changes import ago

        return ago(self.version.time, now)


def told(wallet: Wallet, client: "Client", number: int) -> list[Told]:
    """Return the last versions, at most `number`, the current one first; nothing on this device changes.

    Raises what `Client.history` and `Client.versions` raise.
    """
    state = client.wallet_state
    seen = 0 if state is None else state.sequence
    history = wallet.with_valid_token(client, client.history)[: number + 1]
    newer, kept = (tuple(each for each in history if (each.sequence > seen) == is_newer) for is_newer in (True, False))
    documents = client.versions(each.sequence for each in kept)
    if kept and kept[-1].sequence == 1:
        documents[0] = wallet.format.empty()
    known = (_told(wallet, documents, version, kept[place + 1 :]) for place, version in enumerate(kept))
    return [*(Told(version, None, None, is_seen=False) for version in newer), *known][:number]


def _told(
    wallet: Wallet, documents: dict[int, Any], version: "KeptVersion", earlier: "tuple[KeptVersion, ...]"
) -> Told:
    from walletsync.changes import Changes

    since = earlier[0].sequence if earlier else 0
    if since not in documents:
        return Told(version, None, None)
    return Told(version, since, Changes.between(wallet.format, documents[since], documents[version.sequence]))
