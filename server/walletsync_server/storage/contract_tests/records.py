"""Records that the tests of a storage write and look for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from walletsync.protocol import wallet_digest
from walletsync_server.storage.interface import Account, Content, Storage, Token, Wallet, WriteTransaction

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ALICE = Account(
    account_id=2**53 - 1,
    email="alice@example.com",
    password_hash="hash",
    salt_seed=bytes(range(32)),
    created_at=NOW,
)
BOB = replace(ALICE, account_id=1, email="bob@example.com", salt_seed=None)


class Refused(Exception):
    """What a test's own work raises."""


def wallet(sequence: int, text: str = "-", hmac: str = "h", device: str = "laptop") -> Wallet:
    """Return a version of a wallet that is whole."""
    return Wallet(
        sequence=sequence,
        encrypted_wallet=text,
        hmac=hmac,
        digest=wallet_digest(sequence, text, hmac),
        device_id=device,
        stored_at=NOW,
    )


def told(version: Wallet) -> Content:
    """Return what answers tell of a version."""
    return Content(version.sequence, version.hmac, version.digest, version.encrypted_wallet)


def token(device: str, number: int = 0, account_id: int = ALICE.account_id, epoch: int = 1) -> Token:
    """Return a token that lives for `number` days."""
    return Token(
        account_id=account_id,
        device_id=device,
        epoch=epoch,
        token_hash=bytes([number]) * 32,
        created_at=NOW,
        expires_at=NOW + timedelta(days=number),
    )


def append(storage: Storage, account_id: int, *wallets: Wallet) -> None:
    """Append versions to an account in one write."""

    def work(transaction: WriteTransaction) -> None:
        for each in wallets:
            transaction.append_wallet(account_id, each)

    storage.write(work)
