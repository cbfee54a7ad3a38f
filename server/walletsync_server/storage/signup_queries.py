"""The queries about sign-ups that wait and their mails. See `queries.py`, whose classes build on these."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from walletsync_server.storage.prepared import Prepared, driver_of
from walletsync_server.storage.schema import mails, signups
from walletsync_server.storage.signup_interface import Mail, Signup, SignupReads, SignupWrites

_OF_ADDRESS = signups.c.email == sa.bindparam("email")
_IS_ALIVE = signups.c.expires_at > sa.bindparam("now")

# Built once: making a statement costs more than running it.
_SIGNUP = sa.select(signups).where(_OF_ADDRESS, signups.c.signup_id == sa.bindparam("signup"))
_HAS_SIGNUP = Prepared(
    sa.select(sa.exists().where(_OF_ADDRESS, _IS_ALIVE, signups.c.password_hash == sa.bindparam("hash")))
)
_NEWEST_SIGNUPS = (
    sa.select(signups)
    .where(_OF_ADDRESS, _IS_ALIVE)
    .order_by(signups.c.created_at.desc(), signups.c.signup_id)
    .limit(sa.bindparam("most"))
)
_LINKED_SIGNUP = (
    sa.select(signups)
    .join_from(mails, signups, (mails.c.email == signups.c.email) & (mails.c.signup_id == signups.c.signup_id))
    .where(mails.c.token_hash == sa.bindparam("hash"))
)
_NEXT_MAIL = (
    sa.select(mails)
    .where(mails.c.sent_at.is_(None), mails.c.due_at <= sa.bindparam("now"))
    .order_by(mails.c.due_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_MAILS_SENT = (
    sa.select(sa.func.count())
    .select_from(mails)
    .where(mails.c.email == sa.bindparam("email"), mails.c.sent_at > sa.bindparam("since"))
)
_MAILS_WAITING = sa.select(sa.func.count()).select_from(mails).where(mails.c.sent_at.is_(None))
_PUT_SIGNUP = insert(signups)
_PUT_SIGNUP = _PUT_SIGNUP.on_conflict_do_update(
    index_elements=[signups.c.email, signups.c.signup_id], set_={"expires_at": _PUT_SIGNUP.excluded.expires_at}
)


class SqlSignupReads(SignupReads):
    """Reads on one connection, inside the transaction that its owner began."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._driver = driver_of(connection)

    def find_signup(self, email: str, signup_id: bytes) -> Signup | None:
        """See `SignupReads`."""
        row = self._row(_SIGNUP, email=email, signup=signup_id)
        return row and Signup(**row)

    def has_signup(self, email: str, password_hash: str, now: datetime) -> bool:
        """See `SignupReads`."""
        return bool(_HAS_SIGNUP.value(self._driver, email=email, hash=password_hash, now=now))

    def newest_signups(self, email: str, now: datetime, most: int) -> list[Signup]:
        """See `SignupReads`."""
        return [Signup(**row) for row in self._rows(_NEWEST_SIGNUPS, email=email, now=now, most=most)]

    def find_linked_signup(self, token_hash: bytes) -> Signup | None:
        """See `SignupReads`."""
        row = self._row(_LINKED_SIGNUP, hash=token_hash)
        return row and Signup(**row)

    def next_mail(self, now: datetime) -> Mail | None:
        """See `SignupReads`."""
        row = self._row(_NEXT_MAIL, now=now)
        return row and Mail(**row)

    def count_mails_sent(self, email: str, since: datetime) -> int:
        """See `SignupReads`."""
        return self._connection.execute(_MAILS_SENT, {"email": email, "since": since}).scalar_one()

    def count_mails_waiting(self) -> int:
        """See `SignupReads`."""
        return self._connection.execute(_MAILS_WAITING).scalar_one()

    def _row(self, statement: sa.Select[*tuple[Any, ...]], **values: object) -> Any:
        return self._connection.execute(statement, values).mappings().one_or_none()

    def _rows(self, statement: sa.Select[*tuple[Any, ...]], **values: object) -> Sequence[Any]:
        return self._connection.execute(statement, values).mappings().all()


class SqlSignupWrites(SqlSignupReads, SignupWrites):
    """Reads and writes on one connection, inside the transaction that its owner began."""

    def put_signup(self, signup: Signup) -> None:
        """See `SignupWrites`."""
        self._connection.execute(_PUT_SIGNUP, vars(signup))

    def delete_signup(self, signup: Signup) -> None:
        """See `SignupWrites`."""
        key = (signups.c.email == signup.email) & (signups.c.signup_id == signup.signup_id)
        self._connection.execute(sa.delete(signups).where(key))

    def queue_mail(self, mail: Mail) -> None:
        """See `SignupWrites`."""
        self._connection.execute(sa.insert(mails), vars(mail))

    def drop_doubles(self, mail: Mail) -> None:
        """See `SignupWrites`."""
        about_the_same = (mails.c.email == mail.email) & mails.c.signup_id.is_not_distinct_from(mail.signup_id)
        waiting = mails.c.sent_at.is_(None) & (mails.c.mail_id != mail.mail_id)
        self._connection.execute(sa.delete(mails).where(about_the_same, waiting))

    def claim_mail(self, mail: Mail) -> None:
        """See `SignupWrites`."""
        self._change(mail, due_at=mail.due_at, attempts=mail.attempts, token_hash=mail.token_hash)

    def postpone_mail(self, mail: Mail, due_at: datetime) -> None:
        """See `SignupWrites`."""
        self._change(mail, due_at=due_at)

    def mark_mail_sent(self, mail: Mail, sent_at: datetime) -> None:
        """See `SignupWrites`."""
        self._change(mail, sent_at=sent_at)

    def delete_mail(self, mail: Mail) -> None:
        """See `SignupWrites`."""
        self._connection.execute(sa.delete(mails).where(_is(mail)))

    def void_links(self, email: str) -> None:
        """See `SignupWrites`."""
        self._connection.execute(sa.update(mails).where(mails.c.email == email).values(token_hash=None))

    def purge_signups(self, now: datetime, mails_before: datetime) -> int:
        """See `SignupWrites`."""
        self._connection.execute(sa.delete(mails).where(mails.c.created_at <= mails_before))
        return self._connection.execute(sa.delete(signups).where(signups.c.expires_at <= now)).rowcount

    def _change(self, mail: Mail, **values: object) -> None:
        self._connection.execute(sa.update(mails).where(_is(mail)).values(values))


def _is(mail: Mail) -> sa.ColumnElement[bool]:
    return (mails.c.email == mail.email) & (mails.c.mail_id == mail.mail_id)
