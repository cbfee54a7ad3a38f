"""Whether an address has an account changes nothing in what the database is asked, on which an answer's time hangs."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest
import sqlalchemy as sa

from tests.server.helpers import PASSWORD, cheap_passwords
from walletsync_server.services import Services, build_services
from walletsync_server.services.errors import WrongCredentials
from walletsync_server.storage.sqlite.opening import open_sqlite

NEITHER, WAITS, TAKEN = "nobody@example.com", "waits1@example.com", "taken1@example.com"
"""Addresses without anything, with a sign-up that waits, and with an account; as long as each other."""
VALUE = re.compile(r"x?'[^']*'|\b\d+\b")


class Asked(list[str]):
    """The statements that the database was asked since `clear`, without values."""

    def watch(self, connection: Any, *_: object) -> None:
        connection.driver.trace_v2(apsw.SQLITE_TRACE_STMT, lambda statement: self.append(statement["sql"]))


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked()
    sa.event.listen(sa.pool.Pool, "connect", asked.watch)
    yield asked
    sa.event.remove(sa.pool.Pool, "connect", asked.watch)


@pytest.fixture
def services(asked: Asked, tmp_path: Path) -> Iterator[Services]:
    """Services where addresses have to be confirmed."""
    storage = open_sqlite(tmp_path / "w.db", inline=True)
    options: dict[str, Any] = {"max_wallet_bytes": 1000, "passwords": cheap_passwords()}
    unchecked = build_services(storage, may_sign_up=lambda email: True, **options)
    unchecked.accounts.sign_up(TAKEN, PASSWORD, bytes(32))
    services = build_services(storage, may_sign_up=lambda email: True, confirm_addresses=True, **options)
    services.accounts.sign_up(WAITS, PASSWORD, bytes(32))
    yield services
    storage.close()


QUESTIONS: dict[str, Callable[[Services, str], object]] = {
    "sign-up": lambda services, email: services.accounts.sign_up(email, "another password", bytes(32)),
    "login": lambda services, email: services.accounts.log_in(email, "another password", "laptop"),
    "deletion": lambda services, email: services.accounts.delete(email, "another password"),
    "change": lambda services, email: services.password_change.change(
        email, "another password", PASSWORD + "!", bytes(32), None
    ),
    "seed": lambda services, email: services.seeds.seed_of(email),
    "resend": lambda services, email: services.accounts.mail_again(email),
}


@pytest.mark.promise("T-25")
@pytest.mark.parametrize("question", QUESTIONS)
def test_database_is_asked_the_same(services: Services, asked: Asked, question: str) -> None:
    """The same statements in the same order, for an address with an account, with a sign-up, or with neither."""
    services.readiness.check()  # which connects
    seen = []
    for email in (NEITHER, WAITS, TAKEN):
        asked.clear()
        with suppress(WrongCredentials):
            QUESTIONS[question](services, email)
        seen.append([VALUE.sub("?", statement) for statement in asked])
    assert len(seen[0]) > 2
    assert seen[0] == seen[1] == seen[2]
