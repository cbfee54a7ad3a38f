"""What the mails about sign-ups say."""

import random
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

from tests.server.helpers import FakeClock
from tests.server.waiting import Waiting
from tests.server.world import EMAIL
from walletsync.protocol import canonical_email
from walletsync_server.mail.messages import compose
from walletsync_server.services.mail_queue import Link, Outgoing
from walletsync_server.storage.contract_tests.signups import MAIL

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


def test_letter_with_a_link(waiting: Waiting) -> None:
    """It names server, time of the sign-up, end of the link and, on a line of its own, the link."""
    waiting.sign_up()
    waiting.clock.move(timedelta(hours=1))
    (outgoing,) = waiting.deliver()
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
