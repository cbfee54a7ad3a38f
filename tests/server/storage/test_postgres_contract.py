"""PostgreSQL keeps the contract of a storage."""

from collections.abc import Callable

import pytest

from tests.postgres import Postgres
from walletsync_server.storage import open_storage
from walletsync_server.storage.contract_tests import AccountContract, AddressContract, SignupContract
from walletsync_server.storage.interface import Storage


class InPostgres:
    @pytest.fixture
    def open_storage(self, postgres: Postgres) -> Callable[[], Storage]:
        url = postgres.new_storage()
        return lambda: open_storage(url)


class TestAccounts(InPostgres, AccountContract):
    pass


class TestSignups(InPostgres, SignupContract):
    pass


class TestAddresses(InPostgres, AddressContract):
    pass
