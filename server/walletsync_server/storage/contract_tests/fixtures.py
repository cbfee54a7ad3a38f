"""What all tests of the contract stand on."""

from collections.abc import Callable, Iterator

import pytest

from walletsync_server.storage.contract_tests.records import ALICE
from walletsync_server.storage.interface import Account, Storage


class StorageContract:
    """A storage that is new for every test."""

    @pytest.fixture
    def open_storage(self) -> Callable[[], Storage]:
        """Return what opens a test's one database, new at first; an engine's tests say how."""
        raise NotImplementedError

    @pytest.fixture
    def storage(self, open_storage: Callable[[], Storage]) -> Iterator[Storage]:
        """Return the storage, open until the test ends."""
        storage = open_storage()
        yield storage
        storage.close()

    @pytest.fixture
    def alice(self, storage: Storage) -> Account:
        """Return an account that the storage has."""
        storage.write(lambda transaction: transaction.insert_account(ALICE))
        return ALICE
