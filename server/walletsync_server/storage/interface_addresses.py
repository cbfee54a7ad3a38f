"""What an operator asks of a storage: which addresses may sign up, and which have an account.

Part of the contract in `interface.py`, from which others import all of it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class AddressSummary:
    """An address that has an account or may sign up. Without an account `created_at` is None.

    `versions` and `size` are of what is kept of the wallet, the size in bytes of UTF-8. `last_seen` is when the last
    version was stored or the password was last proven, whichever is later; None if nothing of that is known any more.
    `disabled_at` and `quota` are the account's.
    """

    email: str
    allowed: bool
    created_at: datetime | None = None
    current_sequence: int = 0
    devices: int = 0
    versions: int = 0
    size: int = 0
    last_seen: datetime | None = None
    disabled_at: datetime | None = None
    quota: int | None = None


class AddressReads(ABC):
    """The reads about addresses."""

    @abstractmethod
    def is_allowed(self, email: str) -> bool:
        """Say whether the operator allowed this address to sign up."""

    @abstractmethod
    def addresses_after(self, email: str, most: int, now: datetime) -> list[AddressSummary]:
        """Return the next ones in their order, at most so many, with how many devices are logged in at `now`."""

    @abstractmethod
    def address_summary(self, email: str, now: datetime) -> AddressSummary | None:
        """Return this one; None if it has no account and was not allowed."""


class AddressWrites(AddressReads):
    """The writes about addresses."""

    @abstractmethod
    def allow(self, email: str, now: datetime) -> bool:
        """Allow an address to sign up; False if it was allowed already."""

    @abstractmethod
    def disallow(self, email: str) -> bool:
        """Take that back, which does nothing to an account; False if it was not allowed."""
