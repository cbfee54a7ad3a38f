"""Connections to the server: a pool of them, each with what is made of it once, and what happens when one is lost."""

import threading
import time
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg_pool import ConnectionPool, PoolTimeout

from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.postgres.address import Address
from walletsync_server.storage.postgres.presence import PRESENCE
from walletsync_server.storage.postgres.statements import Statements
from walletsync_server.storage.sql.queries import SqlReadTransaction

MOST = 40
"""Connections that one process has at most: more than there are threads that need one at the same time."""
PATIENCE_SECONDS = 3.0
"""How long to wait for a connection."""
_IMPATIENCE_SECONDS = 0.05
"""The same while the last one who waited got none: nobody else needs to find out that the server is away."""
_RECONNECT_SECONDS = 4.0
"""For how long the pool tries to replace a connection, after pauses that grow and vary; then whoever needs one does."""
_IDLE = psycopg.pq.TransactionStatus.IDLE
_SETTINGS = b"""
SELECT set_config('idle_in_transaction_session_timeout', '60s', false),
       set_config('lock_timeout', '10s', false),
       CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END
"""
"""Whoever vanishes amid a transaction holds up others for so long, and an acknowledged write is on the disk."""


class Link(psycopg.Connection[tuple[Any, ...]]):
    """A connection, and what is made of it once, since that costs more than to ask it something."""

    statements: Statements
    sql: sa.Connection
    reading: SqlReadTransaction

    def settle(self) -> None:
        """End the transaction that is open, if one is, without what it did."""
        self.sql.rollback()  # for SQLAlchemy it is over, too
        if self.info.transaction_status is not _IDLE:
            self.statements.run(b"ROLLBACK")


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
            reconnect_timeout=_RECONNECT_SECONDS,
            open=True,
        )

    def places(self) -> tuple[int, int]:
        """Return how many are in use, and how many may be."""
        stats = self._pool.get_stats()
        return stats["pool_size"] - stats["pool_available"], self._most

    def begin(self, statement: bytes) -> Link:
        """Take a connection on which a transaction has begun by this statement; to be given back.

        One that turns out to be dead, as all do when the server was restarted, is replaced by the next.

        Raises:
            StorageError: if there is none to be had in time.
            psycopg.Error: if the server does not begin.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            link = self._take(deadline)
            try:
                link.statements.run(statement)
            except psycopg.Error:
                is_lost = link.info.status is psycopg.pq.ConnStatus.BAD
                self.give_back(link)
                if not is_lost:
                    raise
            else:
                return link

    def give_back(self, link: Link) -> None:
        """Let others have it, or another in its place if it is lost."""
        try:
            link.settle()
        except (psycopg.Error, sa.exc.SQLAlchemyError):
            link.close()
        self._pool.putconn(link)

    def close(self) -> None:
        """Close those that are idle; those that are in use follow when they are given back. Twice is fine."""
        self._pool.close()

    def _take(self, deadline: float) -> Link:
        patience = _IMPATIENCE_SECONDS if self._is_away else max(_IMPATIENCE_SECONDS, deadline - time.monotonic())
        try:
            link: Link = self._pool.getconn(patience)
        except PoolTimeout:
            self._is_away = True
            raise StorageError(f"{self._address} cannot be reached, or has no connection left.") from None
        self._is_away = False
        return link

    def _set_up(self, link: Link) -> None:
        """Make of a new connection what is needed. Where somebody has the database alone, it fails."""
        link.statements = Statements(link.pgconn)
        link.statements.run(_SETTINGS)
        ((is_present,),) = link.statements.execute(PRESENCE, [])
        if not is_present:
            raise psycopg.OperationalError("Somebody has the database alone.")
        with self._handed_over:
            self._new = link
            link.sql = self._engine.connect()
            self._new = None
        link.sql.detach()  # it is the pool's
        link.reading = SqlReadTransaction(link.sql, link.statements)
