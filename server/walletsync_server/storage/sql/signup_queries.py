"""The queries about sign-ups that wait and their mails."""

from datetime import datetime

import sqlalchemy as sa
from typing_extensions import override

from walletsync_server.storage.interface_signups import Mail, Signup, SignupReads, SignupWrites
from walletsync_server.storage.sql.prepared import Prepared
from walletsync_server.storage.sql.schema import mails, signups
from walletsync_server.storage.sql.transaction import SqlTransaction, SqlWrites

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
)
_MAILS_SENT = (
    sa.select(sa.func.count())
    .select_from(mails)
    .where(mails.c.email == sa.bindparam("email"), mails.c.sent_at > sa.bindparam("since"))
)
_MAILS_TO = sa.select(mails).where(mails.c.email == sa.bindparam("email")).order_by(mails.c.created_at, mails.c.mail_id)
_MAILS_WAITING = sa.select(sa.func.count()).select_from(mails).where(mails.c.sent_at.is_(None))


class SqlSignupReads(SqlTransaction, SignupReads):
    """Part of `SqlReadTransaction`."""

    @override
    def find_signup(self, email: str, signup_id: bytes) -> Signup | None:
        row = self._row(_SIGNUP, email=email, signup=signup_id)
        return row and Signup(**row)

    @override
    def has_signup(self, email: str, password_hash: str, now: datetime) -> bool:
        return bool(_HAS_SIGNUP.value(self._driver, email=email, hash=password_hash, now=now))

    @override
    def newest_signups(self, email: str, now: datetime, most: int) -> list[Signup]:
        return [Signup(**row) for row in self._rows(_NEWEST_SIGNUPS, email=email, now=now, most=most)]

    @override
    def find_linked_signup(self, token_hash: bytes) -> Signup | None:
        row = self._row(_LINKED_SIGNUP, hash=token_hash)
        return row and Signup(**row)

    @override
    def next_mail(self, now: datetime) -> Mail | None:
        row = self._row(_NEXT_MAIL, now=now)
        return row and Mail(**row)

    @override
    def mails_to(self, email: str) -> list[Mail]:
        return [Mail(**row) for row in self._rows(_MAILS_TO, email=email)]

    @override
    def count_mails_sent(self, email: str, since: datetime) -> int:
        return self._connection.execute(_MAILS_SENT, {"email": email, "since": since}).scalar_one()

    @override
    def count_mails_waiting(self) -> int:
        return self._connection.execute(_MAILS_WAITING).scalar_one()


class SqlSignupWrites(SqlSignupReads, SqlWrites, SignupWrites):
    """Part of `SqlWriteTransaction`."""

    @override
    def put_signup(self, signup: Signup) -> None:
        statement = self._insert(signups)
        again = statement.on_conflict_do_update(
            index_elements=[signups.c.email, signups.c.signup_id],
            set_={"expires_at": statement.excluded.expires_at},
        )
        self._run(again, **vars(signup))

    @override
    def delete_signup(self, signup: Signup) -> None:
        key = (signups.c.email == signup.email) & (signups.c.signup_id == signup.signup_id)
        self._run(sa.delete(signups).where(key))

    @override
    def delete_signups(self, email: str, password_hash: str) -> None:
        self._run(sa.delete(signups).where(signups.c.email == email, signups.c.password_hash == password_hash))

    @override
    def queue_mail(self, mail: Mail) -> None:
        self._run(sa.insert(mails), **vars(mail))

    @override
    def drop_doubles(self, mail: Mail) -> None:
        about_the_same = (mails.c.email == mail.email) & mails.c.signup_id.is_not_distinct_from(mail.signup_id)
        waiting = mails.c.sent_at.is_(None) & (mails.c.mail_id != mail.mail_id)
        self._run(sa.delete(mails).where(about_the_same, waiting))

    @override
    def claim_mail(self, mail: Mail) -> None:
        self._update(mail, due_at=mail.due_at, attempts=mail.attempts, token_hash=mail.token_hash)

    @override
    def postpone_mail(self, mail: Mail, due_at: datetime) -> None:
        self._update(mail, due_at=due_at)

    @override
    def mark_mail_sent(self, mail: Mail, sent_at: datetime) -> None:
        self._update(mail, sent_at=sent_at)

    @override
    def delete_mail(self, mail: Mail) -> None:
        self._run(sa.delete(mails).where(_is(mail)))

    @override
    def void_links(self, email: str) -> None:
        self._run(sa.update(mails).where(mails.c.email == email).values(token_hash=None))

    @override
    def purge_signups(self, now: datetime, most: int) -> int:
        return self._delete_some(signups, signups.c.expires_at <= now, most)

    @override
    def purge_mails(self, before: datetime, most: int) -> int:
        return self._delete_some(mails, mails.c.created_at <= before, most)

    def _update(self, mail: Mail, **values: object) -> None:
        self._run(sa.update(mails).where(_is(mail)).values(values))


def _is(mail: Mail) -> sa.ColumnElement[bool]:
    return (mails.c.email == mail.email) & (mails.c.mail_id == mail.mail_id)
