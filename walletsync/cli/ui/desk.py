"""The wallet between two clicks: lent to other commands, and taken back for each of the page's deeds, one at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from walletsync.changes import Changes
from walletsync.cli import deeds
from walletsync.cli.bridging import Bridging
from walletsync.cli.edge import Notices
from walletsync.cli.kept import LAST, Told, told
from walletsync.cli.ui.sights import Records, Sights, State
from walletsync.cli.wallet import Wallet
from walletsync.client import Client
from walletsync.errors import UsageError

_DECIDED = "Decided. Sync now tells your other devices."


@dataclass(frozen=True)
class Compared:
    """What differs between two documents: a sentence, and the records."""

    sentence: str
    records: Records


class Desk:
    """Does what the page asks for. `secret` is what its marks are made with: `Sights`.

    Every method raises StoreLocked where another process has the wallet for more than a few seconds, and what the
    command raises that does the same.
    """

    def __init__(self, wallet: Wallet, client: Client, secret: str) -> None:
        self._wallet, self._client = wallet, client
        self._sights = Sights(wallet, secret)
        self._lock = threading.Lock()
        client.lend_store()

    @property
    def content(self) -> str:
        """What the wallet is made of, as a plural."""
        return self._wallet.format.content

    def state(self) -> State:
        """Return what this device knows; the server is not asked."""
        with self._at_work() as client:
            return self._sights.state(client)

    def sync(self) -> str:
        """Sync the file, and return a sentence about it."""
        with self._at_work() as client:
            synced = deeds.sync_file(self._wallet, client, Bridging(self._wallet))
            return _done(f"Synced: version {synced.sequence}.", Notices.of(self._wallet, client))

    def decide(self, name: str, keep: str, seen: str) -> str:
        """Decide a conflict, or `all` of them, if they are still as the person has `seen` them."""
        with self._at_work() as client:
            self._wallet.wallet_file().take_edits(client)
            conflicts = self._sights.conflicts(client)
            marks = {each.name: each.seen for each in conflicts.shown} | {"all": conflicts.seen}
            _check_seen(marks.get(name), seen)
            deeds.resolve(self._wallet, client, name, keep)
        return _DECIDED

    def decide_earlier(self, keep: str, seen: str, *, confirm_deletions: bool) -> str:
        """Decide what the program wrote as it was before, if it is still what the person has `seen`."""
        with self._at_work() as client:
            self._wallet.wallet_file().take_edits(client)
            _check_seen(self._sights.earlier(client).seen, seen)
            deeds.resolve(self._wallet, client, "earlier", keep, confirm_deletions=confirm_deletions)
        return _DECIDED

    def confirm_deletions(self, seen: str) -> str:
        """Let go what the program has taken away, if it is still what the person has `seen`, and sync."""
        with self._at_work() as client:
            file, bridge = self._wallet.wallet_file(), Bridging(self._wallet)
            bridge.take(client)
            file.take_edits(client)
            _check_seen(self._sights.deletions(client).seen, seen)
            file.take_edits(client, confirm_deletions=True)
            synced = deeds.sync_file(self._wallet, client, bridge)
            return f"Deleted, and synced: version {synced.sequence}."

    def put_back(self, seen: str) -> str:
        """Put what the program has taken away back into its file, if it is still what the person has `seen`."""
        with self._at_work() as client:
            self._wallet.wallet_file().take_edits(client)
            _check_seen(self._sights.deletions(client).seen, seen)
            deeds.put_back(self._wallet, client)
        return f"All of it is in {self._wallet.file.name} again. Import that file in your program."

    def versions(self) -> list[Told]:
        """Return the last versions in words."""
        with self._logged_in() as client:
            return [each for each in told(self._wallet, client, LAST) if each.is_seen]

    def compared(self, older: int, newer: int) -> Compared:
        """Return what differs between two versions; 0 is one before the first, with nothing in it."""
        with self._logged_in() as client:
            wanted = [newer, older] if older else [newer]
            documents = {0: self._wallet.format.empty()} | self._wallet.with_valid_token(
                client, lambda: client.versions(wanted)
            )
        return self._compared(documents[older], documents[newer])

    def if_restored(self, sequence: int) -> Compared:
        """Return what would change here if an earlier version were the current one again."""
        with self._logged_in() as client:
            return self._if_restored(client, sequence)

    def restore(self, sequence: int, seen: str) -> str:
        """Make an earlier version the current one again, if that changes what the person has `seen`."""
        with self._logged_in() as client:
            _check_seen(self._if_restored(client, sequence).records.seen, seen)
            synced = deeds.restore(self._wallet, client, sequence)
            notices = Notices.of(self._wallet, client)
        return _done(f"Version {synced.sequence} has what version {sequence} had.", notices)

    def _if_restored(self, client: Client, sequence: int) -> Compared:
        document = self._wallet.with_valid_token(client, lambda: client.version(sequence))
        self._wallet.check_is_in(document, sequence)
        return self._compared(client.get_document(), document)

    def _compared(self, older: Any, newer: Any) -> Compared:
        format = self._wallet.format
        places = {
            path: {"Before": sides["older"], "After": sides["newer"]}
            for path, sides in deeds.differences(self._wallet, older, newer).items()
            if not format.is_derived(path)
        }
        sentence = Changes.between(format, older, newer).sentence(format.content)
        return Compared(sentence, self._sights.records(places, newer))

    @contextmanager
    def _at_work(self) -> Iterator[Client]:
        with self._lock:
            self._client.take_back_store()
            try:
                yield self._client
            finally:
                self._client.lend_store()

    @contextmanager
    def _logged_in(self) -> Iterator[Client]:
        with self._at_work() as client:
            if not client.is_logged_in:
                client.get_auth_token()
            yield client


def _done(sentence: str, notices: Notices) -> str:
    return f"{sentence} Something waits for you below." if notices.held else sentence


def _check_seen(now: str | None, seen: str) -> None:
    if now != seen:
        raise UsageError("This has changed since you looked at it, and nothing was decided. Look at it again.")
