"""The numbers of accounts."""

import secrets

MAX_ACCOUNT_ID = 2**53 - 1
"""The largest integer that every JSON parser reads exactly."""


def new_account_id() -> int:
    """Return a number that no account has, but for one chance in millions of millions; the database decides."""
    return 1 + secrets.randbelow(MAX_ACCOUNT_ID)
