"""Bugs, planted on purpose: each is a patch of one line of thought in the client or the server.

A simulator that lets one of these pass would let the next one pass that nobody planted.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

import msgspec

from walletsync import abandoned, continuity, device, passwords, restored_server, versions
from walletsync.device import Device
from walletsync.errors import ForkDetected, RollbackDetected
from walletsync.formats.json import JSONFormat
from walletsync.merge import Merged
from walletsync.payload import Entry
from walletsync.store import DeviceState, Store
from walletsync.syncing import Syncing
from walletsync_server.storage.sql.queries import SqlWriteTransaction

Bug = Callable[[], AbstractContextManager[Any]]


def _only_in_memory(device: Device, **changes: Any) -> None:
    device._store._saved = msgspec.structs.replace(device.state, **changes)


def lost_answer_is_forgotten() -> AbstractContextManager[Any]:
    """A write whose answer got lost is never found to have landed."""
    return mock.patch.object(continuity, "has_landed", return_value=False)


def lost_answer_is_success() -> AbstractContextManager[Any]:
    """A write whose answer got lost is taken for accepted."""
    send = Syncing._send

    def hopeful(self: Syncing, pending: Any, *rest: Any) -> Any:
        self._device.acknowledge(pending)
        return send(self, pending, *rest)

    return mock.patch.object(Syncing, "_send", hopeful)


def retry_seals_anew() -> AbstractContextManager[Any]:
    """A retry does not send the very bytes that were kept, but the document as it is now."""
    seal, repeat = Device.seal_next, Syncing._repeat

    def anew(self: Syncing, pending: Any, token: str, unlocked: Any) -> Any:
        return repeat(self, seal(self._device, unlocked, 2**20), token, unlocked)

    return mock.patch.object(Syncing, "_repeat", anew)


def write_is_kept_too_late() -> AbstractContextManager[Any]:
    """What is sent is kept only after it was answered, so a crash forgets it."""
    seal = Device.seal_next

    def without_saving(self: Device, *arguments: Any) -> Any:
        with mock.patch.object(Device, "save", _only_in_memory):
            return seal(self, *arguments)

    return mock.patch.object(Device, "seal_next", without_saving)


def merge_base_stays() -> AbstractContextManager[Any]:
    """After a merge the old version is still the base of the next one."""
    save = Device.save

    def keep_base(self: Device, **changes: Any) -> None:
        synced = changes.get("synced")
        if synced is not None and "document" in changes and self.state.synced is not None:
            changes["synced"] = msgspec.structs.replace(synced, document=self.state.synced.document)
        save(self, **changes)

    return mock.patch.object(Device, "save", keep_base)


def base_moves_with_the_edit() -> AbstractContextManager[Any]:
    """The base becomes the merged document, so what was not sent yet looks as if it had been."""
    save = Device.save

    def move_base(self: Device, **changes: Any) -> None:
        synced = changes.get("synced")
        if synced is not None and "document" in changes:
            changes["synced"] = msgspec.structs.replace(synced, document=changes["document"])
        save(self, **changes)

    return mock.patch.object(Device, "save", move_base)


def conflicts_are_dropped() -> AbstractContextManager[Any]:
    """Theirs goes into the document, and mine nowhere."""
    merge = JSONFormat.merge

    def without_conflicts(self: JSONFormat, *documents: Any) -> Merged[Any]:
        return Merged(merge(self, *documents).document, ())

    return mock.patch.object(JSONFormat, "merge", without_conflicts)


def newer_wins() -> AbstractContextManager[Any]:
    """What the server has replaces the document, instead of being merged with it."""
    return mock.patch.object(JSONFormat, "merge", lambda self, base, mine, theirs: Merged(theirs, ()))


def mine_wins() -> AbstractContextManager[Any]:
    """The document of this device replaces what the server has, instead of being merged with it."""
    return mock.patch.object(JSONFormat, "merge", lambda self, base, mine, theirs: Merged(mine, ()))


def decision_is_half_saved() -> AbstractContextManager[Any]:
    """A decided conflict is removed in one step, and the document changed in another."""
    save = Device.save

    def in_two_steps(self: Device, **changes: Any) -> None:
        if set(changes) == {"document", "conflicts"}:
            save(self, conflicts=changes.pop("conflicts"))
        save(self, **changes)

    return mock.patch.object(Device, "save", in_two_steps)


def merge_is_half_saved() -> AbstractContextManager[Any]:
    """What came is saved as synced first, and the merged document later."""
    save = Device.save

    def in_two_steps(self: Device, **changes: Any) -> None:
        if {"document", "synced"} <= set(changes):
            save(self, synced=changes.pop("synced"), pending=changes.pop("pending"))
        save(self, **changes)

    return mock.patch.object(Device, "save", in_two_steps)


def memory_outlives_an_interruption() -> AbstractContextManager[Any]:
    """Memory stays what it was when an exception comes between the COMMIT and the line after it."""
    save = Store.save

    def believing(self: Store, state: DeviceState) -> None:
        before = self._saved
        try:
            save(self, state)
        except BaseException:
            self._saved = before
            raise

    return mock.patch.object(Store, "save", believing)


def change_is_kept_too_late() -> AbstractContextManager[Any]:
    """A password change is kept only when it was answered, so a crash forgets the new seed."""
    begin = Device.begin_password_change

    def without_saving(self: Device, *arguments: Any) -> Any:
        with mock.patch.object(Device, "save", _only_in_memory):
            return begin(self, *arguments)

    return mock.patch.object(Device, "begin_password_change", without_saving)


def change_is_sealed_anew() -> AbstractContextManager[Any]:
    """A password change whose answer got lost is not sent again as it was, but with another seed."""
    change = passwords.change_password

    def anew(api: Any, device: Device, *rest: Any) -> Any:
        device.abandon_password_change()
        return change(api, device, *rest)

    return mock.patch.object(passwords, "change_password", anew)


def epoch_stays() -> AbstractContextManager[Any]:
    """A changed password does not raise the epoch."""
    begin, seal = Device.begin_password_change, Device._sealed

    def same_epoch(self: Device, unlocked: Any, limit: int, about: Any) -> Any:
        return seal(self, unlocked, limit, msgspec.structs.replace(about, epoch=about.epoch - 1))

    def change(self: Device, *arguments: Any) -> Any:
        with mock.patch.object(Device, "_sealed", same_epoch):
            return begin(self, *arguments)

    return mock.patch.object(Device, "begin_password_change", change)


def server_acknowledges_without_storing() -> AbstractContextManager[Any]:
    """The server says 200 and stores nothing."""
    return mock.patch.object(SqlWriteTransaction, "append_wallet", return_value=None)


def server_skips_a_sequence() -> AbstractContextManager[Any]:
    """The server takes a wallet that leaves a gap."""
    append = SqlWriteTransaction.append_wallet

    def count_twice(self: SqlWriteTransaction, account_id: int, wallet: Any) -> None:
        append(self, account_id, replace(wallet, sequence=wallet.sequence + 1))

    return mock.patch.object(SqlWriteTransaction, "append_wallet", count_twice)


def rollback_is_believed() -> AbstractContextManager[Any]:
    """An older version is taken for news."""
    return _believing(RollbackDetected)


def fork_is_believed() -> AbstractContextManager[Any]:
    """A version of another line is taken for news."""
    return _believing(ForkDetected)


def _believing(error: type[Exception]) -> AbstractContextManager[Any]:
    is_newer = continuity.is_newer

    def believe(*arguments: Any, **options: Any) -> bool:
        try:
            return is_newer(*arguments, **options)
        except error:
            return True

    return mock.patch.object(continuity, "is_newer", believe)


def entries_are_not_compared() -> AbstractContextManager[Any]:
    """What the other devices wrote is not looked for in what comes."""
    return mock.patch.object(continuity, "_covers_all", return_value=True)


def abandoned_is_forgotten() -> AbstractContextManager[Any]:
    """A version does not name what its author sent and gave up."""
    return mock.patch.object(abandoned, "after", lambda before, now: now.abandoned)


def abandoned_is_not_compared() -> AbstractContextManager[Any]:
    """A later write of a device covers all its earlier ones, also what it gave up."""
    covers = continuity._covers

    def cover(seen: Entry | None, entry: Entry) -> bool:
        return covers(None if seen is None else msgspec.structs.replace(seen, abandoned=()), entry)

    return mock.patch.object(continuity, "_covers", cover)


def earlier_version_needs_no_link() -> AbstractContextManager[Any]:
    """What is presented as an earlier version is taken for it, though nothing names it."""
    return mock.patch.object(versions, "are_linked", return_value=True)


def refused_wallet_leaves_a_trace() -> AbstractContextManager[Any]:
    """What was sent is forgotten before what came was checked."""
    accept = Device.accept

    def accept_late(self: Device, *arguments: Any) -> Any:
        self.save(pending=None)
        return accept(self, *arguments)

    return mock.patch.object(Device, "accept", accept_late)


def consent_takes_theirs() -> AbstractContextManager[Any]:
    """What a restored server has replaces the document, instead of being merged with it."""
    return mock.patch.object(Device, "_with_line", lambda self, base, theirs: Merged(theirs, ()))


def consent_forgets_local_edits() -> AbstractContextManager[Any]:
    """Only what this device's line had goes onto what a restored server has, and not what was not sent yet."""
    return mock.patch.object(Device, "_with_local_edits", lambda self, base, theirs: Merged(theirs, ()))


def consent_is_measured_against_theirs() -> AbstractContextManager[Any]:
    """What a restored server has is taken for what both sides had, so what is new there looks deleted here."""
    return mock.patch.object(
        restored_server, "common_ancestor", lambda format, state, version, document, older: format.decode(document)
    )


def consent_is_measured_against_nothing() -> AbstractContextManager[Any]:
    """What both sides had is not looked for, so all that was deleted comes back."""
    return mock.patch.object(restored_server, "common_ancestor", lambda format, *_: format.empty())


def consent_is_kept_secret() -> AbstractContextManager[Any]:
    """The other devices are not told, so each of them needs its person's consent, over and over."""
    return mock.patch.object(restored_server, "restores_of", return_value=())


def consent_is_sealed_under_the_earlier_password() -> AbstractContextManager[Any]:
    """Where the server has a password again that was changed since, everything is sealed under that one."""
    return mock.patch.object(Device, "check_password", return_value=None)


def any_consent_is_enough() -> AbstractContextManager[Any]:
    """A device follows whoever consented, also if that one had seen less."""
    return mock.patch.object(
        continuity, "_was_brought_along", lambda known, version, device: version.restores != known.restores
    )


def document_goes_with_the_account() -> AbstractContextManager[Any]:
    """Who deletes the account loses the document."""
    forget = Device.forget_account

    def leave_nothing(self: Device) -> None:
        forget(self)
        self.save(document=None)

    return mock.patch.object(Device, "forget_account", leave_nothing)


def old_account_goes_on_in_the_new_one() -> AbstractContextManager[Any]:
    """Who makes the account anew goes on after the last version of the old one."""
    return mock.patch.object(device, "_NO_ACCOUNT", {})


HONEST: dict[str, Bug] = {
    bug.__name__: bug
    for bug in (
        lost_answer_is_forgotten,
        lost_answer_is_success,
        retry_seals_anew,
        write_is_kept_too_late,
        merge_base_stays,
        base_moves_with_the_edit,
        conflicts_are_dropped,
        newer_wins,
        mine_wins,
        decision_is_half_saved,
        merge_is_half_saved,
        memory_outlives_an_interruption,
        change_is_kept_too_late,
        change_is_sealed_anew,
        epoch_stays,
        server_acknowledges_without_storing,
        server_skips_a_sequence,
        consent_takes_theirs,
        consent_forgets_local_edits,
        consent_is_measured_against_theirs,
        consent_is_measured_against_nothing,
        consent_is_kept_secret,
        consent_is_sealed_under_the_earlier_password,
        any_consent_is_enough,
        document_goes_with_the_account,
        old_account_goes_on_in_the_new_one,
    )
}
"""Those that show with an honest server."""

LYING: dict[str, Bug] = {
    bug.__name__: bug
    for bug in (
        rollback_is_believed,
        fork_is_believed,
        entries_are_not_compared,
        abandoned_is_forgotten,
        abandoned_is_not_compared,
        earlier_version_needs_no_link,
        refused_wallet_leaves_a_trace,
    )
}
"""Those that show with a server that lies."""

FIRST_SEEDS = {
    "decision_is_half_saved": 840,
    "merge_is_half_saved": 20,
    "memory_outlives_an_interruption": 920,
    "change_is_kept_too_late": 260,
    "change_is_sealed_anew": 35,
    "consent_takes_theirs": 100,
    "consent_is_measured_against_theirs": 100,
    "consent_is_measured_against_nothing": 390,
    "consent_is_kept_secret": 285,
    "consent_is_sealed_under_the_earlier_password": 180,
    "any_consent_is_enough": 285,
    "old_account_goes_on_in_the_new_one": 155,
    "entries_are_not_compared": 50,
    "abandoned_is_forgotten": 50,
    "abandoned_is_not_compared": 50,
    "refused_wallet_leaves_a_trace": 375,
}
"""Where to begin to look for those that show seldom. It only saves time: a change of the simulator moves them."""
