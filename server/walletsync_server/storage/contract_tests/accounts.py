"""What every engine promises of accounts, their wallets and tokens, and of transactions."""

import gc
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from operator import methodcaller

import pytest

from walletsync_server.storage.contract_tests.fixtures import StorageContract
from walletsync_server.storage.contract_tests.records import BOB, NOW, Refused, append, token, told, wallet
from walletsync_server.storage.interface import (
    Account,
    AddressTaken,
    KeptVersion,
    ReadTransaction,
    Shown,
    Storage,
    StorageError,
    WriteTransaction,
)


class AccountContract(StorageContract):
    """Accounts with their wallets and tokens, and what a transaction is."""

    def test_account_comes_back(self, storage: Storage, alice: Account) -> None:
        """An account is found by its address with everything it was inserted with, to the microsecond."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        assert storage.read(lambda t: t.find_account("alice@example.com")) == alice
        assert storage.read(lambda t: t.find_account("bob@example.com")) == BOB
        assert storage.read(lambda t: t.find_account("Alice@example.com")) is None

    def test_salt_seed_is_the_accounts_or_another(self, storage: Storage, alice: Account) -> None:
        """An address without an account, and an account without a seed, have the one that the caller names."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        seeds = [storage.read(lambda t, e=e: t.salt_seed(e, b"other")) for e in (alice.email, BOB.email, "nobody")]  # type: ignore[misc]
        assert seeds == [alice.salt_seed, b"other", b"other"]

    def test_taken_address_is_refused(self, storage: Storage, alice: Account) -> None:
        """A second account of one address is refused and changes nothing."""
        other = replace(alice, account_id=2, password_hash="other")
        with pytest.raises(AddressTaken):
            storage.write(lambda transaction: transaction.insert_account(other))
        assert storage.read(lambda t: t.find_account(alice.email)) == alice

    def test_taken_account_id_is_a_storage_error(self, storage: Storage, alice: Account) -> None:
        """Two accounts never share an id, however it was chosen."""
        with pytest.raises(StorageError):
            storage.write(lambda t: t.insert_account(replace(BOB, account_id=alice.account_id)))
        assert storage.read(lambda t: t.find_account(BOB.email)) is None

    def test_lock_returns_the_account(self, storage: Storage, alice: Account) -> None:
        """`lock_account` returns the row as it is now; None if there is none."""
        append(storage, alice.account_id, wallet(1))
        assert storage.write(lambda t: t.lock_account(alice.account_id)) == replace(alice, current_sequence=1)
        assert storage.write(lambda t: t.lock_account(5)) is None

    def test_account_is_locked_by_its_token(self, storage: Storage, alice: Account) -> None:
        """`lock_account_of` returns both as they are now; None for a token that is unknown, or of an earlier epoch."""
        mine, bobs = token("a", 1), token("a", 2, BOB.account_id)
        storage.write(lambda t: t.insert_account(BOB))
        for each in (mine, bobs):
            storage.write(methodcaller("put_token", each))
        append(storage, alice.account_id, wallet(1))
        now = replace(alice, current_sequence=1)
        assert storage.write(lambda t: t.lock_account_of(mine.token_hash)) == (now, mine)
        assert storage.write(lambda t: t.lock_account_of(bobs.token_hash)) == (BOB, bobs)
        assert storage.write(lambda t: t.lock_account_of(bytes(32))) is None
        storage.write(lambda t: t.replace_password(alice.account_id, "new hash", bytes(32)))
        assert storage.write(lambda t: t.lock_account_of(mine.token_hash)) is None

    @pytest.mark.parametrize("text", ["-", "%d", "\0", "ä🔑", "x" * 1_000_000])
    def test_wallet_comes_back_byte_for_byte(self, storage: Storage, alice: Account, text: str) -> None:
        """The current wallet and its digest are those that were appended last."""
        assert storage.read(lambda t: t.current_wallet(alice.account_id)) is None
        assert storage.read(lambda t: t.current_digest(alice.account_id)) is None
        last = wallet(2, text, "h\0", "d\0")
        append(storage, alice.account_id, wallet(1), last)
        assert storage.read(lambda t: t.current_wallet(alice.account_id)) == last
        assert storage.read(lambda t: t.current_digest(alice.account_id)) == last.digest

    def test_token_shows_the_current_wallet_of_its_account(self, storage: Storage, alice: Account) -> None:
        """It shows when it expires, and of all wallets the last of its account; nothing that no account has."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        mine, bobs = token("a", 1), token("a", 2, BOB.account_id)
        for each in (mine, bobs):
            storage.write(methodcaller("put_token", each))
        assert storage.ask(lambda t: t.shown_by(mine.token_hash)) == Shown(mine.expires_at, None, None)
        assert storage.ask(lambda t: t.shown_by(bytes(32))) is None
        last = wallet(2, "ä🔑\0", "h\0", "d\0")
        append(storage, alice.account_id, wallet(1), last)
        append(storage, BOB.account_id, wallet(2))
        assert storage.ask(lambda t: t.shown_by(mine.token_hash)) == Shown(mine.expires_at, last.digest, told(last))
        storage.write(lambda t: t.discard_wallets(alice.account_id))
        assert storage.ask(lambda t: t.shown_by(mine.token_hash)) == Shown(mine.expires_at, None, None)
        storage.write(lambda t: t.replace_password(alice.account_id, "new hash", bytes(32)))
        assert storage.ask(lambda t: t.shown_by(mine.token_hash)) is None

    def test_question_is_answered_as_of_now(self, storage: Storage, alice: Account) -> None:
        """One that fails, or needs more than the driver, leaves nothing behind that would answer the next from then."""
        mine = token("a", 1)

        def fail(transaction: ReadTransaction) -> None:
            transaction.tokens_of(alice.account_id)
            raise Refused

        assert storage.ask(lambda t: t.tokens_of(alice.account_id)) == []
        with pytest.raises(Refused):
            storage.ask(fail)
        storage.write(lambda t: t.put_token(mine))
        assert storage.ask(lambda t: t.tokens_of(alice.account_id)) == [mine]
        assert storage.ask(lambda t: t.find_token(mine.token_hash)) == mine

    def test_large_wallet_is_not_read_by_who_wants_a_small_one(self, storage: Storage, alice: Account) -> None:
        """With `most`, a wallet of more bytes of UTF-8 is not shown; one of as many is, and none stays none."""
        mine, last = token("a", 1), wallet(1, "ä" * 5)
        storage.write(lambda t: t.put_token(mine))
        assert storage.ask(lambda t: t.shown_by(mine.token_hash, 0)) == Shown(mine.expires_at, None, None)
        append(storage, alice.account_id, last)
        assert storage.ask(lambda t: t.shown_by(mine.token_hash, 10)) == Shown(mine.expires_at, last.digest, told(last))
        assert storage.ask(lambda t: t.shown_by(mine.token_hash, 9)) == Shown(mine.expires_at, last.digest, None)

    def test_old_versions_are_kept_until_they_are_dropped(self, storage: Storage, alice: Account) -> None:
        """`drop_wallets` removes those that are named, one that is gone included, and touches no other account."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        versions = [wallet(sequence) for sequence in range(1, 6)]
        append(storage, alice.account_id, *versions)
        append(storage, BOB.account_id, *versions)
        for _ in range(2):
            storage.write(lambda t: t.drop_wallets(alice.account_id, [1, 3]))
        kept = [storage.read(lambda t, s=s: t.digest_at(alice.account_id, s)) for s in range(7)]  # type: ignore[misc]
        digests = [version.digest for version in versions]
        assert kept == [None, None, digests[1], None, digests[3], digests[4], None]
        assert storage.read(lambda t: t.digest_at(BOB.account_id, 1)) == digests[0]

    def test_wallet_needs_an_account(self, storage: Storage) -> None:
        """Nothing can be stored under an account that does not exist."""
        with pytest.raises(StorageError):
            append(storage, 5, wallet(1))

    def test_same_version_twice_is_refused(self, storage: Storage, alice: Account) -> None:
        """The key of a version is account and sequence."""
        append(storage, alice.account_id, wallet(1))
        with pytest.raises(StorageError):
            append(storage, alice.account_id, wallet(1, "other"))
        assert storage.read(lambda t: t.current_wallet(alice.account_id)) == wallet(1)

    def test_tokens_are_found_by_their_hash(self, storage: Storage, alice: Account) -> None:
        """A device has one token, the last; devices are told apart byte for byte."""
        first, second, other = token("a", 1), token("a", 2), token("a\0", 3)
        for each in (first, second, other):
            storage.write(methodcaller("put_token", each))
        found = [storage.read(lambda t, x=x: t.find_token(x.token_hash)) for x in (first, second, other)]  # type: ignore[misc]
        assert found == [None, second, other]
        assert storage.write(lambda t: t.count_other_tokens(alice.account_id, "a", NOW - timedelta(days=1))) == 1
        assert storage.write(lambda t: t.count_other_tokens(alice.account_id, "b", NOW - timedelta(days=1))) == 2

    def test_tokens_are_deleted(self, storage: Storage, alice: Account) -> None:
        """A token is removed by itself, or with those that expired at a time or before; others stay."""
        for number, device in enumerate("abc"):
            storage.write(lambda t, d=device, n=number: t.put_token(token(d, n)))  # type: ignore[misc]
        storage.write(lambda t: t.delete_expired_tokens(alice.account_id, NOW + timedelta(days=1)))
        assert storage.write(lambda t: t.count_other_tokens(alice.account_id, "", NOW - timedelta(days=1))) == 1
        storage.write(lambda t: t.delete_token(token("c", 2)))
        storage.write(lambda t: t.delete_token(token("c", 2)))
        assert storage.write(lambda t: t.count_other_tokens(alice.account_id, "", NOW - timedelta(days=1))) == 0

    def test_tokens_of_other_accounts_stay_and_do_not_count(self, storage: Storage, alice: Account) -> None:
        """Whatever is done about one account's tokens, another account's of the same device ids are left alone."""
        storage.write(lambda t: t.insert_account(BOB))
        bobs = [token("a", 1, BOB.account_id), token("b", 2, BOB.account_id)]
        for each in [*bobs, token("a", 3)]:
            storage.write(methodcaller("put_token", each))
        assert storage.write(lambda t: t.count_other_tokens(alice.account_id, "", NOW - timedelta(days=1))) == 1
        storage.write(lambda t: t.delete_expired_tokens(alice.account_id, NOW + timedelta(days=9)))
        storage.write(lambda t: t.put_token(token("b", 4)))
        storage.write(lambda t: t.delete_token(replace(bobs[0], account_id=alice.account_id)))
        assert storage.write(lambda t: t.count_other_tokens(alice.account_id, "", NOW - timedelta(days=1))) == 1
        assert [storage.read(lambda t, x=x: t.find_token(x.token_hash)) for x in bobs] == bobs  # type: ignore[misc]

    def test_tokens_of_an_account_are_listed(self, storage: Storage, alice: Account) -> None:
        """All of the account's, in the order of their device ids, and no other account's."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        held = [token("a", 1), token("b", 2), token("c", 3)]
        for each in (held[2], held[0], token("x", 4, BOB.account_id), held[1]):
            storage.write(methodcaller("put_token", each))
        assert storage.read(lambda t: t.tokens_of(alice.account_id)) == held
        storage.write(lambda t: t.delete_tokens(alice.account_id))
        assert storage.read(lambda t: t.tokens_of(alice.account_id)) == []
        assert storage.read(lambda t: len(t.tokens_of(BOB.account_id))) == 1

    def test_expiries_are_those_of_tokens_that_are_found(self, storage: Storage, alice: Account) -> None:
        """Of several accounts at once; none of a token that is unknown, or of an earlier epoch."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        held = [token("a", 1), token("b", 2), token("x", 3, BOB.account_id), token("y", 4, BOB.account_id)]
        for each in held:
            storage.write(methodcaller("put_token", each))
        asked = [each.token_hash for each in held if each is not held[3]] + [bytes(32)]
        assert storage.ask(lambda t: t.expiries(asked)) == {each.token_hash: each.expires_at for each in held[:3]}
        assert storage.ask(lambda t: t.expiries([])) == {}
        storage.write(lambda t: t.replace_password(alice.account_id, "new hash", bytes(32)))
        assert storage.ask(lambda t: t.expiries(asked)) == {held[2].token_hash: held[2].expires_at}

    def test_new_password_voids_the_tokens(self, storage: Storage, alice: Account) -> None:
        """`replace_password` sets hash and seed, raises the epoch, and from then on no older token is found."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        bobs = token("b", 2, BOB.account_id)
        for each in (token("a", 1), bobs):
            storage.write(methodcaller("put_token", each))
        storage.write(lambda t: t.replace_password(alice.account_id, "new hash", b"n" * 32))
        changed = replace(alice, password_hash="new hash", salt_seed=b"n" * 32, epoch=2)
        assert storage.read(lambda t: t.find_account(alice.email)) == changed
        assert storage.read(lambda t: t.find_token(token("a", 1).token_hash)) is None
        assert storage.read(lambda t: t.tokens_of(alice.account_id)) == []
        assert storage.read(lambda t: t.find_token(bobs.token_hash)) == bobs
        fresh = token("a", 3, epoch=2)
        assert storage.write(lambda t: t.put_token(fresh)) == token("a", 1).token_hash
        assert storage.read(lambda t: t.find_token(fresh.token_hash)) == fresh
        assert storage.write(lambda t: t.put_token(token("c", 4, epoch=2))) is None

    def test_renewed_hash_voids_nothing(self, storage: Storage, alice: Account) -> None:
        """Only the hash of the one account is another, and its tokens are found as before."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        storage.write(lambda t: t.put_token(token("a", 1)))
        storage.write(lambda t: t.renew_password_hash(alice.account_id, "new hash"))
        assert storage.read(lambda t: t.find_account(alice.email)) == replace(alice, password_hash="new hash")
        assert storage.read(lambda t: t.find_account(BOB.email)) == BOB
        assert storage.read(lambda t: t.find_token(token("a", 1).token_hash)) == token("a", 1)

    def test_known_clients(self, storage: Storage, alice: Account) -> None:
        """A client is known since it came last, to its account only; the oldest go, and all with the account."""
        storage.write(lambda t: t.insert_account(BOB))
        for minute, name in enumerate((b"a", b"b", b"a", b"c")):
            came = NOW + timedelta(minutes=minute)
            storage.write(lambda t, n=name, m=came: t.remember_client(alice.account_id, n, m, 2))  # type: ignore[misc]
        storage.write(lambda t: t.remember_client(BOB.account_id, b"b", NOW, 2))

        def known(since: datetime, account_id: int = alice.account_id) -> list[bool]:
            return [storage.read(lambda t, n=n: t.knows_client(account_id, n, since)) for n in (b"a", b"b", b"c")]  # type: ignore[misc]

        assert known(NOW) == [True, False, True]
        assert known(NOW + timedelta(minutes=2)) == [False, False, True]
        assert known(NOW - timedelta(minutes=1), BOB.account_id) == [False, True, False]
        assert known(NOW, 0) == [False, False, False]
        assert storage.read(lambda t: t.clients_of(BOB.account_id)) == {b"b": NOW}
        assert storage.read(lambda t: t.clients_of(0)) == {}
        later = NOW + timedelta(minutes=2)
        assert [storage.write(lambda t: t.forget_clients(later, 1)) for _ in range(3)] == [1, 1, 0]
        assert known(NOW) == [False, False, True]
        storage.write(lambda t: t.delete_account(alice.account_id, NOW))
        assert known(NOW) == [False, False, False]

    def test_stored_versions_tell_when_they_came_and_their_size(self, storage: Storage, alice: Account) -> None:
        """For every write: hours since 1970 and bytes of UTF-8, the current version first; none of what is gone."""
        assert storage.write(lambda t: t.stored_versions(alice.account_id)) == []
        append(storage, alice.account_id, wallet(1), wallet(2, "ä"), wallet(3, "€€"))
        storage.write(lambda t: t.drop_wallets(alice.account_id, [1]))
        hour = int(NOW.timestamp()) // 3600
        assert storage.write(lambda t: t.stored_versions(alice.account_id)) == [(3, hour, 6), (2, hour, 2)]
        storage.write(lambda t: t.discard_wallets(alice.account_id))
        assert storage.write(lambda t: t.stored_versions(alice.account_id)) == []

    def test_history_tells_every_kept_version(self, storage: Storage, alice: Account) -> None:
        """The current version first, with the size in bytes of UTF-8; each can be read as it was appended."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        versions = [wallet(1, "-"), wallet(2, "ä\0"), wallet(3, "🔑", device="phone")]
        append(storage, alice.account_id, *versions)
        append(storage, BOB.account_id, wallet(1, "bob's"))
        told = [
            KeptVersion(sequence=w.sequence, stored_at=NOW, size=n, device_id=w.device_id)
            for w, n in zip(versions, (1, 3, 4), strict=True)
        ]
        assert storage.read(lambda t: t.history(alice.account_id)) == told[::-1]
        found = [storage.read(lambda t, s=s: t.wallet_at(alice.account_id, s)) for s in range(5)]  # type: ignore[misc]
        assert found == [None, *versions, None]

    def test_deleted_account_leaves_nothing(self, storage: Storage, alice: Account) -> None:
        """Account, versions and tokens are gone, the address is free, and no other account is touched."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        for account in (alice, BOB):
            append(storage, account.account_id, wallet(1), wallet(2))
            storage.write(lambda t, a=account: t.put_token(token("a", len(a.email), a.account_id)))  # type: ignore[misc]
        storage.write(lambda t: t.delete_account(alice.account_id, NOW))
        assert storage.read(lambda t: t.find_account(alice.email)) is None
        assert storage.read(lambda t: t.deletions()) == {alice.account_id: NOW}
        assert storage.read(lambda t: t.history(alice.account_id)) == []
        assert storage.read(lambda t: t.find_token(token("a", len(alice.email)).token_hash)) is None
        storage.write(lambda t: t.insert_account(alice))
        assert storage.read(lambda t: t.current_wallet(alice.account_id)) is None
        assert storage.read(lambda t: t.current_wallet(BOB.account_id)) == wallet(2)
        assert storage.read(lambda t: len(t.tokens_of(BOB.account_id))) == 1

    def test_discarded_versions_are_gone(self, storage: Storage, alice: Account) -> None:
        """`discard_wallets` leaves none, large or small, but the account; the next one follows them."""
        storage.write(lambda transaction: transaction.insert_account(BOB))
        append(storage, alice.account_id, *(wallet(n, "x" * 700_000) for n in range(1, 5)))
        append(storage, BOB.account_id, wallet(1))
        storage.write(lambda t: t.discard_wallets(alice.account_id))
        assert storage.read(lambda t: t.history(alice.account_id)) == []
        assert storage.read(lambda t: t.current_wallet(alice.account_id)) is None
        assert storage.write(lambda t: t.lock_account(alice.account_id)) == replace(alice, current_sequence=4)
        append(storage, alice.account_id, wallet(5))
        assert storage.read(lambda t: t.current_wallet(alice.account_id)) == wallet(5)
        storage.write(lambda t: t.discard_wallets(alice.account_id))
        assert storage.read(lambda t: t.history(alice.account_id)) == []
        assert storage.read(lambda t: t.current_wallet(BOB.account_id)) == wallet(1)

    def test_large_account_is_deleted_like_a_small_one(self, storage: Storage, alice: Account) -> None:
        """When `write` returns, its row is gone, too: even the same id may be used again."""
        append(storage, alice.account_id, *(wallet(n, "x" * 700_000) for n in range(1, 5)))
        storage.write(lambda t: t.delete_account(alice.account_id, NOW))
        storage.write(lambda t: t.insert_account(alice))
        assert storage.read(lambda t: t.history(alice.account_id)) == []

    def test_secret_is_made_once(self, storage: Storage) -> None:
        """The first secret stays."""
        assert storage.write(lambda t: t.keep_secret(b"first")) == b"first"
        assert storage.write(lambda t: t.keep_secret(b"second")) == b"first"

    def test_work_that_raises_leaves_no_trace(self, storage: Storage, alice: Account) -> None:
        """If the work of a write raises, its exception is passed on and nothing of it is stored."""

        def work(transaction: WriteTransaction) -> None:
            transaction.append_wallet(alice.account_id, wallet(1))
            transaction.insert_account(BOB)
            raise Refused

        with pytest.raises(Refused):
            storage.write(work)
        assert storage.read(lambda t: t.find_account(BOB.email)) is None
        assert storage.read(lambda t: t.find_account(alice.email)) == alice

    def test_write_sees_itself_and_readers_do_not_yet(self, storage: Storage, alice: Account) -> None:
        """Until a write is committed only it sees what it did; `write` returns when everybody does."""

        def work(transaction: WriteTransaction) -> None:
            transaction.append_wallet(alice.account_id, wallet(1))
            assert transaction.current_wallet(alice.account_id) == wallet(1)
            assert storage.read(lambda t: t.current_wallet(alice.account_id)) is None

        storage.write(work)
        assert storage.read(lambda t: t.current_wallet(alice.account_id)) == wallet(1)

    def test_read_is_one_view(self, storage: Storage, alice: Account) -> None:
        """What others commit meanwhile is not seen by a read that has begun."""

        def work(transaction: ReadTransaction) -> None:
            assert transaction.current_digest(alice.account_id) is None
            append(storage, alice.account_id, wallet(1))
            assert transaction.current_digest(alice.account_id) is None

        storage.read(work)

    def test_read_keeps_no_view_when_it_is_over(self, storage: Storage, alice: Account) -> None:
        """What is read after a write is what was written, whatever was asked before it and not read to its end."""
        gc.disable()  # which would end what is left
        try:
            storage.read(lambda t: t.ping())
            append(storage, alice.account_id, wallet(1))
            assert storage.read(lambda t: t.current_wallet(alice.account_id)) == wallet(1)
        finally:
            gc.enable()

    def test_closed_storage_refuses(self, storage: Storage) -> None:
        """After `close` nothing is read or written; closing twice is fine."""
        storage.close()
        storage.close()
        with pytest.raises(StorageError):
            storage.read(lambda transaction: transaction.ping())
        with pytest.raises(StorageError):
            storage.write(lambda transaction: transaction.ping())

    def test_stored_state_survives_a_new_opening(
        self, storage: Storage, alice: Account, open_storage: Callable[[], Storage]
    ) -> None:
        """What was written is there when the database is opened again, secret included."""
        append(storage, alice.account_id, wallet(1))
        assert storage.read(lambda t: t.secret()) is None
        storage.write(lambda t: t.keep_secret(b"first"))
        storage.close()
        again = open_storage()
        assert again.read(lambda t: t.current_wallet(alice.account_id)) == wallet(1)
        assert again.write(lambda t: t.keep_secret(b"second")) == b"first"
        assert again.read(lambda t: t.secret()) == b"first"
        again.close()

    def test_devices_are_known_by_their_tokens(self, storage: Storage, alice: Account) -> None:
        """A device has a token, expired or not, in its own account only, and byte for byte under its name."""
        storage.write(lambda t: t.insert_account(BOB))
        storage.write(lambda t: t.put_token(token("a\0")))
        asked = [(alice.account_id, "a\0"), (alice.account_id, "a"), (BOB.account_id, "a\0"), (0, "a\0")]
        assert [storage.read(lambda t, x=x: t.has_token(*x)) for x in asked] == [True, False, False, False]  # type: ignore[misc]

    def test_account_is_disabled_and_limited_by_itself(self, storage: Storage, alice: Account) -> None:
        """Both come back as they were set, also None; nothing else changes, and no other account."""
        storage.write(lambda t: t.insert_account(BOB))
        storage.write(lambda t: t.set_disabled(alice.account_id, NOW))
        storage.write(lambda t: t.set_quota(alice.account_id, 2**40))
        changed = replace(alice, disabled_at=NOW, quota=2**40)
        assert storage.write(lambda t: t.lock_account(alice.account_id)) == changed
        assert storage.read(lambda t: t.find_account(BOB.email)) == BOB
        storage.write(lambda t: t.set_disabled(alice.account_id, None))
        storage.write(lambda t: t.set_quota(alice.account_id, None))
        assert storage.read(lambda t: t.find_account(alice.email)) == alice

    def test_last_mark_is_read(self, storage: Storage) -> None:
        """None at first, then whatever was left last."""
        assert storage.read(lambda t: t.void_mark()) is None
        for mark in (b"one", b"two"):
            storage.write(methodcaller("mark_void", mark))
        assert storage.read(lambda t: t.void_mark()) == b"two"

    def test_expired_tokens_of_all_accounts_are_purged(self, storage: Storage, alice: Account) -> None:
        """Whosever expired at a moment or before, no more at once than asked for; the others stay."""
        storage.write(lambda t: t.insert_account(BOB))
        held = [token("a", 1), token("b", 2), token("c", 3), token("d", 2, BOB.account_id)]
        for each in held:
            storage.write(methodcaller("put_token", each))
        moment = NOW + timedelta(days=2)
        assert [storage.write(lambda t: t.purge_tokens(moment, 2)) for _ in range(3)] == [2, 1, 0]
        assert storage.read(lambda t: t.tokens_of(alice.account_id)) == [token("c", 3)]
        assert storage.read(lambda t: t.tokens_of(BOB.account_id)) == []

    def test_expired_tokens_do_not_count(self, storage: Storage, alice: Account) -> None:
        """Of a device's token only that counts which expires after the moment that is asked about."""
        for number, device in enumerate("abc"):
            storage.write(lambda t, d=device, n=number: t.put_token(token(d, n)))  # type: ignore[misc]
        assert storage.write(lambda t: t.count_other_tokens(alice.account_id, "", NOW + timedelta(days=1))) == 1
