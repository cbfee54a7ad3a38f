"""What the services ask of a storage, and the records that cross the door. No engine in here.

A storage keeps accounts, the last versions of each account's wallet, and the tokens of its devices. The docstrings are
the contract; `contract_tests` asks every engine for it. Decisions (may this write happen?) are the services'. What
concerns an address alone stands in `interface_signups.py` and `interface_addresses.py`, and is imported from here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias, TypeVar

from walletsync_server.storage.interface_addresses import AddressReads, AddressWrites
from walletsync_server.storage.interface_addresses import AddressSummary as AddressSummary
from walletsync_server.storage.interface_signups import Mail as Mail
from walletsync_server.storage.interface_signups import Signup as Signup
from walletsync_server.storage.interface_signups import SignupReads, SignupWrites

T = TypeVar("T")
OnCommit: TypeAlias = Callable[[float, int], None]
"""Called after each commit, or its failure: how many seconds it took, and how many writes were in it."""


def take_no_notice(seconds: float, writes: int) -> None:
    """Take no notice of a commit."""


class StorageError(Exception):
    """The database could not do it; nothing of the transaction is stored, unless the database went away while it was
    committed: then it may be, wholly. The message is for the operator's log, so it names no value of a client."""


class AddressTaken(Exception):
    """An account with this e-mail address exists already."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account's row, which is also the lock of everything that belongs to it.

    `current_sequence` is 0 as long as there is no wallet. `epoch` counts the passwords, from 1.
    `salt_seed` is 32 bytes, or None if the client that signed up knew none. `disabled_at` is when the operator disabled
    it, `quota` how many bytes all kept versions of its wallet may have together; None if neither was done.
    """

    account_id: int
    email: str
    password_hash: str = field(repr=False)
    salt_seed: bytes | None = field(repr=False)
    created_at: datetime
    current_sequence: int = 0
    epoch: int = 1
    disabled_at: datetime | None = None
    quota: int | None = None


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """One version of an account's wallet. `digest` is `protocol.wallet_digest` of it; `device_id` wrote it."""

    sequence: int
    encrypted_wallet: str = field(repr=False)
    hmac: str = field(repr=False)
    digest: bytes
    device_id: str
    stored_at: datetime


class Content(NamedTuple):
    """What answers tell of a version. Whoever reads it most wants to know no more."""

    sequence: int
    hmac: str
    digest: bytes
    encrypted_wallet: str

    def __repr__(self) -> str:
        return f"Content(sequence={self.sequence})"


class Shown(NamedTuple):
    """What a token shows: when it expires, and the account's current wallet and its digest; both None if there is none.

    `wallet` is None also where it has more bytes than were wanted.
    """

    expires_at: datetime
    digest: bytes | None
    wallet: Content | None


@dataclass(frozen=True, kw_only=True)
class KeptVersion:
    """What the history tells of one version. `size` is the encrypted wallet's bytes of UTF-8."""

    sequence: int
    stored_at: datetime
    size: int
    device_id: str


class StoredVersion(NamedTuple):
    """What decides whether a version is kept: when it came, in whole hours since 1970 in UTC, and its size as above."""

    sequence: int
    hour: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is known of a token: whose it is and how long it lives. Of itself only the SHA-256 is kept.

    `epoch` is the account's when the token was issued.
    """

    account_id: int
    device_id: str
    epoch: int
    token_hash: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime


class ReadTransaction(AddressReads, SignupReads):
    """One consistent view of the database: whatever is asked in it, the answers are those of one moment.

    That holds for a read. A `WriteTransaction` sees what it did itself; of what others do, each question may be
    answered as of its own moment, but for what belongs to an account whose lock the transaction holds.
    """

    @abstractmethod
    def ping(self) -> None:
        """Ask the database anything at all."""

    @abstractmethod
    def count_accounts(self) -> int:
        """Return how many accounts there are."""

    @abstractmethod
    def deletions(self) -> dict[int, datetime]:
        """Return the numbers of the accounts that were deleted, and when, so that no backup brings them back."""

    @abstractmethod
    def backed_up_at(self) -> datetime | None:
        """Return when the last backup of this database was complete; None if there was none."""

    @abstractmethod
    def find_account(self, email: str) -> Account | None:
        """Return the account of this address, if there is one."""

    @abstractmethod
    def salt_seed(self, email: str, otherwise: bytes) -> bytes:
        """Return the seed of this address's account; `otherwise` if there is none, by the same work."""

    @abstractmethod
    def secret(self) -> bytes | None:
        """Return the server's secret, None as long as `keep_secret` has stored none."""

    @abstractmethod
    def void_mark(self) -> bytes | None:
        """Return the last `mark_void`, None if there was none."""

    @abstractmethod
    def find_token(self, token_hash: bytes) -> Token | None:
        """Return the token with this SHA-256, expired or not; None also if its account has a later epoch."""

    @abstractmethod
    def expiries(self, token_hashes: Collection[bytes]) -> dict[bytes, datetime]:
        """Return of these tokens those that `find_token` finds, each by its SHA-256, and when they expire.

        For some hundreds, of any accounts, in one question.
        """

    @abstractmethod
    def tokens_of(self, account_id: int) -> list[Token]:
        """Return the account's tokens of its present epoch, expired ones too, in the order of their device ids."""

    @abstractmethod
    def has_token(self, account_id: int, device_id: str) -> bool:
        """Say whether this device has a token of this account, expired or not."""

    @abstractmethod
    def knows_client(self, account_id: int, name: bytes, since: datetime) -> bool:
        """Say whether the account remembers a client of this name that came after `since`."""

    @abstractmethod
    def clients_of(self, account_id: int) -> dict[bytes, datetime]:
        """Return the names of the clients that the account remembers, and when each came last."""

    @abstractmethod
    def current_sequence(self, account_id: int) -> int:
        """Return the sequence of the current wallet; 0 if there is none, or no account."""

    @abstractmethod
    def current_digest(self, account_id: int) -> bytes | None:
        """Return the digest of the current wallet without reading the wallet; None if there is no wallet."""

    @abstractmethod
    def current_wallet(self, account_id: int) -> Wallet | None:
        """Return the current wallet, byte for byte as it was appended; None if there is none."""

    @abstractmethod
    def shown_by(self, token_hash: bytes, most: int | None = None) -> Shown | None:
        """Return what the token of `find_token` shows, None where that finds none; for every read of a wallet.

        An encrypted wallet of more than `most` bytes of UTF-8, if that is given, is not read.
        """

    @abstractmethod
    def digest_at(self, account_id: int, sequence: int) -> bytes | None:
        """Return the digest of that version, the current one or an older one that is kept; None if it is not kept."""

    @abstractmethod
    def wallet_at(self, account_id: int, sequence: int) -> Wallet | None:
        """Return that version, the current one or an older one that is kept; None if it is not kept."""

    @abstractmethod
    def history(self, account_id: int) -> list[KeptVersion]:
        """Return what is known of each version that is kept, the current one first, without reading wallets."""


class WriteTransaction(ReadTransaction, AddressWrites, SignupWrites):
    """A transaction that is durable as a whole once `Storage.write` returns, or leaves no trace.

    Several may run at once, also in other processes, and wait for each other where they change the same. So that none
    waits for one that waits for it, each touches at most one account, and in this order: whether its address may sign
    up, the account (or its address, by `insert_account`), what belongs to the account, the sign-ups and mails of its
    address, the server's own values. What removes rows of many accounts (`purge_tokens`, `forget_clients`,
    `purge_signups`, `purge_mails`) is alone in its transaction, and leaves out what others are changing.
    """

    @abstractmethod
    def lock_account(self, account_id: int) -> Account | None:
        """Return the account, and let no other transaction lock it until this one ends; None if it is gone.

        Whoever writes anything of an account calls this first and checks again what it checked before.
        """

    @abstractmethod
    def lock_account_of(self, token_hash: bytes) -> tuple[Account, Token] | None:
        """Lock the account of the token of `find_token`, as `lock_account` does; return both as they are then.

        None where there is no such token, also if it went while this waited for the lock.
        """

    @abstractmethod
    def insert_account(self, account: Account) -> None:
        """Add an account.

        Raises:
            AddressTaken: if the address has one. The constraint of the database decides, also between two processes.
        """

    @abstractmethod
    def replace_password(self, account_id: int, password_hash: str, salt_seed: bytes) -> None:
        """Set both and raise the epoch by one, which voids every token. The caller holds the lock.

        What is replaced and discarded in this transaction leaves the storage's files as with `delete_account`.
        """

    @abstractmethod
    def renew_password_hash(self, account_id: int, password_hash: str) -> None:
        """Set another hash of the same password; no token is void by that. The caller holds the lock."""

    @abstractmethod
    def set_disabled(self, account_id: int, since: datetime | None) -> None:
        """Note since when the account is disabled, None for one that is not. The caller holds the lock."""

    @abstractmethod
    def set_quota(self, account_id: int, quota: int | None) -> None:
        """Note how many bytes its kept versions may have, None for no such limit. The caller holds the lock."""

    @abstractmethod
    def delete_account(self, account_id: int, now: datetime) -> None:
        """Remove the account and all that belongs to it, mails to its address too. The caller holds the lock.

        Sign-ups of its address that wait are their makers'. Of the account its number stays, see `deletions`.

        Nobody finds any of it, and its address is free, as soon as the transaction is committed. An engine that has its
        files to itself leaves none of it in them once `Storage.write` returns; as long as somebody reads an earlier
        state, or the disk fails, soon after. In between others write. Where the process ends there, the next one goes
        on. A database server overwrites it in its own time.
        """

    @abstractmethod
    def append_wallet(self, account_id: int, wallet: Wallet) -> None:
        """Add a version and make it the current one. The caller holds the lock and has checked the sequence."""

    @abstractmethod
    def discard_wallets(self, account_id: int) -> None:
        """Remove all versions, as `delete_account` does; the next one follows them. The caller holds the lock."""

    @abstractmethod
    def stored_versions(self, account_id: int) -> list[StoredVersion]:
        """Return the versions that are kept, the current one first, without reading wallets; for every write."""

    @abstractmethod
    def drop_wallets(self, account_id: int, sequences: Iterable[int]) -> None:
        """Remove these versions, as far as they are there; the current one is not among them."""

    @abstractmethod
    def put_token(self, token: Token) -> bytes | None:
        """Add a token in place of the one that its device had; return the SHA-256 of that, None if it had none."""

    @abstractmethod
    def delete_token(self, token: Token) -> None:
        """Remove a token; nothing happens if it is gone."""

    @abstractmethod
    def delete_tokens(self, account_id: int) -> None:
        """Remove all tokens of the account."""

    @abstractmethod
    def delete_expired_tokens(self, account_id: int, now: datetime) -> None:
        """Remove the account's tokens that expired at `now` or before."""

    @abstractmethod
    def purge_tokens(self, moment: datetime, most: int) -> int:
        """Remove tokens of any accounts that expired at `moment` or before, at most `most`; return how many."""

    @abstractmethod
    def count_other_tokens(self, account_id: int, device_id: str, now: datetime) -> int:
        """Return how many tokens that expire after `now` the account has beside that device's."""

    @abstractmethod
    def remember_client(self, account_id: int, name: bytes, now: datetime, most: int) -> None:
        """Note that a client of this name came now; of more than `most` forget those that came longest ago."""

    @abstractmethod
    def forget_clients(self, before: datetime, most: int) -> int:
        """Forget clients of any accounts that came at `before` or earlier, at most `most`; return how many."""

    @abstractmethod
    def mark_void(self, mark: bytes) -> None:
        """Leave a mark unlike any other: a process that has listeners sees by it that some tokens are void now."""

    @abstractmethod
    def note_time(self, now: datetime) -> None:
        """Write down that it is `now`, in place of the last time: a write that shows that writing works."""

    @abstractmethod
    def keep_secret(self, fresh: bytes) -> bytes:
        """Return the server's secret; if the database has none yet, `fresh` is stored and becomes it."""


class Storage(ABC):
    """A database. Any thread may use it."""

    may_wait = False
    """Whether to read, or to begin a write, may wait for another program: an event loop then does neither."""
    has_company = False
    """Whether somebody else had the database open when this opened it."""

    @abstractmethod
    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """Return `work(transaction)`, where `work` sees everything that any earlier `write` returned from.

        Raises:
            StorageError: if the database cannot be asked.
        """

    def ask(self, question: Callable[[ReadTransaction], T]) -> T:
        """Return `question(transaction)`, as `read` does, where `question` asks one thing: that needs no transaction.

        Raises:
            StorageError: if the database cannot be asked.
        """
        return self.read(question)

    def check(self) -> None:
        """Ask the database anything at all, and whether it is where a restart would find it.

        Raises:
            StorageError: if it cannot be asked, or its files were deleted or replaced while they were open. Then no
                write succeeds either.
        """
        self.read(lambda transaction: transaction.ping())

    def size(self) -> int:
        """Return how many bytes the database has; 0 where its files tell.

        Raises:
            StorageError: if the database cannot be asked.
        """
        return 0

    def readers(self) -> tuple[int, int]:
        """Return how many read at this moment, and how many may; both 0 where nothing bounds them."""
        return 0, 0

    @abstractmethod
    def submit(self, work: Callable[[WriteTransaction], T]) -> Future[T]:
        """Begin a write; the future has what `work(transaction)` returned once all of it is on the disk.

        If `work` raises, nothing of it is stored and the future has the exception. `work` may run in another thread,
        in one commit with the work of others, which neither see each other's failures nor suffer from them. What was
        submitted cannot be cancelled.

        Raises:
            StorageError: in the future or at once, if the database cannot do it. Nothing is stored.
        """

    def write(self, work: Callable[[WriteTransaction], T]) -> T:
        """Return what `work(transaction)` returned, once all of it is on the disk. See `submit`."""
        return self.submit(work).result()

    @abstractmethod
    def close(self) -> None:
        """Finish what was given to `write`, refuse anything after, and release the database. Twice is fine."""
