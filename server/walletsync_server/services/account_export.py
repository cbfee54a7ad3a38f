"""Everything that the server keeps of one account, for the person whose account it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from walletsync_server.storage.interface import Account, ReadTransaction

_MOST_SIGNUPS = 1000


def export_account(transaction: ReadTransaction, email: str, now: datetime) -> Mapping[str, Any] | None:
    """Return all of an account, of one moment, as values that JSON has; None if there is no account.

    Hashes of passwords and tokens are left out: they are of use to nobody but a thief. Times are RFC 3339 in UTC.
    """
    account = transaction.find_account(email)
    if account is None:
        return None
    return {
        "email": account.email,
        "exported_at": _time(now),
        "account_id": account.account_id,
        "created_at": _time(account.created_at),
        "disabled_at": _time(account.disabled_at),
        "quota": account.quota,
        "salt_seed": account.salt_seed.hex() if account.salt_seed else None,
        "passwords_so_far": account.epoch,
        "allowed_to_sign_up": transaction.is_allowed(email),
        "versions": _versions(transaction, account),
        "devices": [
            {"device_id": each.device_id, "logged_in_at": _time(each.created_at), "expires_at": _time(each.expires_at)}
            for each in transaction.tokens_of(account.account_id)
        ],
        "known_clients": [
            {"name": name.hex(), "came_at": _time(came_at)}
            for name, came_at in transaction.clients_of(account.account_id).items()
        ],
        "signups": [
            {"created_at": _time(each.created_at), "expires_at": _time(each.expires_at)}
            for each in transaction.newest_signups(email, now, _MOST_SIGNUPS)
        ],
        "mails": [
            {"created_at": _time(each.created_at), "sent_at": _time(each.sent_at)}
            for each in transaction.mails_to(email)
        ],
    }


def _versions(transaction: ReadTransaction, account: Account) -> list[Mapping[str, Any]]:
    kept = (
        transaction.wallet_at(account.account_id, each.sequence) for each in transaction.history(account.account_id)
    )
    return [
        {
            "sequence": wallet.sequence,
            "stored_at": _time(wallet.stored_at),
            "device_id": wallet.device_id,
            "encrypted_wallet": wallet.encrypted_wallet,
            "hmac": wallet.hmac,
            "digest": wallet.digest.hex(),
        }
        for wallet in kept
        if wallet is not None  # all are there, in one view of the database
    ]


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
