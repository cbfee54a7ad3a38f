"""Sealing and opening one version of the wallet: what the payload says and what the envelope binds, put together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from walletsync import continuity, crypto
from walletsync.continuity import Version
from walletsync.errors import BadWallet, OtherFormat
from walletsync.formats.base import Format, SeveralFormats
from walletsync.payload import Payload
from walletsync.protocol import WalletAnswer, wallet_digest
from walletsync.store import SealedVersion


@dataclass(frozen=True)
class UnlockedAccount:
    """An account's binding and the keys for it."""

    binding: crypto.Binding
    keys: crypto.Keys


def seal(unlocked: UnlockedAccount, about: Version, format: Format[Any], document: bytes) -> SealedVersion:
    """Seal `document` as the version that `about` describes; its digest comes from the sealing."""
    name, sent = format.sent(document) if isinstance(format, SeveralFormats) else (format.name, document)
    payload = Payload(
        format=name,
        device=about.device,
        entries=dict(about.entries),
        restores=about.restores,
        abandoned=about.abandoned,
        document=sent,
    )
    sealed = crypto.seal(
        unlocked.keys,
        unlocked.binding,
        epoch=about.epoch,
        sequence=about.sequence,
        previous=bytes.fromhex(about.previous),
        plaintext=payload.encode(),
    )
    digest = wallet_digest(about.sequence, sealed.encrypted_wallet, sealed.hmac).hex()
    return SealedVersion(
        seed=unlocked.binding.seed,
        encrypted_wallet=sealed.encrypted_wallet,
        hmac=sealed.hmac,
        known=continuity.known_after(replace(about, digest=digest)),
        document=document,
    )


def unseal(unlocked: UnlockedAccount, wallet: WalletAnswer, format: Format[Any]) -> tuple[Version, bytes]:
    """Open what a server presents; return what it says of itself and its document.

    Raises:
        BadWallet: it is not authentic, or its author's program does not follow the protocol.
        OtherFormat: it is authentic, but of another format.
    """
    opened = crypto.unseal(
        unlocked.keys,
        unlocked.binding,
        sequence=wallet.sequence,
        encrypted_wallet=wallet.encrypted_wallet,
        hmac=wallet.hmac,
    )
    payload = Payload.decode(opened.plaintext)
    document = payload.document
    if isinstance(format, SeveralFormats):
        document = format.received(payload.format, document)
    elif payload.format != format.name:
        raise OtherFormat.between(payload.format, format.name)
    version = Version(
        sequence=wallet.sequence,
        digest=wallet_digest(wallet.sequence, wallet.encrypted_wallet, wallet.hmac).hex(),
        previous=opened.previous.hex(),
        epoch=opened.epoch,
        device=payload.device,
        entries=payload.entries,
        restores=payload.restores,
        abandoned=payload.abandoned,
    )
    return version, document


def are_linked(
    unlocked: UnlockedAccount, newest: SealedVersion | None, older: Iterable[WalletAnswer], format: Format[Any]
) -> bool:
    """Tell whether each of `older`, the newest first, came before the one that is named before it.

    The one directly before is told by its digest; where those in between are not there, by what was known of each
    device's writes. `newest` is the one after the first of them. False as well if there is none or it is sealed under
    another seed, since nothing can be said then. Raises what `unseal` raises.
    """
    if newest is None or newest.seed != unlocked.binding.seed:
        return False
    after, _ = unseal(unlocked, newest.wallet, format)
    for each in older:
        version, _ = unseal(unlocked, each, format)
        if version.sequence == after.sequence - 1:
            is_before = version.digest == after.previous
        else:
            is_before = continuity.came_before(after, version)
        if not is_before:
            return False
        after = version
    return True


def is_opened_by(unlocked: UnlockedAccount, version: SealedVersion) -> bool:
    """Tell whether these are the keys that `version` is sealed under."""
    try:
        crypto.unseal(
            unlocked.keys,
            unlocked.binding,
            sequence=version.sequence,
            encrypted_wallet=version.encrypted_wallet,
            hmac=version.hmac,
        )
    except BadWallet:
        return False
    return True
