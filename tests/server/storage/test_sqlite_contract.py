"""SQLite keeps the contract of a storage, by each of its ways of writing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from walletsync_server.storage import open_storage
from walletsync_server.storage.contract_tests import AccountContract, AddressContract, SignupContract
from walletsync_server.storage.interface import Storage


class Sqlite:
    @pytest.fixture(params=[False, True], ids=["writer thread", "inline"])
    def open_storage(self, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage]:
        return lambda: open_storage(f"sqlite:///{tmp_path}/walletsync.db", inline=request.param)


class TestAccounts(Sqlite, AccountContract):
    pass


class TestSignups(Sqlite, SignupContract):
    pass


class TestAddresses(Sqlite, AddressContract):
    pass
