"""Connections to the server: a pool of them, each with what is made of it once, and what happens when one is lost."""

import threading
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg_pool import ConnectionPool, PoolTimeout
from typing_extensions import override

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.postgres.address import Address
from walletsync_server.storage.postgres.presence import PRESENCE
from walletsync_server.storage.postgres.statements import Statements
from walletsync_server.storage.sql.queries import SqlReadTransaction

MOST = 40
"""Connections that one process has at most. Should all its threads need one at the same time, some wait for others."""
PATIENCE_SECONDS = 3.0
"""How long to wait for a connection."""
_IMPATIENCE_SECONDS = 0.05
"""The same while the last one who waited got none: nobody else needs to find out that the server is away."""
_RECONNECT_SECONDS = 4.0
"""For how long the pool tries to replace a connection, after pauses that grow and vary; then whoever needs one does."""
_SETTINGS = """
SELECT set_config('idle_in_transaction_session_timeout', '60s', false),
       set_config('lock_timeout', '10s', false),
       CASE WHEN current_setting('statement_timeout') = '0' THEN set_config('statement_timeout', '15s', false) END,
       CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END
"""
"""Whoever vanishes amid a transaction holds up others for so long, and an acknowledged write is on the disk."""
_LONGEST = "SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'"
"""Milliseconds after which the server gives up a statement by itself."""
_SLACK_SECONDS = 2.0
"""For how long after that it may say nothing. A server that is stopped, or behind a network that swallows all, does."""
_IDLE = psycopg.pq.TransactionStatus.IDLE
T = TypeVar("T")


class Link(psycopg.Connection[tuple[Any, ...]]):
    """A connection, and what is made of it once, since that costs more than to ask it something."""

    statements: Statements
    sql: sa.Connection
    reading: SqlReadTransaction

    @override
    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        """Do what psycopg's cursors want of the server, after what waits, and not for ever."""
        self.statements.catch_up()
        return super().wait(self._in_time(gen), *args, **options)

    def settle(self) -> None:
        """End the transaction that is open, if one is, without what it did."""
        self.sql.rollback()  # for SQLAlchemy it is over, too
        if self.statements.is_waiting or self.info.transaction_status is not _IDLE:
            self.statements.run("ROLLBACK")

    def _in_time(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Go on with `gen`, which is told now and then that nothing has come, until that takes too long."""
        ready, heard_at = None, time.monotonic()
        while True:
            try:
                wanted = gen.send(ready)
            except StopIteration as end:
                result: T = end.value
                return result
            ready = yield wanted
            if ready:
                heard_at = time.monotonic()
            elif time.monotonic() > heard_at + self.statements.patience:
                self.statements.give_up()


class Links:
    """As many connections as are needed at one time. Any thread may use it.

    Raises:
        StorageError: if there is none to be had.
    """

    def __init__(self, address: Address, most: int = MOST) -> None:
        self._address = address
        self._handed_over = threading.Lock()
        self._new: Link | None = None
        self._engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: self._new,
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",  # a transaction begins at the driver, see `begin`
            use_native_hstore=False,
            hide_parameters=True,
        )
        self._most = most
        self._is_away = False
        self._pool = ConnectionPool(
            # psycopg prepares nothing itself: with its own statements it would take away those of `Statements`.
            kwargs={**address.parameters, "autocommit": True, "prepare_threshold": None},
            connection_class=Link,
            min_size=1,
            max_size=most,
            configure=self._set_up,
            check=lambda link: link.statements.look(),
            reconnect_timeout=_RECONNECT_SECONDS,
            open=True,
        )

    def places(self) -> tuple[int, int]:
        """Return how many are in use, and how many may be."""
        stats = self._pool.get_stats()
        return stats["pool_size"] - stats["pool_available"], self._most

    def take(self) -> Link:
        """Return a connection that nobody else uses until it is given back.

        Raises:
            StorageError: if there is none to be had in time.
        """
        try:
            link: Link = self._pool.getconn(_IMPATIENCE_SECONDS if self._is_away else PATIENCE_SECONDS)
        except PoolTimeout:
            self._is_away = True
            raise StorageError(f"{self._address} cannot be reached, or has no connection left.") from None
        self._is_away = False
        return link

    def give_back(self, link: Link) -> None:
        """Let others have it, or another in its place if it is lost."""
        try:
            link.settle()
        except (psycopg.Error, sa.exc.SQLAlchemyError):
            link.close()
        if link.statements.is_given_up:  # nobody else need wait for this server: those that are idle are closed, too
            self._is_away = True
            self._pool.drain()
        self._pool.putconn(link)

    def close(self) -> None:
        """Close those that are idle; those that are in use follow when they are given back. Twice is fine."""
        self._pool.close()

    def _set_up(self, link: Link) -> None:
        """Make of a new connection what is needed. Where somebody has the database alone, it fails."""
        link.statements = Statements(link.pgconn, PATIENCE_SECONDS)
        link.statements.defer(_SETTINGS)
        ((longest,),) = link.statements.execute(_LONGEST, [])
        link.statements.patience = longest / 1000 + _SLACK_SECONDS
        ((is_present,),) = link.statements.execute(PRESENCE, [])
        if not is_present:
            raise psycopg.OperationalError("Somebody has the database alone.")
        with self._handed_over:
            self._new = link
            link.sql = self._engine.connect()
            self._new = None
        link.sql.detach()  # it is the pool's
        link.reading = SqlReadTransaction(link.sql, link.statements)
