"""Where a PostgreSQL database is: its URL, as the driver takes it and as people may see it."""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from walletsync_server.storage.interface import StorageError

_DEFAULTS = {
    "application_name": "walletsync-server",
    "client_encoding": "UTF8",
    "connect_timeout": "5",
    # A machine that vanished is noticed within half a minute, not when the system gives up on it hours later.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "target_session_attrs": "read-write",  # of several hosts the one that takes writes now
}
_SECRETS = "password", "sslpassword"


class Address:
    """The address of a database, from its URL. `str` of it has no password in it, and no user.

    Raises:
        StorageError: if it is none; the message does not repeat it.
    """

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            raise StorageError(
                "The URL of a PostgreSQL database is postgresql://USER@HOST:PORT/NAME; write what else has a meaning "
                "in a URL with % and two digits."
            ) from None
        self.parameters: dict[str, Any] = {**_DEFAULTS, **given}

    def __str__(self) -> str:
        host, port, name = (str(self.parameters.get(each, "")) for each in ("host", "port", "dbname"))
        return f"postgresql://{host}{f':{port}' if port else ''}/{name}"

    def without_secrets(self, words: str) -> str:
        """Return these words of the driver in one line, and without the URL's passwords, should they be in there."""
        for secret in filter(None, map(self.parameters.get, _SECRETS)):
            words = words.replace(str(secret), "…")
        return " ".join(words.split())
