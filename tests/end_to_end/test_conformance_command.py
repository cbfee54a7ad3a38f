"""`walletsync conformance`: what it says of a server, over TLS too, and with an account where nobody can sign up."""

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trustme
from click.testing import CliRunner, Result

from tests.cheap_server import CheapServer
from tests.conftest import PASSWORD
from tests.faulty import Faulty, same
from tests.middle import DELETE_ACCOUNT, POST_WALLET, SIGNUP, WELL_KNOWN, Answer, Middle
from walletsync import Client
from walletsync.cli import main
from walletsync.conformance.suite import RULES
from walletsync_server.testing import RunningServer


def conformance(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["conformance", *words], env=environment)


def outcomes(*words: str, **environment: str) -> dict[str, dict[str, Any]]:
    """Return what the command says of each rule, for programs."""
    done = conformance(*words, "--json", **environment)
    return {each["id"]: each for each in json.loads(done.stdout)}


@pytest.fixture
def middle(running_server: RunningServer) -> Iterator[Middle]:
    """The one between, which passes all headers and WebSockets on."""
    with Faulty(running_server.url) as middle:
        yield middle


@pytest.fixture
def email(middle: Middle, address: Callable[[], str]) -> str:
    """The address of an account that has no wallet."""
    with Client(middle.url, device_id="tablet") as client:
        client.set_account(address(), PASSWORD)
        return client.register().email


@pytest.fixture
def password(tmp_path: Path) -> dict[str, str]:
    """What tells a command the password."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return {"WALLETSYNC_PASSWORD_FILE": str(file)}


def test_command_tells_rules_and_capabilities(running_server: RunningServer, tmp_path: Path) -> None:
    """A table, and JUnit's XML; status 0, and 1 where a rule is broken, which it names, with what was asked."""
    file = tmp_path / "results.xml"
    done = conformance(running_server.url, "--junit", str(file))
    assert done.exit_code == 0
    assert "W-5   required  kept" in done.stdout
    assert "wallet-history     yes" in done.stdout
    assert done.stdout.endswith(f"\n{len(RULES)} kept, 0 broken, 0 not tried, 0 not offered\n")
    assert "Accounts with random names are signed up" in done.stderr
    suite = ElementTree.parse(file).getroot()  # noqa: S314 - our own
    assert (len(suite), suite.get("failures"), suite.get("skipped")) == (len(RULES), "0", "0")

    with Faulty(running_server.url, POST_WALLET, same(409, 200)) as server:
        done = conformance(server.url, "--rule", "W-5", "--rule", "W-4", "--junit", str(file))
    assert done.exit_code == 1
    assert "W-4   required  kept" in done.stdout
    assert "W-5   required  broken       A wallet that is too late is 409, and changes nothing.\n" in done.stdout
    assert "\n      POST /api/3/wallet: expected status 409, came 200\n" in done.stdout
    assert "\n        POST /api/3/wallet: 200\n" in done.stdout
    assert "\n1 kept, 1 broken, 0 not tried, 0 not offered\n" in done.stdout
    assert ElementTree.parse(file).getroot().get("failures") == "1"  # noqa: S314 - our own


def test_each_request_names_its_rule(running_server: RunningServer) -> None:
    """Whoever runs the server finds in its log what was asked for a rule."""
    with Middle(running_server.url) as between:
        conformance(between.url, "--rule", "W-5")
    assert {head.partition("User-Agent: ")[2].partition("\n")[0] for head in between.heads} == {
        "walletsync-conformance",
        "walletsync-conformance W-5",
    }


def test_unknown_rule_is_refused(running_server: RunningServer) -> None:
    """Before anything is asked."""
    done = conformance(running_server.url, "--rule", "Z-1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "There is no rule Z-1" in done.stderr


@pytest.mark.parametrize(("accounts", "told"), [("allowlist", "lets no new address sign up"), ("email", "by a mail")])
def test_closed_server_is_told_apart(accounts: str, told: str) -> None:
    """Where nobody may sign up, or only after a mail, the suite says so and what to do, and blames no rule."""
    mail = {"mail_server": "127.0.0.1", "mail_from": "a@example.com", "public_url": "https://sync.example.com"}
    with CheapServer(accounts=accounts, settings=mail if accounts == "email" else {}) as server:
        done = conformance(server.url)
    assert (done.exit_code, done.stdout) == (4, "")
    assert told in done.stderr
    assert "--email" in done.stderr


def test_limited_server_is_told_apart() -> None:
    """What its limits keep from being tried is not tried, and says so; nothing of it is called broken."""
    with CheapServer(accounts="open", settings={"rate_signup": "3/hour"}) as server:
        found = outcomes(server.url)
    assert not [each for each in found.values() if each["outcome"] == "broken"]
    assert found["W-7"]["outcome"] == "not tried"
    assert "POST /api/3/signup was answered 429" in found["W-7"]["why"]
    assert found["W-5"]["outcome"] == "kept"


def test_account_that_is_given_is_used_and_no_other(
    middle: Middle, email: str, password: dict[str, str], tmp_path: Path
) -> None:
    """No sign-up is sent; what needs one is not tried, and says so, in JUnit's XML too. The rest is kept."""
    file = tmp_path / "results.xml"
    middle.requests.clear()
    found = outcomes(middle.url, "--email", email, "--junit", str(file), **password)
    by_outcome = {each["outcome"] for each in found.values()}
    assert by_outcome == {"kept", "not tried"}, [each for each in found.values() if each["outcome"] == "broken"]
    assert found["W-5"]["outcome"] == "kept"
    assert found["X-12"]["why"] == "This needs an account of its own, and the run was given one to use."
    assert SIGNUP not in middle.requests
    assert DELETE_ACCOUNT not in middle.requests
    skipped = ElementTree.parse(file).getroot().findall("testcase/skipped")  # noqa: S314 - our own
    assert {each.get("message") for each in skipped} == {found["X-12"]["why"]}


def test_devices_of_the_account_stay_logged_in(middle: Middle, email: str, password: dict[str, str]) -> None:
    """The run has devices of its own, and logs them out at its end."""
    with Client(middle.url, device_id="first") as first:
        first.set_account(email, PASSWORD)
        first.get_auth_token()
        outcomes(middle.url, "--email", email, "--rule", "A-4", "--rule", "X-9", **password)
        assert [each.device for each in first.devices()] == ["first"]


def test_wallet_of_the_account_is_kept(middle: Middle, email: str, password: dict[str, str]) -> None:
    """Nothing is written over it, unless that was said."""
    with Client(middle.url, device_id="laptop") as laptop:
        laptop.set_account(email, PASSWORD)
        laptop.set_document({"label": "rent"})
        laptop.sync()
        done = conformance(middle.url, "--email", email, **password)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "The account has a wallet" in done.stderr
        assert laptop.sync().sequence == 1
        found = outcomes(middle.url, "--email", email, "--overwrite", "--rule", "W-3", **password)
        assert found["W-3"]["outcome"] == "kept"


def test_account_that_does_not_exist_is_told_apart(
    middle: Middle, email: str, password: dict[str, str], tmp_path: Path
) -> None:
    """A wrong password, an address in another form, a call that makes no sense."""
    (tmp_path / "password").write_text("another password\n")
    done = conformance(middle.url, "--email", email, **password)
    assert (done.exit_code, done.stdout) == (4, "")
    assert "does not take this address and password" in done.stderr
    assert "lower case" in conformance(middle.url, "--email", "Ada@example.com", **password).stderr
    assert "--email" in conformance(middle.url, "--overwrite").stderr


def test_no_answer_to_a_rule_breaks_it(middle: Middle) -> None:
    """A server that hangs up where a rule asks is not one that cannot be reached."""
    middle.lose_answer("HEAD /api/3/wallet")
    found = outcomes(middle.url, "--rule", "X-18", "--rule", "X-19")
    assert found["X-18"]["why"] == "HEAD /api/3/wallet: expected an answer, came none"
    assert found["X-19"]["outcome"] == "kept"


@pytest.mark.parametrize("answer", [Answer(500, b"no"), Answer(200, b"[]"), Answer(200, {"features": "all"})])
def test_nonsense_about_itself_is_a_broken_rule(middle: Middle, answer: Answer) -> None:
    """What the server does not tell that it has is not asked for."""
    middle.always(WELL_KNOWN, answer)
    found = outcomes(middle.url, "--rule", "X-14", "--rule", "H-1", "--rule", "W-3")
    assert {id: each["outcome"] for id, each in found.items()} == {
        "W-3": "kept",
        "X-14": "broken",
        "H-1": "not offered",
    }


def test_authority_that_is_given_is_trusted(running_server: RunningServer, tmp_path: Path) -> None:
    """Over TLS every way of asking works, but for WebSockets, which the one in the middle does not know."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(file := tmp_path / "authority.pem")
    rules = [word for id in ("W-3", "W-8", "W-9", "N-3") for word in ("--rule", id)]
    with Middle(running_server.url, tls=context) as server:
        assert {each["outcome"] for each in outcomes(server.url, "--ca-file", str(file), *rules).values()} == {"kept"}
        server.requests.clear()
        done = conformance(server.url)
        assert (done.exit_code, done.stdout) == (3, "")
        assert "not trusted" in done.stderr
        assert "--ca-file FILE" in done.stderr
        (tmp_path / "nonsense.pem").write_text("nonsense")
        assert "PEM" in conformance(server.url, "--ca-file", str(tmp_path / "nonsense.pem")).stderr
        assert not server.requests
