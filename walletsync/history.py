"""Earlier versions, as the server keeps them and as this device can trust them; and one number that sums them up."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

from walletsync.api import Api
from walletsync.device import Device
from walletsync.errors import NotKept, NotReady, UnsyncedEdits
from walletsync.protocol import WalletAnswer, length_prefixed
from walletsync.remedies import Remedy
from walletsync.results import Fingerprint, KeptVersion
from walletsync.versions import UnlockedAccount

Fetch: TypeAlias = Callable[[int], WalletAnswer]
_GROUPS, _GROUP_DIGITS = 6, 5


def kept_versions(api: Api, token: str) -> tuple[KeptVersion, ...]:
    """List what the server keeps, the current version first."""
    listed = sorted(api.history(token).versions, key=lambda kept: -kept.sequence)
    return tuple(KeptVersion(kept.sequence, kept.time, kept.size, kept.device_id) for kept in listed)


def document_at(fetch: Fetch, device: Device, unlocked: UnlockedAccount, sequence: int) -> Any:
    """Return the document of one version, which `fetch` gets from the server; `Client.version` says more."""
    known = device.known
    if known is None or sequence > known.sequence:
        raise NotReady(f"This device has not seen version {sequence} yet.", remedy=Remedy.SYNC)
    return device.open_earlier(fetch(sequence), _between(fetch, sequence, known.sequence), unlocked)


def _between(fetch: Fetch, older: int, newer: int) -> Iterator[WalletAnswer]:
    """Yield the versions between two, the newest first, down to the first one that the server does not keep."""
    with suppress(NotKept):
        for sequence in range(newer - 1, older, -1):
            yield fetch(sequence)


def check_is_synced(device: Device) -> None:
    """Refuse where edits would be left behind."""
    if device.has_local_changes():
        raise UnsyncedEdits(
            "This device has edits that the server may not have. Nothing was changed.", remedy=Remedy.SYNC
        )


def fingerprint(device: Device) -> Fingerprint:
    """Sum up the synced state: whose wallet, which epoch, and the version, which names the one before, and so on.

    SHA-256 over "walletsync/1/fingerprint" and lp of realm, address, epoch, sequence (u64 each) and digest; of that,
    as one number, the last thirty decimal digits.
    """
    state = device.state
    if state.synced is None or state.realm is None or state.email is None:
        raise NotReady("There is nothing to compare yet.", remedy=Remedy.SYNC)
    known = state.synced.known
    parts = [
        state.realm.encode(),
        state.email.encode(),
        known.epoch.to_bytes(8, "big"),
        known.sequence.to_bytes(8, "big"),
        bytes.fromhex(known.digest),
    ]
    digest = hashlib.sha256(b"walletsync/1/fingerprint" + b"".join(map(length_prefixed, parts))).digest()
    number = int.from_bytes(digest, "big") % 10 ** (_GROUPS * _GROUP_DIGITS)
    digits = f"{number:0{_GROUPS * _GROUP_DIGITS}}"
    groups = [digits[start : start + _GROUP_DIGITS] for start in range(0, len(digits), _GROUP_DIGITS)]
    return Fingerprint(known.sequence, " ".join(groups))
