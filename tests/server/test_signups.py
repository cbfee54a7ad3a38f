"""Sign-ups that wait for their address to be confirmed, without HTTP and SMTP."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from tests.server.helpers import PASSWORD, cheap_passwords
from tests.server.waiting import OTHER, SECOND, Waiting
from tests.server.world import EMAIL, LIMIT, World
from walletsync_server.services import build_services, signups
from walletsync_server.services.passwords import Passwords
from walletsync_server.storage.interface import Account
from walletsync_server.storage.sql import schema
from walletsync_server.storage.sqlite.opening import open_sqlite


@pytest.mark.promise("P-55")
def test_sign_up_waits_until_its_link_is_confirmed(waiting: Waiting) -> None:
    """Before, the right password is `not_verified` and any other is wrong; after, it opens the account."""
    assert waiting.sign_up() is False
    assert (waiting.login(), waiting.login(OTHER)) == ("not_verified", "wrong_credentials")
    token = waiting.link()
    assert (waiting.login(), waiting.login(OTHER)) == ("not_verified", "wrong_credentials")
    assert waiting.confirm(token) is True
    assert (waiting.login(), waiting.login(OTHER)) == ("token", "wrong_credentials")
    assert waiting.services.seeds.seed_of(EMAIL) == "00" * 32


@pytest.mark.promise("P-54")
def test_link_works_once(waiting: Waiting) -> None:
    """A second press on the button makes nothing, and what is no token never did."""
    waiting.sign_up()
    token = waiting.link()
    assert [waiting.confirm(token) for _ in range(2)] == [True, False]
    assert len(waiting.rows(schema.accounts)) == 1
    assert waiting.confirm("0" * 64) is False


@pytest.mark.promise("S-20")
@pytest.mark.parametrize("rights", [PASSWORD, OTHER])
def test_link_activates_its_own_sign_up_only(waiting: Waiting, rights: str) -> None:
    """Of two sign-ups with one address the one whose link is confirmed becomes the account; the other never does."""
    tokens = {}
    for password in (PASSWORD, OTHER):
        waiting.sign_up(password=password)
        tokens[password] = waiting.link()
        waiting.clock.move(SECOND)
    wrongs = OTHER if rights == PASSWORD else PASSWORD
    assert waiting.confirm(tokens[rights])
    assert waiting.login(rights) == "token"
    assert not waiting.confirm(tokens[wrongs])
    assert waiting.login(rights) == "token"
    fake = waiting.services.seeds.seed_of("nobody@example.com")
    assert len(waiting.services.seeds.seed_of(EMAIL)) == len(fake)
    assert (waiting.services.seeds.seed_of(EMAIL) == "00" * 32) is (rights == PASSWORD)


def test_no_other_link_works_even_after_the_account_is_deleted(waiting: Waiting) -> None:
    """A link that another's confirmation made void stays void, and so does that of a mail that left before."""
    waiting.sign_up(password=OTHER)
    early = waiting.link()
    waiting.clock.move(SECOND)
    waiting.sign_up()
    (outgoing,) = [waiting.services.mail_queue.take()]
    assert outgoing
    assert outgoing.link
    assert waiting.confirm(outgoing.link.token)
    waiting.services.mail_queue.sent(outgoing)
    waiting.sql(delete(schema.accounts))
    assert not waiting.confirm(early)
    assert not waiting.confirm(outgoing.link.token)


def test_another_sign_up_that_waits_tells_nothing(waiting: Waiting) -> None:
    """Who signed up with somebody's address sees the same before and after its owner confirmed another."""
    waiting.sign_up(password=OTHER)
    waiting.sign_up()
    tokens = [each.link.token for each in waiting.deliver() if each.link and each.mail.signup_id]
    before = waiting.login(OTHER)
    assert waiting.confirm(tokens[1]) or waiting.confirm(tokens[0])
    rightful = PASSWORD if waiting.login() == "token" else OTHER
    assert before == waiting.login(OTHER if rightful == PASSWORD else PASSWORD) == "not_verified"


@pytest.mark.promise("P-57")
def test_sign_up_with_the_address_of_an_account_tells_nothing(waiting: Waiting) -> None:
    """It waits as any other does, its mail says that there is an account, and it never becomes one."""
    waiting.sign_up()
    waiting.confirm(waiting.link())
    assert waiting.sign_up(password=OTHER) is False
    assert waiting.login(OTHER) == "not_verified"
    (outgoing,) = waiting.deliver()
    assert outgoing.link is None
    assert waiting.login() == "token"


def test_same_sign_up_again_is_the_same(waiting: Waiting) -> None:
    """A lost answer makes no second sign-up; it brings another mail once the first has left, and both links work."""
    for _ in range(3):
        assert waiting.sign_up() is False
    assert len(waiting.rows(schema.signups)) == 1
    first = waiting.link()
    waiting.sign_up()
    second = waiting.link()
    assert waiting.confirm(first)
    assert not waiting.confirm(second)
    assert waiting.sign_up() is False
    assert waiting.login() == "token"
    assert len(waiting.rows(schema.accounts)) == 1


def test_second_link_of_a_sign_up_works(waiting: Waiting) -> None:
    """The mail that was sent again activates the same sign-up."""
    waiting.sign_up()
    waiting.link()
    waiting.services.accounts.mail_again(EMAIL)
    assert waiting.confirm(waiting.link())


@pytest.mark.promise("P-54")
def test_sign_up_and_its_link_live_two_days(waiting: Waiting) -> None:
    """Up to its last microsecond a link works; then neither it nor the password does, and the purge leaves nothing."""
    waiting.sign_up()
    waiting.sign_up(email="bob@example.com")
    tokens = {each.to: each.link.token for each in waiting.deliver() if each.link}
    waiting.clock.move(signups.LIFETIME - timedelta(microseconds=1))
    assert waiting.confirm(tokens["bob@example.com"])
    assert waiting.login() == "not_verified"
    waiting.clock.move(timedelta(microseconds=1))
    assert not waiting.confirm(tokens[EMAIL])
    assert waiting.login() == "wrong_credentials"
    assert waiting.services.signups.purge() == 1
    assert waiting.rows(schema.signups) == waiting.rows(schema.mails) == []
    assert timedelta(hours=48) == signups.LIFETIME


def test_repeated_sign_up_lives_anew(waiting: Waiting) -> None:
    """The same sign-up again has its whole time again."""
    waiting.sign_up()
    waiting.clock.move(signups.LIFETIME - SECOND)
    waiting.sign_up()
    waiting.clock.move(SECOND * 2)
    assert waiting.login() == "not_verified"


def test_account_that_came_otherwise_stands(waiting: Waiting) -> None:
    """If an account was made behind a sign-up's back, its link changes nothing about it."""
    waiting.sign_up(password=OTHER)
    token = waiting.link()
    waiting.storage.write(  # as an operator who adds one
        lambda t: t.insert_account(
            Account(account_id=1, email=EMAIL, password_hash="hash", salt_seed=None, created_at=waiting.clock.now)
        )
    )
    assert not waiting.confirm(token)
    assert [account.password_hash for account in waiting.rows(schema.accounts)] == ["hash"]


def test_resend_mails_everything_that_waits(waiting: Waiting) -> None:
    """Each sign-up of the address gets a mail of its own with a link of its own; no other address gets any."""
    for password in (PASSWORD, OTHER):
        waiting.sign_up(password=password)
    waiting.sign_up(email="bob@example.com")
    waiting.deliver()
    waiting.services.accounts.mail_again(EMAIL)
    mails = waiting.deliver()
    assert {each.mail.signup_id for each in mails} == {
        row.signup_id for row in waiting.rows(schema.signups) if row.email == EMAIL
    }
    assert {each.to for each in mails} == {EMAIL}
    assert len(mails) == 2


def test_resend_to_an_account_says_so(waiting: Waiting) -> None:
    """Who has an account and asks for a mail learns it from the mail."""
    waiting.sign_up()
    waiting.confirm(waiting.link())
    waiting.services.accounts.mail_again(EMAIL)
    assert [each.link for each in waiting.deliver()] == [None]


def test_resend_without_a_sign_up_mails_nothing(waiting: Waiting) -> None:
    """An address that nothing waits for gets no mail, and neither does one whose sign-up expired."""
    waiting.services.accounts.mail_again(EMAIL)
    assert waiting.deliver() == []
    waiting.sign_up()
    waiting.clock.move(signups.LIFETIME)
    waiting.services.accounts.mail_again(EMAIL)
    assert waiting.deliver() == []


def test_resend_where_nothing_waits_for_confirmation_does_nothing(waiting: Waiting) -> None:
    """A server that makes accounts at once queues no mails."""
    plain = build_services(
        waiting.storage, may_sign_up=lambda email: True, max_wallet_bytes=LIMIT, passwords=cheap_passwords()
    )
    assert plain.accounts.sign_up(EMAIL, PASSWORD, None) is True
    plain.accounts.mail_again(EMAIL)
    assert waiting.rows(schema.mails) == []


def test_login_and_sign_up_cost_the_same_whatever_the_address(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New, waiting or taken: the same operations on the database and as many password hashes, in the same order."""
    hashed: list[str] = []
    hash_, verify = Passwords.hash, Passwords.verify

    def counted_hash(self: Passwords, password: str, salt: bytes | None = None, **more: Any) -> str:
        hashed.append("hash")
        return hash_(self, password, salt, **more)

    def counted_verify(self: Passwords, stored: str | None, password: str, **more: Any) -> bool:
        hashed.append("verify")
        return verify(self, stored, password, **more)

    monkeypatch.setattr(Passwords, "hash", counted_hash)
    monkeypatch.setattr(Passwords, "verify", counted_verify)
    waiting.sign_up(email="taken@example.com")
    waiting.confirm(waiting.link())
    waiting.sign_up(email="waiting@example.com")
    addresses = ["new@example.com", "waiting@example.com", "taken@example.com"]

    def cost(use: Callable[[], object]) -> tuple[list[str], list[str]]:
        hashed.clear()
        waiting.observed.operations.clear()
        use()
        return list(waiting.observed.operations), list(hashed)

    accounts, seeds = waiting.services.accounts, waiting.services.seeds
    logins = [cost(partial(waiting.login, OTHER, e)) for e in addresses]
    asked = [cost(partial(seeds.seed_of, e)) for e in addresses]
    resent = [cost(partial(accounts.mail_again, e)) for e in addresses]
    signed = [cost(partial(waiting.sign_up, e, OTHER)) for e in addresses]
    again = [cost(partial(waiting.sign_up, e, OTHER)) for e in addresses]
    assert (
        logins
        == [
            (
                ["read", "find_account", "knows_client", "has_token", "knows_client", "read", "has_signup"],
                ["verify", "hash"],
            )
        ]
        * 3
    )
    assert signed == again == [(["write", "put_signup", "queue_mail"], ["hash"])] * 3
    assert resent == [(["write", "queue_mail"], [])] * 3
    assert len(asked) == asked.count(asked[0]) == 3
    assert asked[0][0]


@pytest.mark.promise("T-18")
def test_nothing_stored_confirms_a_sign_up(waiting: Waiting) -> None:
    """Before and after its mail was sent, no value in the database is or contains the token, or works as one."""
    waiting.sign_up()
    token = waiting.link()
    values = [value for table in schema.metadata.sorted_tables for row in waiting.rows(table) for value in row]
    texts = [value.hex() if isinstance(value, bytes) else str(value) for value in values]
    assert EMAIL in texts
    assert not any(token in text or bytes.fromhex(token) == value for text, value in zip(texts, values, strict=True))
    assert not any(waiting.confirm(text) for text in texts)
    assert waiting.confirm(token)


def test_salt_of_sign_ups_differs_between_addresses_and_servers(waiting: Waiting, tmp_path: Path) -> None:
    """The same password has one hash for an address on a server, and another for any other."""
    storage = open_sqlite(tmp_path / "other.db", inline=True)
    other = build_services(
        storage, may_sign_up=lambda email: True, max_wallet_bytes=1, confirm_addresses=True, passwords=cheap_passwords()
    )
    for email in (EMAIL, "bob@example.com"):
        waiting.sign_up(email=email)
        other.accounts.sign_up(email, PASSWORD, None)
    here = {row.password_hash for row in waiting.rows(schema.signups)}
    there = storage.read(lambda t: t._connection.execute(select(schema.signups.c.password_hash)).scalars().all())  # type: ignore[attr-defined]
    storage.close()
    assert len(here | set(there)) == 4


def test_made_up_link_writes_nothing(waiting: World) -> None:
    """Whoever tries tokens keeps nobody from writing: each is looked up, and no transaction that writes begins."""

    def fail() -> None:
        pytest.fail("a write began")

    waiting.storage.before_write = fail
    assert not waiting.services.signups.confirm("0" * 64)
