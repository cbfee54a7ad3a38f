"""The queue of mails: what is to be sent now, to whom, and what became of it.

Nothing in the queue opens anything. A link's token is made when its mail is about to leave, and what is stored, in the
same transaction that takes the mail from the queue, is its SHA-256. A mail is taken for `LEASE`; if its sender has not
said by then what became of it, as after a loss of power, it is tried once more.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from walletsync_server.services.signups import LIFETIME, new_mail, token_digest
from walletsync_server.services.store import Store
from walletsync_server.storage.interface import Mail, WriteTransaction

LEASE = timedelta(minutes=15)
"""Longer than sending a mail can take."""
MAX_AGE = timedelta(hours=24)
"""How old a mail may become before it is not worth sending any more."""
FIRST_RETRY, LAST_RETRY = timedelta(minutes=1), timedelta(hours=1)
"""How long after the first failed try the next one is; doubled each time, up to the last."""
PERIOD = timedelta(hours=1)
MAILS_PER_PERIOD = 10
"""How many mails an address gets in a period, so that this server is no means to flood somebody's mailbox."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a mail with a link tells: the token in it, when that sign-up was made, until when the link works."""

    token: str = field(repr=False)
    signed_up_at: datetime
    works_until: datetime


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A mail that was taken from the queue. Without a link it says that the address has an account already."""

    mail: Mail = field(repr=False)
    link: Link | None

    @property
    def to(self) -> str:
        """The address that it goes to."""
        return self.mail.email


class MailQueue:
    """The queue. Several processes may take mails from it; each mail is taken by one."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def are_due(self) -> bool:
        """Say whether any mail may be tried now."""
        return self._store.read(lambda transaction: transaction.next_mail(self._clock())) is not None

    def take(self) -> Outgoing | None:
        """Return the next mail to send, None if there is none now. What became of it is to be told."""
        while self.are_due():
            outgoing = self._store.write(self._take)
            if outgoing is not None:
                return outgoing
        return None

    def sent(self, outgoing: Outgoing) -> None:
        """Remember that the mail was sent."""
        now = self._clock()
        self._store.write(lambda transaction: transaction.mark_mail_sent(outgoing.mail, now))

    def failed(self, outgoing: Outgoing) -> None:
        """Let the mail wait for another try, the longer the more it had."""
        pause = min(FIRST_RETRY * 2 ** (outgoing.mail.attempts - 1), LAST_RETRY)
        due_at = self._clock() + pause
        self._store.write(lambda transaction: transaction.postpone_mail(outgoing.mail, due_at))

    def put_back(self, outgoing: Outgoing) -> None:
        """Let a mail that nobody tried to send be taken again at once."""
        now = self._clock()
        self._store.write(lambda transaction: transaction.postpone_mail(outgoing.mail, now))

    def refused(self, outgoing: Outgoing) -> None:
        """Forget a mail that will never be accepted."""
        self._store.write(lambda transaction: transaction.delete_mail(outgoing.mail))

    def _take(self, transaction: WriteTransaction) -> Outgoing | None:
        """Take the next mail, or do with it what else is due; None if that leaves nothing to send."""
        now = self._clock()
        mail = transaction.next_mail(now)
        if mail is None:  # another process was faster
            return None
        transaction.drop_doubles(mail)
        if mail.created_at <= now - MAX_AGE:
            transaction.delete_mail(mail)
            return None
        if transaction.count_mails_sent(mail.email, now - PERIOD) >= MAILS_PER_PERIOD:
            # At random, so that whoever fills an address's share cannot always be the first when it is free again.
            transaction.postpone_mail(mail, now + PERIOD * (1 + secrets.randbelow(1000)) / 1000)
            return None
        if transaction.find_account(mail.email) is not None:
            return _claim(transaction, mail, now, None)
        if mail.signup_id is None:
            for each in transaction.newest_signups(mail.email, now, MAILS_PER_PERIOD):
                transaction.queue_mail(new_mail(mail.email, each.signup_id, now))
            transaction.delete_mail(mail)
            return None
        signup = transaction.find_signup(mail.email, mail.signup_id)
        if signup is None or signup.expires_at <= now:
            transaction.delete_mail(mail)
            return None
        link = Link(
            token=secrets.token_hex(32),
            signed_up_at=signup.created_at,
            works_until=min(signup.expires_at, mail.created_at + LIFETIME),
        )
        return _claim(transaction, mail, now, link)


def _claim(transaction: WriteTransaction, mail: Mail, now: datetime, link: Link | None) -> Outgoing:
    claimed = replace(
        mail,
        due_at=now + LEASE,
        attempts=mail.attempts + 1,
        token_hash=token_digest(link.token) if link else None,
    )
    transaction.claim_mail(claimed)
    return Outgoing(mail=claimed, link=link)
