"""The contract of `interface.py` as tests, which every engine has to pass. They need pytest; no server imports them.

An engine's tests inherit them and say how its storage is opened:

    class TestAccounts(AccountContract):
        @pytest.fixture
        def open_storage(self, tmp_path):
            return lambda: open_my_engine(tmp_path)
"""

from walletsync_server.storage.contract_tests.accounts import AccountContract as AccountContract
from walletsync_server.storage.contract_tests.addresses import AddressContract as AddressContract
from walletsync_server.storage.contract_tests.signups import SignupContract as SignupContract
