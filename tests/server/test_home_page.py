"""The page for whoever opens the server's address in a browser."""

import re
import shlex

import pytest
from click.testing import CliRunner

from tests.server.helpers import Wire
from tests.server.markup import Reader
from walletsync.cli import main
from walletsync_server.api.pages import read
from walletsync_server.api.routes import ROUTES

HOME = read("home.html")
COMMANDS = re.findall(r"^(?:<pre.*<code>)?(walletsync .*?)(?:</code></pre>)?$", HOME, re.MULTILINE)


@pytest.mark.promise("P-116")
def test_page_is_served_like_the_other_page_for_people(wire: Wire) -> None:
    """It has the headers of `/docs`, but for length and the digest of the style, and nothing of the request in it."""
    home, docs = wire("GET", "/?q=canary"), wire("GET", "/docs")
    assert (home.status, Reader(home.body.decode()).texts["title"]) == (200, "A walletsync server")
    assert HOME in home.body.decode()
    assert "canary" not in home.body.decode()
    its_own = {"date", "content-length", "x-request-id", "content-security-policy"}
    assert {n: v for n, v in home.headers.items() if n not in its_own} == {
        n: v for n, v in docs.headers.items() if n not in its_own
    }
    policies = [re.sub("sha256-[^']*", "", each.headers["content-security-policy"]) for each in (home, docs)]
    assert policies[0] == policies[1]
    assert wire("HEAD", "/").status == 200


def test_page_needs_nothing_from_elsewhere() -> None:
    """No script, no picture, and links only to what this server has."""
    reader = Reader(HOME)
    assert {tag for tag, _ in reader.elements} == {"h1", "p", "pre", "code", "a"}
    paths = {route.path for route in ROUTES}
    assert set(reader.attributes("href")) == {"/docs", "/openapi.json"}
    assert set(reader.attributes("href")) <= paths
    assert "://" not in HOME


@pytest.mark.parametrize("command", [*COMMANDS, *re.findall(r"<code>(walletsync \w+)</code>", HOME)])
def test_commands_on_the_page_exist(command: str) -> None:
    """What the page says to type is taken by walletsync's own program, with all options."""
    ended = CliRunner().invoke(main, [*shlex.split(command)[1:], "--help"])
    assert ended.exit_code == 0, ended.output


def test_page_says_how_to_begin() -> None:
    """Set up, register, sync; log in on the next device."""
    assert [command.split()[1] for command in COMMANDS] == ["init", "register", "sync"]
    assert "--server ADDRESS" in COMMANDS[0]
    assert "<code>walletsync login</code>" in HOME
