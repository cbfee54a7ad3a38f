"""Sign-ups that wait for their address to be confirmed, and the queue of mails about them, without HTTP and SMTP."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from email import message_from_bytes, policy
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import delete, select

from tests.server.helpers import PASSWORD, FakeClock, cheap_passwords
from tests.server.world import EMAIL, LIMIT, Interrupted, World
from walletsync.protocol import canonical_email
from walletsync_server.live.hub import Hub
from walletsync_server.mail.messages import compose
from walletsync_server.services import build_services, errors, mail_queue, signups
from walletsync_server.services.mail_queue import Link, Outgoing
from walletsync_server.services.passwords import Passwords
from walletsync_server.storage.contract_tests.signups import MAIL
from walletsync_server.storage.interface import Account, ReadTransaction, Storage, WriteTransaction
from walletsync_server.storage.sql import schema
from walletsync_server.storage.sqlite.opening import open_sqlite

T = TypeVar("T")
OTHER = "another password"
SECOND = timedelta(seconds=1)
SEEDS = {PASSWORD: bytes(32), OTHER: None}


class Observed(Storage):
    """A storage that remembers which operations each transaction did."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.operations: list[str] = []

    def read(self, work: Callable[[ReadTransaction], T]) -> T:
        self.operations.append("read")
        return self._storage.read(lambda transaction: work(self._watched(transaction)))

    def submit(self, work: Callable[[WriteTransaction], T]) -> Any:
        self.operations.append("write")
        return self._storage.submit(lambda transaction: work(self._watched(transaction)))

    def close(self) -> None:
        self._storage.close()

    def _watched(self, transaction: Any) -> Any:
        operations = self.operations

        class Watched:
            def __getattr__(self, name: str) -> Any:
                operations.append(name)
                return getattr(transaction, name)

        return Watched()


@dataclass
class Waiting(World):
    """A world where addresses have to be confirmed."""

    observed: Observed

    def sign_up(self, email: str = EMAIL, password: str = PASSWORD) -> bool:
        return self.services.accounts.sign_up(email, password, SEEDS[password])

    def deliver(self) -> list[Outgoing]:
        """Send all mails that are due now; return them in their order."""
        sent = []
        while outgoing := self.services.mail_queue.take():
            self.services.mail_queue.sent(outgoing)
            sent.append(outgoing)
        return sent

    def link(self) -> str:
        """Return the token in the only mail that is due now."""
        (outgoing,) = self.deliver()
        assert outgoing.link
        return outgoing.link.token

    def confirm(self, token: str) -> bool:
        return self.services.signups.confirm(token)

    def login(self, password: str = PASSWORD, email: str = EMAIL) -> str:
        """Return "token" for a login that gives one, else the error's code."""
        try:
            self.services.accounts.log_in(email, password, "laptop")
        except errors.ServiceError as error:
            return str(error.code)
        return "token"

    def rows(self, table: Any) -> list[Any]:
        return self.storage.read(lambda t: t._connection.execute(select(table)).all())  # type: ignore[attr-defined]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Waiting]:
    """Services over an inline storage, where addresses have to be confirmed."""
    storage, clock, hub = Interrupted(open_sqlite(tmp_path / "w.db", inline=True)), FakeClock(), Hub()
    observed = Observed(storage)
    services = build_services(
        observed,
        may_sign_up=lambda email: True,
        max_wallet_bytes=LIMIT,
        confirm_addresses=True,
        clock=clock,
        seconds=clock.seconds,
        passwords=cheap_passwords(),
        hub=hub,
    )
    yield Waiting(services, storage, clock, hub, observed)
    storage.close()


def test_sign_up_waits_until_its_link_is_confirmed(world: Waiting) -> None:
    """Before, the right password is `not_verified` and any other is wrong; after, it opens the account."""
    assert world.sign_up() is False
    assert (world.login(), world.login(OTHER)) == ("not_verified", "wrong_credentials")
    token = world.link()
    assert (world.login(), world.login(OTHER)) == ("not_verified", "wrong_credentials")
    assert world.confirm(token) is True
    assert (world.login(), world.login(OTHER)) == ("token", "wrong_credentials")
    assert world.services.seeds.seed_of(EMAIL) == "00" * 32


def test_link_works_once(world: Waiting) -> None:
    """A second press on the button makes nothing, and what is no token never did."""
    world.sign_up()
    token = world.link()
    assert [world.confirm(token) for _ in range(2)] == [True, False]
    assert len(world.rows(schema.accounts)) == 1
    assert world.confirm("0" * 64) is False


@pytest.mark.parametrize("rights", [PASSWORD, OTHER])
def test_link_activates_its_own_sign_up_only(world: Waiting, rights: str) -> None:
    """Of two sign-ups with one address the one whose link is confirmed becomes the account; the other never does."""
    tokens = {}
    for password in (PASSWORD, OTHER):
        world.sign_up(password=password)
        tokens[password] = world.link()
        world.clock.move(SECOND)
    wrongs = OTHER if rights == PASSWORD else PASSWORD
    assert world.confirm(tokens[rights])
    assert world.login(rights) == "token"
    assert not world.confirm(tokens[wrongs])
    assert world.login(rights) == "token"
    fake = world.services.seeds.seed_of("nobody@example.com")
    assert len(world.services.seeds.seed_of(EMAIL)) == len(fake)
    assert (world.services.seeds.seed_of(EMAIL) == "00" * 32) is (rights == PASSWORD)


def test_no_other_link_works_even_after_the_account_is_deleted(world: Waiting) -> None:
    """A link that another's confirmation made void stays void, and so does that of a mail that left before."""
    world.sign_up(password=OTHER)
    early = world.link()
    world.clock.move(SECOND)
    world.sign_up()
    (outgoing,) = [world.services.mail_queue.take()]
    assert outgoing
    assert outgoing.link
    assert world.confirm(outgoing.link.token)
    world.services.mail_queue.sent(outgoing)
    world.sql(delete(schema.accounts))
    assert not world.confirm(early)
    assert not world.confirm(outgoing.link.token)


def test_another_sign_up_that_waits_tells_nothing(world: Waiting) -> None:
    """Who signed up with somebody's address sees the same before and after its owner confirmed another."""
    world.sign_up(password=OTHER)
    world.sign_up()
    tokens = [each.link.token for each in world.deliver() if each.link and each.mail.signup_id]
    before = world.login(OTHER)
    assert world.confirm(tokens[1]) or world.confirm(tokens[0])
    rightful = PASSWORD if world.login() == "token" else OTHER
    assert before == world.login(OTHER if rightful == PASSWORD else PASSWORD) == "not_verified"


def test_sign_up_with_the_address_of_an_account_tells_nothing(world: Waiting) -> None:
    """It waits as any other does, its mail says that there is an account, and it never becomes one."""
    world.sign_up()
    world.confirm(world.link())
    assert world.sign_up(password=OTHER) is False
    assert world.login(OTHER) == "not_verified"
    (outgoing,) = world.deliver()
    assert outgoing.link is None
    assert world.login() == "token"


def test_same_sign_up_again_is_the_same(world: Waiting) -> None:
    """A lost answer makes no second sign-up; it brings another mail once the first has left, and both links work."""
    for _ in range(3):
        assert world.sign_up() is False
    assert len(world.rows(schema.signups)) == 1
    first = world.link()
    world.sign_up()
    second = world.link()
    assert world.confirm(first)
    assert not world.confirm(second)
    assert world.sign_up() is False
    assert world.login() == "token"
    assert len(world.rows(schema.accounts)) == 1


def test_second_link_of_a_sign_up_works(world: Waiting) -> None:
    """The mail that was sent again activates the same sign-up."""
    world.sign_up()
    world.link()
    world.services.accounts.mail_again(EMAIL)
    assert world.confirm(world.link())


def test_sign_up_and_its_link_live_two_days(world: Waiting) -> None:
    """Up to its last microsecond a link works; then neither it nor the password does, and the purge leaves nothing."""
    world.sign_up()
    world.sign_up(email="bob@example.com")
    tokens = {each.to: each.link.token for each in world.deliver() if each.link}
    world.clock.move(signups.LIFETIME - timedelta(microseconds=1))
    assert world.confirm(tokens["bob@example.com"])
    assert world.login() == "not_verified"
    world.clock.move(timedelta(microseconds=1))
    assert not world.confirm(tokens[EMAIL])
    assert world.login() == "wrong_credentials"
    assert world.services.signups.purge() == 1
    assert world.rows(schema.signups) == world.rows(schema.mails) == []
    assert timedelta(hours=48) == signups.LIFETIME


def test_repeated_sign_up_lives_anew(world: Waiting) -> None:
    """The same sign-up again has its whole time again."""
    world.sign_up()
    world.clock.move(signups.LIFETIME - SECOND)
    world.sign_up()
    world.clock.move(SECOND * 2)
    assert world.login() == "not_verified"


def test_account_that_came_otherwise_stands(world: Waiting) -> None:
    """If an account was made behind a sign-up's back, its link changes nothing about it."""
    world.sign_up(password=OTHER)
    token = world.link()
    world.storage.write(  # as an operator who adds one
        lambda t: t.insert_account(
            Account(account_id=1, email=EMAIL, password_hash="hash", salt_seed=None, created_at=world.clock.now)
        )
    )
    assert not world.confirm(token)
    assert [account.password_hash for account in world.rows(schema.accounts)] == ["hash"]


def test_resend_mails_everything_that_waits(world: Waiting) -> None:
    """Each sign-up of the address gets a mail of its own with a link of its own; no other address gets any."""
    for password in (PASSWORD, OTHER):
        world.sign_up(password=password)
    world.sign_up(email="bob@example.com")
    world.deliver()
    world.services.accounts.mail_again(EMAIL)
    mails = world.deliver()
    assert {each.mail.signup_id for each in mails} == {
        row.signup_id for row in world.rows(schema.signups) if row.email == EMAIL
    }
    assert {each.to for each in mails} == {EMAIL}
    assert len(mails) == 2


def test_resend_to_an_account_says_so(world: Waiting) -> None:
    """Who has an account and asks for a mail learns it from the mail."""
    world.sign_up()
    world.confirm(world.link())
    world.services.accounts.mail_again(EMAIL)
    assert [each.link for each in world.deliver()] == [None]


def test_resend_without_a_sign_up_mails_nothing(world: Waiting) -> None:
    """An address that nothing waits for gets no mail, and neither does one whose sign-up expired."""
    world.services.accounts.mail_again(EMAIL)
    assert world.deliver() == []
    world.sign_up()
    world.clock.move(signups.LIFETIME)
    world.services.accounts.mail_again(EMAIL)
    assert world.deliver() == []


def test_mail_of_a_sign_up_that_is_gone_is_dropped(world: Waiting) -> None:
    """A mail whose sign-up expired or was confirmed meanwhile, and whose account is gone, is not sent."""
    world.sign_up()
    world.sql(delete(schema.signups))
    assert world.deliver() == []
    world.sign_up()
    world.sql(schema.signups.update().values(expires_at=world.clock.now))
    assert world.deliver() == []
    assert world.rows(schema.mails) == []


def test_resend_where_nothing_waits_for_confirmation_does_nothing(world: Waiting) -> None:
    """A server that makes accounts at once queues no mails."""
    plain = build_services(
        world.storage, may_sign_up=lambda email: True, max_wallet_bytes=LIMIT, passwords=cheap_passwords()
    )
    assert plain.accounts.sign_up(EMAIL, PASSWORD, None) is True
    plain.accounts.mail_again(EMAIL)
    assert world.rows(schema.mails) == []


def test_mail_is_tried_again_ever_more_slowly(world: Waiting) -> None:
    """After a failure a mail waits a minute, then twice as long each time, up to an hour, and a day in all."""
    world.sign_up()
    tries = []
    start = world.clock.now
    while world.rows(schema.mails):
        if outgoing := world.services.mail_queue.take():
            tries.append(world.clock.now - start)
            world.services.mail_queue.failed(outgoing)
        for row in world.rows(schema.mails):
            world.clock.now = row.due_at
    pauses = [(later - sooner) // timedelta(minutes=1) for sooner, later in pairwise(tries)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(pauses[8:]) == {60}
    assert timedelta(hours=22) < tries[-1] < timedelta(hours=24)


def test_link_of_a_failed_try_works_until_the_next(world: Waiting) -> None:
    """A mail may have arrived although its sender could not know; each try has a token of its own."""
    world.sign_up()
    first = world.services.mail_queue.take()
    assert first
    assert first.link
    world.services.mail_queue.failed(first)
    world.clock.move(mail_queue.FIRST_RETRY)
    second = world.services.mail_queue.take()
    assert second
    assert second.link
    assert not world.confirm(first.link.token)
    assert world.confirm(second.link.token)


def test_mail_is_taken_by_one(world: Waiting) -> None:
    """Nobody else gets a mail that was taken, unless nothing is heard of it for the time of its lease."""
    world.sign_up()
    assert world.services.mail_queue.take()
    assert world.services.mail_queue.take() is None
    world.clock.move(mail_queue.LEASE)
    assert world.services.mail_queue.take()


def test_faster_process_leaves_nothing(world: Waiting) -> None:
    """A mail that another process takes between the look and the grasp is not taken again."""
    world.sign_up()
    world.storage.before_write = lambda: world.deliver()
    assert world.services.mail_queue.take() is None


def test_refused_mail_is_forgotten(world: Waiting) -> None:
    """A mail that will never be accepted is not tried again; its sign-up goes on waiting."""
    world.sign_up()
    outgoing = world.services.mail_queue.take()
    assert outgoing
    world.services.mail_queue.refused(outgoing)
    assert world.rows(schema.mails) == []
    assert world.login() == "not_verified"


def test_address_gets_ten_mails_an_hour(world: Waiting) -> None:
    """However many sign-ups somebody makes, an address gets ten mails in an hour, and others are not held up."""
    for number in range(20):
        SEEDS[f"password {number}"] = None
        world.sign_up(password=f"password {number}")
    world.sign_up(email="bob@example.com")
    sent = [each.to for each in world.deliver()]
    assert (sent.count(EMAIL), sent.count("bob@example.com")) == (10, 1)
    for _ in range(60):
        world.clock.move(timedelta(minutes=3))
        world.deliver()
    sent_at = sorted(row.sent_at for row in world.rows(schema.mails) if row.sent_at and row.email == EMAIL)
    assert 10 < len(sent_at) <= 20
    assert all(later - sooner >= mail_queue.PERIOD for sooner, later in zip(sent_at, sent_at[10:], strict=False))


def test_flood_neither_removes_nor_blocks_the_owners_sign_up(world: Waiting) -> None:
    """After any number of other sign-ups with the address, earlier and later ones wait, and their links work."""
    world.sign_up()
    early = world.link()
    for number in range(50):
        SEEDS[f"password {number}"] = None
        world.sign_up(password=f"password {number}")
    world.sign_up(password=OTHER)
    world.deliver()
    assert (world.login(), world.login(OTHER)) == ("not_verified", "not_verified")
    assert world.confirm(early)
    assert world.login() == "token"


def test_login_and_sign_up_cost_the_same_whatever_the_address(world: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
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
    world.sign_up(email="taken@example.com")
    world.confirm(world.link())
    world.sign_up(email="waiting@example.com")
    addresses = ["new@example.com", "waiting@example.com", "taken@example.com"]

    def cost(use: Callable[[], object]) -> tuple[list[str], list[str]]:
        hashed.clear()
        world.observed.operations.clear()
        use()
        return list(world.observed.operations), list(hashed)

    accounts, seeds = world.services.accounts, world.services.seeds
    logins = [cost(lambda e=e: world.login(OTHER, e)) for e in addresses]  # type: ignore[misc]
    asked = [cost(lambda e=e: seeds.seed_of(e)) for e in addresses]  # type: ignore[misc]
    resent = [cost(lambda e=e: accounts.mail_again(e)) for e in addresses]  # type: ignore[misc]
    signed = [cost(lambda e=e: world.sign_up(e, OTHER)) for e in addresses]  # type: ignore[misc]
    again = [cost(lambda e=e: world.sign_up(e, OTHER)) for e in addresses]  # type: ignore[misc]
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


def test_nothing_stored_confirms_a_sign_up(world: Waiting) -> None:
    """Before and after its mail was sent, no value in the database is or contains the token, or works as one."""
    world.sign_up()
    token = world.link()
    values = [value for table in schema.metadata.sorted_tables for row in world.rows(table) for value in row]
    texts = [value.hex() if isinstance(value, bytes) else str(value) for value in values]
    assert EMAIL in texts
    assert not any(token in text or bytes.fromhex(token) == value for text, value in zip(texts, values, strict=True))
    assert not any(world.confirm(text) for text in texts)
    assert world.confirm(token)


def test_salt_of_sign_ups_differs_between_addresses_and_servers(world: Waiting, tmp_path: Path) -> None:
    """The same password has one hash for an address on a server, and another for any other."""
    storage = open_sqlite(tmp_path / "other.db", inline=True)
    other = build_services(
        storage, may_sign_up=lambda email: True, max_wallet_bytes=1, confirm_addresses=True, passwords=cheap_passwords()
    )
    for email in (EMAIL, "bob@example.com"):
        world.sign_up(email=email)
        other.accounts.sign_up(email, PASSWORD, None)
    here = {row.password_hash for row in world.rows(schema.signups)}
    there = storage.read(lambda t: t._connection.execute(select(schema.signups.c.password_hash)).scalars().all())  # type: ignore[attr-defined]
    storage.close()
    assert len(here | set(there)) == 4


LINK = "https://sync.example.com/api/3/verify?verifyToken="


def letter(outgoing: Outgoing) -> Any:
    """Return a mail as its reader's program reads it, after checking that it can be sent as it is."""
    message = compose(
        outgoing, sender="noreply@example.com", public_url="https://sync.example.com", now=FakeClock().now
    )
    raw = message.as_bytes(policy=policy.SMTP)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return message_from_bytes(raw, policy=policy.default)


def test_letter_with_a_link(world: Waiting) -> None:
    """It names server, time of the sign-up, end of the link and, on a line of its own, the link."""
    world.sign_up()
    world.clock.move(timedelta(hours=1))
    (outgoing,) = world.deliver()
    assert outgoing.link
    message = letter(outgoing)
    assert (message["From"], message["To"]) == ("noreply@example.com", EMAIL)
    assert message["Subject"] == "Confirm your address"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == FakeClock().now
    assert message["Message-ID"].endswith("@example.com>")
    assert message.get_content_type() == "text/plain"
    assert message.get_content_charset() == "utf-8"
    text = message.get_content()
    assert f"{LINK}{outgoing.link.token}" in text.split()
    assert "on 1 January 2026, 00:00 UTC" in text
    assert "before 3 January 2026, 00:00 UTC" in text


def test_letter_about_an_account_has_no_link() -> None:
    """Who has an account is told so, without anything to click that would change it."""
    message = letter(Outgoing(mail=MAIL, link=None))
    assert "already has an account there" in " ".join(message.get_content().split())
    assert "verifyToken" not in message.get_content()


def test_any_canonical_address_gets_a_letter() -> None:
    """An address stands as it is and alone in its header, or not at all; no address makes a header of its own."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    letters = "abc019.!#$%&'*+/=?^_`{|}~-"
    names = ["".join(dice.choices(letters, k=dice.randint(1, 64))) for _ in range(100)]
    headers = letter(Outgoing(mail=MAIL, link=None)).keys()
    shown = 0
    for name in [*names, "o'brien+tag", "a..b", ".a", "a.", "-rf", "%s", "=?utf-8?q?a?=", "=?utf-8?q?a=0d=0abcc=3ab?="]:
        address = canonical_email(f"{name}@example.com")
        message = letter(Outgoing(mail=replace(MAIL, email=address), link=None))
        assert message.keys() == headers
        assert [each.addr_spec for each in message["To"].addresses] in ([address], [])
        shown += len(message["To"].addresses)
    assert shown > 10


def test_nothing_secret_is_shown() -> None:
    """What holds a token or an address does not show it when printed."""
    link = Link(token="f00d" * 16, signed_up_at=FakeClock().now, works_until=FakeClock().now)
    assert "f00d" not in repr(Outgoing(mail=MAIL, link=link))
    assert EMAIL not in repr(Outgoing(mail=MAIL, link=link))


def test_made_up_link_writes_nothing(world: World) -> None:
    """Whoever tries tokens keeps nobody from writing: each is looked up, and no transaction that writes begins."""

    def fail() -> None:
        pytest.fail("a write began")

    world.storage.before_write = fail
    assert not world.services.signups.confirm("0" * 64)
