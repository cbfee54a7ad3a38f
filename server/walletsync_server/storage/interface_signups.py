"""What a storage keeps of sign-ups that wait for their address to be confirmed, and of the mails about them.

Part of the contract in `interface.py`, from which others import all of it. Everything here belongs to an address, since
there is no account yet.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Signup:
    """A sign-up that waits. An address may have several, one for each `signup_id`; none knows of the others."""

    email: str
    signup_id: bytes
    password_hash: str = field(repr=False)
    salt_seed: bytes | None = field(repr=False)
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail that waits or was sent.

    `signup_id` names the sign-up that it is about, None all of the address. `due_at` is when it may be tried (again).
    `token_hash` is the SHA-256 of the token in the link that was sent last, if that link is to work.
    """

    email: str
    mail_id: int
    signup_id: bytes | None
    created_at: datetime
    due_at: datetime
    attempts: int = 0
    sent_at: datetime | None = None
    token_hash: bytes | None = field(default=None, repr=False)


class SignupReads(ABC):
    """The reads about sign-ups and mails."""

    @abstractmethod
    def find_signup(self, email: str, signup_id: bytes) -> Signup | None:
        """Return that sign-up, expired or not, if it waits."""

    @abstractmethod
    def has_signup(self, email: str, password_hash: str, now: datetime) -> bool:
        """Say whether a sign-up of this address with this password hash waits and expires after `now`."""

    @abstractmethod
    def newest_signups(self, email: str, now: datetime, most: int) -> list[Signup]:
        """Return those of the address that expire after `now`, at most so many, the newest first."""

    @abstractmethod
    def find_linked_signup(self, token_hash: bytes) -> Signup | None:
        """Return the sign-up, expired or not, that a link with the token of this SHA-256 is to activate."""

    @abstractmethod
    def next_mail(self, now: datetime) -> Mail | None:
        """Return one of the mails that were not sent and are due at `now`, the one that was due first."""

    @abstractmethod
    def mails_to(self, email: str) -> list[Mail]:
        """Return all mails to this address, sent ones too, the oldest first."""

    @abstractmethod
    def count_mails_sent(self, email: str, since: datetime) -> int:
        """Return how many mails went to the address after `since`."""

    @abstractmethod
    def count_mails_waiting(self) -> int:
        """Return how many mails were not sent yet, due or not."""


class SignupWrites(SignupReads):
    """The writes about sign-ups and mails."""

    @abstractmethod
    def put_signup(self, signup: Signup) -> None:
        """Add a sign-up; if it waits already, only its `expires_at` is taken over."""

    @abstractmethod
    def delete_signup(self, signup: Signup) -> None:
        """Remove a sign-up; nothing happens if it is gone."""

    @abstractmethod
    def delete_signups(self, email: str, password_hash: str) -> None:
        """Remove those sign-ups of an address that have this password hash."""

    @abstractmethod
    def queue_mail(self, mail: Mail) -> None:
        """Add a mail."""

    @abstractmethod
    def drop_doubles(self, mail: Mail) -> None:
        """Remove all mails of the same address and `signup_id` that were not sent, but this one."""

    @abstractmethod
    def claim_mail(self, mail: Mail) -> None:
        """Store `due_at`, `attempts` and `token_hash` of a mail that is about to be tried."""

    @abstractmethod
    def postpone_mail(self, mail: Mail, due_at: datetime) -> None:
        """Store when the mail may be tried again, and nothing else of it."""

    @abstractmethod
    def mark_mail_sent(self, mail: Mail, sent_at: datetime) -> None:
        """Store when the mail was sent, and nothing else of it."""

    @abstractmethod
    def delete_mail(self, mail: Mail) -> None:
        """Remove a mail; nothing happens if it is gone."""

    @abstractmethod
    def void_links(self, email: str) -> None:
        """Forget the token hashes of all mails to the address, so that no link in them works any more."""

    @abstractmethod
    def purge_signups(self, now: datetime, most: int) -> int:
        """Remove sign-ups that expired at `now` or before, at most `most`; return how many."""

    @abstractmethod
    def purge_mails(self, before: datetime, most: int) -> int:
        """Remove mails that were made at `before` or earlier, at most `most`; return how many."""
