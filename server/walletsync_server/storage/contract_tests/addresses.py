"""What every engine promises of the addresses that may sign up or have an account."""

from dataclasses import replace
from datetime import timedelta
from operator import methodcaller

from walletsync_server.storage.contract_tests.fixtures import StorageContract
from walletsync_server.storage.contract_tests.records import ALICE, BOB, NOW, append, token, wallet
from walletsync_server.storage.interface import Account, AddressSummary, Storage

CAROL = "carol@example.com"


class AddressContract(StorageContract):
    """Which addresses may sign up, and which have an account."""

    def test_address_is_allowed_until_that_is_taken_back(self, storage: Storage) -> None:
        """Each change says whether it changed anything; other addresses stay as they are."""
        assert not storage.read(lambda t: t.is_allowed(CAROL))
        assert [storage.write(lambda t: t.allow(CAROL, NOW)) for _ in range(2)] == [True, False]
        assert storage.read(lambda t: t.is_allowed(CAROL))
        assert not storage.read(lambda t: t.is_allowed("Carol@example.com"))
        assert [storage.write(lambda t: t.disallow(CAROL)) for _ in range(2)] == [True, False]
        assert not storage.read(lambda t: t.is_allowed(CAROL))

    def test_addresses_are_summed_up_in_their_order(self, storage: Storage, alice: Account) -> None:
        """Accounts and permissions make one list, of which each part is as long as is asked for."""
        storage.write(lambda t: t.insert_account(replace(BOB, epoch=2, disabled_at=NOW, quota=5)))
        append(storage, alice.account_id, wallet(1, "ü"), wallet(2, "x" * 1000))
        storage.write(lambda t: t.remember_client(alice.account_id, b"name", NOW - timedelta(hours=1), 1))
        storage.write(lambda t: t.remember_client(BOB.account_id, b"name", NOW + timedelta(hours=1), 1))
        for each in (token("a", 1), token("b", 2), token("c", 3), token("d", 4, BOB.account_id, epoch=1)):
            storage.write(methodcaller("put_token", each))
        for email in (BOB.email, CAROL):
            storage.write(lambda t, email=email: t.allow(email, NOW))  # type: ignore[misc]
        everybody = [
            AddressSummary(
                email=ALICE.email,
                allowed=False,
                created_at=NOW,
                current_sequence=2,
                devices=2,
                versions=2,
                size=len("ü".encode()) + 1000,
                last_seen=NOW,
            ),
            AddressSummary(
                email=BOB.email,
                allowed=True,
                created_at=NOW,
                last_seen=NOW + timedelta(hours=1),
                disabled_at=NOW,
                quota=5,
            ),
            AddressSummary(email=CAROL, allowed=True),
        ]
        now = NOW + timedelta(days=1)
        assert storage.read(lambda t: t.addresses_after("", 10, now)) == everybody
        assert storage.read(lambda t: t.addresses_after("", 2, now)) == everybody[:2]
        assert storage.read(lambda t: t.addresses_after(ALICE.email, 1, now)) == everybody[1:2]
        assert storage.read(lambda t: t.addresses_after(CAROL, 10, now)) == []
        assert storage.read(lambda t: [t.address_summary(each.email, now) for each in everybody]) == everybody
        assert storage.read(lambda t: t.address_summary("dora@example.com", now)) is None

    def test_permission_and_account_do_not_touch_each_other(self, storage: Storage, alice: Account) -> None:
        """Taking a permission back leaves the account, and an account that is deleted leaves the permission."""
        storage.write(lambda t: t.allow(alice.email, NOW))
        storage.write(lambda t: t.disallow(alice.email))
        assert storage.read(lambda t: t.find_account(alice.email)) == alice
        storage.write(lambda t: t.allow(alice.email, NOW))
        storage.write(lambda t: t.delete_account(alice.account_id, NOW))
        assert storage.read(lambda t: t.is_allowed(alice.email))
