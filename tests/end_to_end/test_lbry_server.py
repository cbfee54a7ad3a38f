"""Our client against a server that knows only LBRY's API 3."""

from collections.abc import Iterator

import pytest

from tests.conftest import PASSWORD
from tests.end_to_end.lbry_server import LbryServer
from walletsync import Client
from walletsync.errors import AccountExists, NotOffered, NoWallet, SeedChanged, WrongCredentials
from walletsync.results import OutOfDate, Posted


@pytest.fixture
def lbry() -> Iterator[LbryServer]:
    with LbryServer() as server:
        yield server


def device(server: LbryServer, name: str) -> Client:
    client = Client(server.url, device_id=name)
    client.set_account("alice@example.com", PASSWORD)
    return client


@pytest.mark.promise("P-43", "P-129")
def test_the_whole_flow_works_without_our_extras(lbry: LbryServer) -> None:
    """Sign up, log in, POST, GET, a conflict that carries no wallet, merge, and the token in no header."""
    with device(lbry, "laptop") as laptop, device(lbry, "phone") as phone:
        with pytest.raises(WrongCredentials):
            phone.get_auth_token()
        laptop.register()
        for client in (laptop, phone):
            client.get_auth_token()
        with pytest.raises(NoWallet):
            phone.sync()
        laptop.set_document({"a": 1, "b": 1})
        assert laptop.post_wallet() == Posted(1)
        phone.sync()
        laptop.set_document({"a": 2, "b": 1})
        phone.set_document({"a": 1, "b": 2})
        assert laptop.post_wallet() == Posted(2)
        assert phone.post_wallet() == OutOfDate(2)
        assert phone.get_document() == {"a": 2, "b": 2}
        assert phone.post_wallet() == Posted(3)
        laptop.sync()
        assert laptop.get_document() == {"a": 2, "b": 2}
        assert laptop.wallet_state == phone.wallet_state
    assert not any("Authorization" in headers for headers in lbry.headers)


def test_an_account_that_exists_is_reported(lbry: LbryServer) -> None:
    """From the status alone, since there is no machine code."""
    with device(lbry, "laptop") as laptop, device(lbry, "phone") as phone:
        laptop.register()
        with pytest.raises(AccountExists):
            phone.register()
        phone.get_auth_token()


@pytest.mark.promise("P-129")
def test_what_the_server_does_not_have_is_told_as_that(lbry: LbryServer) -> None:
    """There is a server, and what it offers works; each of our extras says that it is one."""
    with device(lbry, "laptop") as laptop:
        laptop.register()
        laptop.set_document({"a": 1})
        laptop.sync()
        for extra in (
            laptop.history,
            lambda: laptop.version(1),
            laptop.devices,
            lambda: laptop.revoke_device("phone"),
            lambda: laptop.change_password("another long password"),
            laptop.delete_account,
            laptop.log_out,
        ):
            with pytest.raises(NotOffered, match="offers nothing of that kind"):
                extra()
        assert laptop.sync().sequence == 1


def test_an_account_that_is_gone_is_made_anew_by_consent_only(lbry: LbryServer) -> None:
    """Such a server admits that it has none, which is its word alone."""
    with device(lbry, "laptop") as laptop:
        laptop.register()
        laptop.set_document({"a": 1})
        laptop.sync()
        lbry.forget_accounts()
        with pytest.raises(SeedChanged, match="does not have the account that this device knows"):
            laptop.register()
        laptop.register(anew=True)
        assert laptop.sync().sequence == 1
