"""What the operator asks of a storage: who may sign up, and who has an account."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Person:
    """An address that has an account or may have one. Without an account `created_at` is None."""

    email: str
    allowed: bool
    created_at: datetime | None = None
    current_sequence: int = 0
    devices: int = 0


class PeopleReads(ABC):
    """Part of `ReadTransaction`."""

    @abstractmethod
    def is_allowed(self, email: str) -> bool:
        """Say whether the operator allowed this address to sign up."""

    @abstractmethod
    def people_after(self, email: str, count: int, now: datetime) -> list[Person]:
        """Return the next `count` people in the order of their addresses, with the devices logged in at `now`."""


class PeopleWrites(ABC):
    """Part of `WriteTransaction`."""

    @abstractmethod
    def allow(self, email: str, now: datetime) -> bool:
        """Allow an address to sign up; False if it was allowed already."""

    @abstractmethod
    def disallow(self, email: str) -> bool:
        """Take that back, which does nothing to an account; False if it was not allowed."""
