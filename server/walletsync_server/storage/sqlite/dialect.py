"""SQLAlchemy's SQLite, driven by apsw: the dialect `sqlite+apsw`."""

from typing import Any

import apsw
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.util import VersionInfo
from typing_extensions import override

from walletsync_server.storage.sqlite import dbapi

NAME = "sqlite+apsw"


class ApswDialect(SQLiteDialect):
    """What SQLAlchemy cannot know of `dbapi`."""

    driver = "apsw"
    supports_statement_cache = True
    returns_native_bytes = True
    # SQLAlchemy looks for the names of an error's class and of its bases, until it knows one.
    dbapi_exception_translation_map = {"ConstraintError": "IntegrityError", "Error": "OperationalError"}  # noqa: RUF012

    @classmethod
    @override
    def import_dbapi(cls) -> Any:
        return dbapi

    @override
    def retrieve_dbapi_version(self, dbapi: Any) -> VersionInfo:
        return VersionInfo([int(part) for part in apsw.apsw_version().split(".")])

    @override
    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        return dbapi.sqlite_version_info

    @override
    def get_driver_connection(self, connection: Any) -> Any:
        return connection.driver


registry.register("sqlite.apsw", __name__, ApswDialect.__name__)
