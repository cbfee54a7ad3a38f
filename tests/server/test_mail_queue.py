"""The queue of mails about sign-ups: in which order, how often, until when. Without HTTP and SMTP."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import delete

from tests.server.waiting import OTHER, SEEDS, Waiting
from tests.server.world import EMAIL
from walletsync_server.services import mail_queue
from walletsync_server.storage.sql import schema


def test_mail_of_a_sign_up_that_is_gone_is_dropped(waiting: Waiting) -> None:
    """A mail whose sign-up expired or was confirmed meanwhile, and whose account is gone, is not sent."""
    waiting.sign_up()
    waiting.sql(delete(schema.signups))
    assert waiting.deliver() == []
    waiting.sign_up()
    waiting.sql(schema.signups.update().values(expires_at=waiting.clock.now))
    assert waiting.deliver() == []
    assert waiting.rows(schema.mails) == []


def test_mail_is_tried_again_ever_more_slowly(waiting: Waiting) -> None:
    """After a failure a mail waits a minute, then twice as long each time, up to an hour, and a day in all."""
    waiting.sign_up()
    tries = []
    start = waiting.clock.now
    while waiting.rows(schema.mails):
        if outgoing := waiting.services.mail_queue.take():
            tries.append(waiting.clock.now - start)
            waiting.services.mail_queue.failed(outgoing)
        for row in waiting.rows(schema.mails):
            waiting.clock.now = row.due_at
    pauses = [(later - sooner) // timedelta(minutes=1) for sooner, later in pairwise(tries)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(pauses[8:]) == {60}
    assert timedelta(hours=22) < tries[-1] < timedelta(hours=24)


def test_link_of_a_failed_try_works_until_the_next(waiting: Waiting) -> None:
    """A mail may have arrived although its sender could not know; each try has a token of its own."""
    waiting.sign_up()
    first = waiting.services.mail_queue.take()
    assert first
    assert first.link
    waiting.services.mail_queue.failed(first)
    waiting.clock.move(mail_queue.FIRST_RETRY)
    second = waiting.services.mail_queue.take()
    assert second
    assert second.link
    assert not waiting.confirm(first.link.token)
    assert waiting.confirm(second.link.token)


def test_mail_is_taken_by_one(waiting: Waiting) -> None:
    """Nobody else gets a mail that was taken, unless nothing is heard of it for the time of its lease."""
    waiting.sign_up()
    assert waiting.services.mail_queue.take()
    assert waiting.services.mail_queue.take() is None
    waiting.clock.move(mail_queue.LEASE)
    assert waiting.services.mail_queue.take()


def test_mail_that_is_put_back_is_taken_again_at_once(waiting: Waiting) -> None:
    """With another link, and only that one works."""
    waiting.sign_up()
    first = waiting.services.mail_queue.take()
    assert first
    waiting.services.mail_queue.put_back(first)
    second = waiting.services.mail_queue.take()
    assert second
    assert first.link
    assert second.link
    assert not waiting.confirm(first.link.token)
    assert waiting.confirm(second.link.token)


def test_faster_process_leaves_nothing(waiting: Waiting) -> None:
    """A mail that another process takes between the look and the grasp is not taken again."""
    waiting.sign_up()
    waiting.storage.before_write = lambda: waiting.deliver()
    assert waiting.services.mail_queue.take() is None


def test_refused_mail_is_forgotten(waiting: Waiting) -> None:
    """A mail that will never be accepted is not tried again; its sign-up goes on waiting."""
    waiting.sign_up()
    outgoing = waiting.services.mail_queue.take()
    assert outgoing
    waiting.services.mail_queue.refused(outgoing)
    assert waiting.rows(schema.mails) == []
    assert waiting.login() == "not_verified"


@pytest.mark.promise("S-20")
def test_address_gets_ten_mails_an_hour(waiting: Waiting) -> None:
    """However many sign-ups somebody makes, an address gets ten mails in an hour, and others are not held up."""
    for number in range(20):
        SEEDS[f"password {number}"] = None
        waiting.sign_up(password=f"password {number}")
    waiting.sign_up(email="bob@example.com")
    sent = [each.to for each in waiting.deliver()]
    assert (sent.count(EMAIL), sent.count("bob@example.com")) == (10, 1)
    for _ in range(60):
        waiting.clock.move(timedelta(minutes=3))
        waiting.deliver()
    sent_at = sorted(row.sent_at for row in waiting.rows(schema.mails) if row.sent_at and row.email == EMAIL)
    assert 10 < len(sent_at) <= 20
    assert all(later - sooner >= mail_queue.PERIOD for sooner, later in zip(sent_at, sent_at[10:], strict=False))


def test_flood_neither_removes_nor_blocks_the_owners_sign_up(waiting: Waiting) -> None:
    """After any number of other sign-ups with the address, earlier and later ones wait, and their links work."""
    waiting.sign_up()
    early = waiting.link()
    for number in range(50):
        SEEDS[f"password {number}"] = None
        waiting.sign_up(password=f"password {number}")
    waiting.sign_up(password=OTHER)
    waiting.deliver()
    assert (waiting.login(), waiting.login(OTHER)) == ("not_verified", "not_verified")
    assert waiting.confirm(early)
    assert waiting.login() == "token"
