"""What every engine promises of sign-ups that wait, and of the mails about them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from walletsync_server.storage.contract_tests.fixtures import StorageContract
from walletsync_server.storage.contract_tests.records import ALICE, NOW
from walletsync_server.storage.interface import Mail, Signup, Storage, WriteTransaction

HOUR = timedelta(hours=1)
EMAIL = ALICE.email
SIGNUP = Signup(
    email=EMAIL,
    signup_id=b"one",
    password_hash="hash one",
    salt_seed=bytes(range(32)),
    created_at=NOW,
    expires_at=NOW + HOUR,
)
SECOND = replace(
    SIGNUP, signup_id=b"two", password_hash="hash two", salt_seed=None, created_at=NOW + timedelta(microseconds=1)
)
BOBS = replace(SIGNUP, email="bob@example.com")
MAIL = Mail(email=EMAIL, mail_id=2**63 - 1, signup_id=b"one", created_at=NOW, due_at=NOW)


def put(storage: Storage, *signups: Signup) -> None:
    """Store sign-ups in one write."""

    def work(transaction: WriteTransaction) -> None:
        for each in signups:
            transaction.put_signup(each)

    storage.write(work)


def queue(storage: Storage, *mails: Mail) -> None:
    """Queue mails in one write."""

    def work(transaction: WriteTransaction) -> None:
        for each in mails:
            transaction.queue_mail(each)

    storage.write(work)


def waiting(storage: Storage) -> list[Mail]:
    """Return all mails that are due at any time, in their order, by removing them inside a write that is undone."""
    found: list[Mail] = []

    class Undone(Exception):
        pass

    def work(transaction: WriteTransaction) -> None:
        while mail := transaction.next_mail(NOW + 1000 * HOUR):
            found.append(mail)
            transaction.delete_mail(mail)
        raise Undone

    with pytest.raises(Undone):
        storage.write(work)
    return found


class SignupContract(StorageContract):
    """Sign-ups that wait, and the mails about them."""

    def test_signups_come_back(self, storage: Storage) -> None:
        """Sign-ups of one address stand side by side and come back with everything they were put with."""
        put(storage, SIGNUP, SECOND, BOBS)
        found = [storage.read(lambda t, s=s: t.find_signup(s.email, s.signup_id)) for s in (SIGNUP, SECOND, BOBS)]  # type: ignore[misc]
        assert found == [SIGNUP, SECOND, BOBS]
        assert storage.read(lambda t: t.find_signup(EMAIL, b"three")) is None
        assert storage.read(lambda t: t.find_signup(BOBS.email, b"two")) is None

    def test_same_signup_again_lives_longer(self, storage: Storage) -> None:
        """What is put again keeps all but the time of its end, and changes no other."""
        put(storage, SIGNUP, SECOND, BOBS)
        put(storage, replace(SIGNUP, password_hash="other", created_at=NOW + HOUR, expires_at=NOW + 2 * HOUR))
        assert storage.read(lambda t: t.find_signup(EMAIL, b"one")) == replace(SIGNUP, expires_at=NOW + 2 * HOUR)
        assert storage.read(lambda t: t.find_signup(EMAIL, b"two")) == SECOND
        assert storage.read(lambda t: t.find_signup(BOBS.email, b"one")) == BOBS

    def test_password_hash_is_looked_for_among_all_of_the_address(self, storage: Storage) -> None:
        """`has_signup` knows the hashes of this address's sign-ups until they expire, and no others."""
        put(storage, SIGNUP, SECOND, replace(BOBS, password_hash="bobs"))
        just_before = SIGNUP.expires_at - timedelta(microseconds=1)
        for password_hash, now, expected in [
            ("hash one", just_before, True),
            ("hash two", just_before, True),
            ("hash one", SIGNUP.expires_at, False),
            ("bobs", NOW, False),
            ("", NOW, False),
        ]:
            assert storage.read(lambda t, h=password_hash, n=now: t.has_signup(EMAIL, h, n)) is expected  # type: ignore[misc]

    def test_newest_signups_come_first(self, storage: Storage) -> None:
        """Of one address's sign-ups those that have not expired come, the newest first, and no more than wanted."""
        third = replace(SIGNUP, signup_id=b"three", created_at=NOW + HOUR / 2, expires_at=NOW + 2 * HOUR)
        put(storage, SIGNUP, third, SECOND, BOBS)
        assert storage.read(lambda t: t.newest_signups(EMAIL, NOW, 5)) == [third, SECOND, SIGNUP]
        assert storage.read(lambda t: t.newest_signups(EMAIL, NOW, 2)) == [third, SECOND]
        assert storage.read(lambda t: t.newest_signups(EMAIL, NOW + HOUR, 5)) == [third]
        assert storage.read(lambda t: t.newest_signups("nobody@example.com", NOW, 5)) == []

    def test_deleted_signup_is_gone(self, storage: Storage) -> None:
        """One is removed and the others stay; twice is fine."""
        put(storage, SIGNUP, SECOND, BOBS)
        for _ in range(2):
            storage.write(lambda t: t.delete_signup(SIGNUP))
        assert storage.read(lambda t: t.newest_signups(EMAIL, NOW, 5)) == [SECOND]
        assert storage.read(lambda t: t.newest_signups(BOBS.email, NOW, 5)) == [BOBS]

    def test_signups_with_one_password_are_deleted(self, storage: Storage) -> None:
        """All of an address with this hash go; others, and those of other addresses, stay."""
        put(storage, SIGNUP, replace(SECOND, password_hash="hash one"), replace(SECOND, signup_id=b"three"), BOBS)
        storage.write(lambda t: t.delete_signups(EMAIL, "hash one"))
        assert storage.read(lambda t: t.newest_signups(EMAIL, NOW, 5)) == [replace(SECOND, signup_id=b"three")]
        assert storage.read(lambda t: t.newest_signups(BOBS.email, NOW, 5)) == [BOBS]

    def test_mails_come_in_the_order_in_which_they_are_due(self, storage: Storage) -> None:
        """A mail is next once it is due; the one that was due first goes first."""
        later = replace(MAIL, mail_id=1, signup_id=b"two", due_at=NOW + HOUR)
        first = replace(MAIL, mail_id=2, signup_id=None, due_at=NOW - HOUR, attempts=3)
        queue(storage, later, MAIL, first)
        assert storage.read(lambda t: t.count_mails_waiting()) == 3
        assert waiting(storage) == [first, MAIL, later]
        assert storage.read(lambda t: t.count_mails_waiting()) == 3
        assert storage.read(lambda t: t.next_mail(NOW - 2 * HOUR)) is None
        assert storage.read(lambda t: t.next_mail(NOW - HOUR)) == first

    @pytest.mark.parametrize("signup_id", [b"one", None])
    def test_doubles_of_a_mail_are_dropped(self, storage: Storage, signup_id: bytes | None) -> None:
        """Of the mails that wait about the same one is left; those that were sent, about others and to others stay."""
        mail = replace(MAIL, signup_id=signup_id)
        sent = replace(mail, mail_id=1)
        others = [
            replace(mail, mail_id=2, signup_id=b"two"),
            replace(mail, mail_id=3, signup_id=None if signup_id else b"one"),
            replace(mail, email="bob@example.com"),
        ]
        doubles = [replace(mail, mail_id=4), replace(mail, mail_id=5, due_at=NOW + HOUR)]
        queue(storage, sent, *doubles, mail, *others)
        storage.write(lambda t: t.mark_mail_sent(sent, NOW))
        storage.write(lambda t: t.drop_doubles(mail))
        assert sorted(waiting(storage), key=repr) == sorted([mail, *others], key=repr)
        assert storage.read(lambda t: t.count_mails_sent(EMAIL, NOW - HOUR)) == 1

    def test_claimed_mail_remembers_its_try(self, storage: Storage) -> None:
        """A claim stores the next try, how many there were, and the hash of the link's token; no other mail changes."""
        other = replace(MAIL, mail_id=1, signup_id=None, due_at=NOW + 9 * HOUR)
        queue(storage, MAIL, other)
        claimed = replace(MAIL, due_at=NOW + HOUR, attempts=1, token_hash=b"h" * 32)
        storage.write(lambda t: t.claim_mail(claimed))
        assert waiting(storage) == [claimed, other]
        storage.write(lambda t: t.postpone_mail(MAIL, NOW + 2 * HOUR))
        assert waiting(storage) == [replace(claimed, due_at=NOW + 2 * HOUR), other]

    def test_sent_mail_waits_no_more_and_counts(self, storage: Storage) -> None:
        """A mail that was sent is never next again, and counts for its address as long as is asked for."""
        second = replace(MAIL, mail_id=1, signup_id=None)
        queue(storage, MAIL, second, replace(MAIL, email="bob@example.com"))
        for mail, sent_at in [(MAIL, NOW), (second, NOW + HOUR)]:
            storage.write(lambda t, m=mail, s=sent_at: t.mark_mail_sent(m, s))  # type: ignore[misc]
        assert [mail.email for mail in waiting(storage)] == ["bob@example.com"]
        moments = [NOW - timedelta(microseconds=1), NOW, NOW + HOUR]
        assert [storage.read(lambda t, m=m: t.count_mails_sent(EMAIL, m)) for m in moments] == [2, 1, 0]  # type: ignore[misc]
        assert storage.read(lambda t: t.count_mails_sent("bob@example.com", NOW - HOUR)) == 0

    def test_link_leads_to_its_signup(self, storage: Storage) -> None:
        """A token's hash finds the sign-up that its mail was about, also before the mail is known to be sent."""
        put(storage, SIGNUP, SECOND, BOBS)
        queue(storage, MAIL, replace(MAIL, mail_id=1, signup_id=b"two"))
        storage.write(lambda t: t.claim_mail(replace(MAIL, token_hash=b"h" * 32)))
        assert storage.read(lambda t: t.find_linked_signup(b"h" * 32)) == SIGNUP
        storage.write(lambda t: t.mark_mail_sent(MAIL, NOW))
        assert storage.read(lambda t: t.find_linked_signup(b"h" * 32)) == SIGNUP
        assert storage.read(lambda t: t.find_linked_signup(b"x" * 32)) is None
        storage.write(lambda t: t.delete_signup(SIGNUP))
        assert storage.read(lambda t: t.find_linked_signup(b"h" * 32)) is None

    def test_void_links_lead_nowhere(self, storage: Storage) -> None:
        """No link in a mail to the address works any more; those to others do, and the mails stay as they are."""
        put(storage, SIGNUP, SECOND, BOBS)
        mails = [MAIL, replace(MAIL, mail_id=1, signup_id=b"two"), replace(MAIL, email=BOBS.email)]
        queue(storage, *mails)
        for number, mail in enumerate(mails):
            storage.write(lambda t, m=mail, n=number: t.claim_mail(replace(m, token_hash=bytes([n]))))  # type: ignore[misc]
        storage.write(lambda t: t.void_links(EMAIL))
        found = [storage.read(lambda t, n=n: t.find_linked_signup(bytes([n]))) for n in range(3)]  # type: ignore[misc]
        assert found == [None, None, BOBS]
        assert len(waiting(storage)) == 3

    def test_purge_takes_what_is_over(self, storage: Storage) -> None:
        """Sign-ups that expired and mails that are old go, whether sent or not; the others stay."""
        put(storage, SIGNUP, replace(SECOND, expires_at=NOW + 2 * HOUR), BOBS)
        old, younger = replace(MAIL, created_at=NOW - HOUR), replace(MAIL, mail_id=1, signup_id=None)
        queue(storage, old, younger)
        storage.write(lambda t: t.mark_mail_sent(old, NOW))
        assert [storage.write(lambda t: t.purge_signups(NOW + HOUR, 1)) for _ in range(3)] == [1, 1, 0]
        assert storage.write(lambda t: t.purge_mails(NOW - HOUR, 5)) == 1
        assert storage.read(lambda t: t.newest_signups(EMAIL, NOW, 5)) == [replace(SECOND, expires_at=NOW + 2 * HOUR)]
        assert storage.read(lambda t: t.newest_signups(BOBS.email, NOW, 5)) == []
        assert storage.read(lambda t: t.count_mails_sent(EMAIL, NOW - HOUR)) == 0
        assert waiting(storage) == [younger]

    def test_deleted_account_takes_the_mails_to_its_address_along(self, storage: Storage) -> None:
        """No mail to the address is left when its account is deleted; sign-ups, which others may have made, are."""
        storage.write(lambda t: t.insert_account(ALICE))
        put(storage, SIGNUP, BOBS)
        bobs = replace(MAIL, email=BOBS.email)
        queue(storage, MAIL, bobs)
        storage.write(lambda t: t.delete_account(ALICE.account_id, NOW))
        assert storage.read(lambda t: t.newest_signups(EMAIL, NOW, 5)) == [SIGNUP]
        assert storage.read(lambda t: t.newest_signups(BOBS.email, NOW, 5)) == [BOBS]
        assert waiting(storage) == [bobs]

    def test_mails_to_an_address_are_listed(self, storage: Storage) -> None:
        """Those that wait and those that were sent, the oldest first, and none of other addresses."""
        later = replace(MAIL, mail_id=1, created_at=NOW + HOUR)
        queue(storage, later, MAIL, replace(MAIL, email=BOBS.email))
        storage.write(lambda t: t.mark_mail_sent(MAIL, NOW))
        assert storage.read(lambda t: t.mails_to(EMAIL)) == [replace(MAIL, sent_at=NOW), later]

    def test_nothing_secret_is_shown(self) -> None:
        """What holds a hash or a seed does not show it when printed."""
        shown = repr(SIGNUP) + repr(replace(MAIL, token_hash=b"token hash"))
        for secret in ("hash one", "token hash", repr(SIGNUP.salt_seed)):
            assert secret not in shown
