"""Servers for the tests of this folder: one in this process, one that is a real process, both for all tests."""

from collections.abc import Iterator

import flask
import pytest

from tests.server.helpers import Account, FlaskWire, HttpWire, Wire, cheap_passwords, new_account
from walletsync_server.app import close_app, create_app
from walletsync_server.settings import Settings


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[flask.Flask]:
    """The application in this process, with cheap passwords."""
    file = tmp_path_factory.mktemp("app") / "walletsync.db"
    app = create_app(Settings(database=f"sqlite:///{file}", accounts="open"), passwords=cheap_passwords())
    yield app
    close_app(app)


@pytest.fixture(params=["flask", "process"])
def wire(request: pytest.FixtureRequest) -> Wire:
    """Both ways to a server."""
    if request.param == "flask":
        return FlaskWire(request.getfixturevalue("app"))
    return HttpWire(request.getfixturevalue("running_server").url)


@pytest.fixture
def account(wire: Wire) -> Account:
    """A new account with a device that is logged in."""
    return new_account(wire)
