"""A real server process where addresses have to be confirmed, with a real mail server, over HTTP."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cheap_server import CheapServer
from tests.server import described
from tests.server.helpers import (
    API,
    PASSWORD,
    SEED,
    Answer,
    FlaskWire,
    HttpWire,
    Wire,
    cheap_passwords,
    fresh_email,
    log_in,
    seed_of,
    sign_up,
    until,
)
from tests.server.smtp import HOST, USERNAME, Certificates, MailServer, Received
from tests.server.smtp import PASSWORD as MAIL_PASSWORD
from walletsync_server.app import close_app, create_app, reload_settings
from walletsync_server.reloading import Reloaded
from walletsync_server.settings import NO_TLS, STARTTLS, Settings, SettingsError
from walletsync_server.testing import RunningServer

VERIFY = f"{API}/verify"


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """A mail server with STARTTLS and a login, which this process and its children trust."""
    certificates = Certificates()
    with pytest.MonkeyPatch.context() as patch, MailServer(STARTTLS, certificates, login=True) as server:
        patch.setenv("SSL_CERT_FILE", str(certificates.write(tmp_path_factory.mktemp("certificates"))))
        yield server.start()


@pytest.fixture(scope="module")
def email_server(mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with email_mode(mail_server, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def wire(email_server: RunningServer) -> Wire:
    wire = HttpWire(email_server.url)
    wire.watch = described.check
    return wire


def email_mode(mail_server: MailServer, folder: Path) -> RunningServer:
    """Return a server in e-mail mode that uses this mail server; its database is in the folder."""
    password = folder / "mail-password"
    password.write_text(MAIL_PASSWORD + "\n")
    return CheapServer(
        database=folder / "walletsync.db",
        accounts="email",
        settings={
            "public_url": "https://sync.example.com",
            "mail_server": HOST,
            "mail_port": mail_server.port,
            "mail_username": USERNAME,
            "mail_password_file": str(password),
            "mail_from": "noreply@example.com",
            "rate_signup": "off",
            "rate_login": "off",
            "rate_seed": "off",
            "rate_resend": "off",
        },
    )


def arrived(mail_server: MailServer, address: str, number: int = 1) -> Received:
    """Wait until this many mails have arrived for the address; return the last."""
    until(lambda: len(mail_server.to(address)) >= number)
    assert len(mail_server.to(address)) == number
    return mail_server.to(address)[-1]


def press(wire: Wire, token: str) -> Answer:
    return wire("POST", VERIFY, query={"verifyToken": token})


@pytest.mark.promise("P-53", "P-55")
def test_address_is_confirmed_by_the_button_not_by_the_link(wire: Wire, mail_server: MailServer) -> None:
    """A sign-up waits, whoever opens its link; a POST to the same address makes the account, whose seed is told."""
    email = fresh_email()
    answer = sign_up(wire, email)
    assert (answer.status, answer.json) == (201, {"verified": False})
    mail = arrived(mail_server, email)
    assert (mail.encrypted, mail.authenticated) == (True, True)
    for method in ("GET", "HEAD", "GET"):
        assert wire(method, VERIFY, query={"verifyToken": mail.token}).status == 200
    waiting = log_in(wire, email)
    assert (waiting.status, waiting.code) == (401, "not_verified")
    assert log_in(wire, email, "another password").code == "wrong_credentials"
    assert seed_of(wire, email).json != {"clientSaltSeed": SEED}
    assert press(wire, mail.token).status == 200
    assert log_in(wire, email).status == 200
    assert seed_of(wire, email).json == {"clientSaltSeed": SEED}
    assert press(wire, mail.token).status == 404


@pytest.mark.promise("P-116")
def test_page_is_safe_to_open(wire: Wire) -> None:
    """The page has one form and one button, loads and runs nothing, and tells nobody where it came from."""
    page = wire("GET", VERIFY, query={"verifyToken": "0" * 64})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    directives = dict(part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";"))
    assert directives.pop("style-src").startswith("'sha256-")
    assert directives == {
        "default-src": "'none'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    text = page.body.decode()
    assert (text.count("<form"), text.count("<button")) == (1, 1)
    assert '<html lang="en">' in text
    assert not any(word in text for word in ("http:", "https:", "//", "<script", "<link", "<img", "0" * 64))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("query", ["", "?verifyToken=", "?verifyToken=" + "0" * 63, "?verifyToken=" + "g" * 64])
def test_link_that_is_not_complete_is_400(wire: Wire, method: str, query: str) -> None:
    """A link that lost its end is answered with a page that says what to do."""
    answer = wire(method, VERIFY + query)
    assert answer.status == 400
    assert b"not complete" in answer.body


def test_unknown_link_is_404(wire: Wire) -> None:
    """A link that nobody was sent makes nothing, and its page says what to do."""
    answer = press(wire, "0" * 64)
    assert answer.status == 404
    assert b"sign up again" in answer.body


@pytest.mark.promise("X-41")
def test_resend_mails_again(wire: Wire, mail_server: MailServer) -> None:
    """Who waits and asks gets another mail, whose link works; the answer is empty."""
    email = fresh_email()
    sign_up(wire, email)
    arrived(mail_server, email)
    answer = wire("POST", f"{API}/verify/resend", {"email": email})
    assert (answer.status, answer.json) == (200, {})
    assert press(wire, arrived(mail_server, email, 2).token).status == 200
    assert log_in(wire, email).status == 200


@pytest.mark.promise("P-52", "P-57", "S-19", "T-25", "X-41")
def test_answers_tell_nothing_about_an_address(wire: Wire, mail_server: MailServer) -> None:
    """New, waiting or with an account: sign-up, login, seed and resend answer alike in status, headers and length."""
    new, waiting, taken = (fresh_email() for _ in range(3))
    for email in (waiting, taken):
        sign_up(wire, email)
    press(wire, arrived(mail_server, taken).token)
    arrived(mail_server, waiting)

    def shape(answer: Answer) -> tuple[int, dict[str, str], int]:
        own = {"date", "x-request-id"}
        return answer.status, {k: v for k, v in answer.headers.items() if k not in own}, len(answer.body)

    questions: list[Callable[[str], Answer]] = [
        lambda email: log_in(wire, email, "another password"),
        lambda email: seed_of(wire, email),
        lambda email: wire("POST", f"{API}/verify/resend", {"email": email}),
        lambda email: sign_up(wire, email, "another password"),
        lambda email: log_in(wire, email, "another password"),
    ]
    for ask in questions:
        shapes = [shape(ask(email)) for email in (new, waiting, taken)]
        assert shapes == [shapes[0]] * 3
    assert log_in(wire, taken).status == 200


def test_person_who_has_an_account_is_told_by_mail(wire: Wire, mail_server: MailServer) -> None:
    """A sign-up with an address that has an account sends a mail that says so and has nothing to click."""
    email = fresh_email()
    sign_up(wire, email)
    press(wire, arrived(mail_server, email).token)
    assert sign_up(wire, email, "another password").json == {"verified": False}
    text = arrived(mail_server, email, 2).message.get_content()
    assert "already has an account there" in " ".join(text.split())
    assert "verifyToken" not in text


def test_deleted_account_can_be_made_anew(wire: Wire, mail_server: MailServer) -> None:
    """After an account was deleted its address can sign up again, with another password."""
    email = fresh_email()
    sign_up(wire, email)
    press(wire, arrived(mail_server, email).token)
    assert wire("POST", f"{API}/account/delete", {"email": email, "password": PASSWORD}).status == 204
    sign_up(wire, email, "another password")
    assert press(wire, arrived(mail_server, email, 2).token).status == 200
    assert log_in(wire, email, "another password").status == 200


def test_mail_waits_for_a_restart(mail_server: MailServer, tmp_path: Path) -> None:
    """Sign-ups are answered while the mail server is down; what waited when the server stopped is sent once after."""
    down = MailServer()
    with down, email_mode(down, tmp_path) as server:
        wire = HttpWire(server.url)
        stopped, killed = fresh_email(), fresh_email()
        assert sign_up(wire, stopped).status == 201
        until(lambda: "mail_failed" in server.log())
        assert server.stop() == 0
        server.start()
        assert sign_up(wire, killed).status == 201
        server.kill()
    with email_mode(mail_server, tmp_path) as server:
        tokens = [arrived(mail_server, email).token for email in (stopped, killed)]
        until(lambda: server.log().count("mail_sent") == 2)
        server.stop()
        server.start()
        assert [press(HttpWire(server.url), token).status for token in tokens] == [200, 200]
        after = fresh_email()
        sign_up(HttpWire(server.url), after)
        arrived(mail_server, after)
        assert [len(mail_server.to(email)) for email in (stopped, killed)] == [1, 1]


def test_nothing_secret_is_logged_or_stored(mail_server: MailServer, tmp_path: Path) -> None:
    """No address, password or token of a sign-up, nor the mail server's words, are in the log; no token in the file."""
    refused, email = fresh_email(), fresh_email()
    mail_server.says = lambda command, address: f"550 No user {address}" if address == refused else None
    with email_mode(mail_server, tmp_path) as server:
        wire = HttpWire(server.url)
        for each in (refused, email):
            sign_up(wire, each)
        until(lambda: "smtp_code=550" in server.log())
        token = arrived(mail_server, email).token
        for method in ("GET", "POST", "PUT"):
            wire(method, VERIFY, query={"verifyToken": token})
        server.stop()
        log = server.log()
    assert f"route={VERIFY}" in log
    for secret in (token, PASSWORD, MAIL_PASSWORD, "@", "No user", email.partition("@")[0], SEED):
        assert secret not in log
    raw = (tmp_path / "walletsync.db").read_bytes()
    assert email.encode() in raw
    for value in (token.encode(), bytes.fromhex(token), PASSWORD.encode(), MAIL_PASSWORD.encode()):
        assert value not in raw


def test_email_mode_without_its_settings_does_not_start(tmp_path: Path) -> None:
    """All that is missing is listed at once; so is a password that cannot be read."""
    command = [sys.executable, "-m", "walletsync_server", "serve", "--port", "0", "--accounts", "email"]
    database = ["--database", f"sqlite:///{tmp_path}/walletsync.db"]
    ended = subprocess.run([*command, *database], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert all(name in ended.stderr for name in ("public-url", "mail-server", "mail-from"))
    given = ["--public-url", "https://sync.example.com", "--mail-server", HOST, "--mail-from", "noreply@example.com"]
    login = ["--mail-username", "me", "--mail-password-file", str(tmp_path / "missing")]
    ended = subprocess.run(
        [*command, *database, *given, *login], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "mail_password_file cannot be read" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_reload_changes_the_way_of_mails(tmp_path: Path) -> None:
    """New settings of the mail server hold for the next mail; a password that cannot be read changes nothing at all."""
    with MailServer() as first, MailServer() as second:
        settings = Settings(
            database=f"sqlite:///{tmp_path}/walletsync.db",
            accounts="email",
            public_url="https://sync.example.com",
            mail_server=HOST,
            mail_port=first.start().port,
            mail_security=NO_TLS,
            mail_from="noreply@example.com",
        )
        app = create_app(settings, passwords=cheap_passwords())
        try:
            wire = FlaskWire(app)
            missing = str(tmp_path / "missing")
            new = replace(settings, mail_username=USERNAME, mail_password_file=missing, mail_security=STARTTLS)
            with pytest.raises(SettingsError, match="mail_password_file"):
                reload_settings(app, replace(new, rate_signup="1/hour"))
            for email in (fresh_email(), fresh_email()):
                assert sign_up(wire, email).status == 201
                arrived(first, email)
            moved = replace(settings, mail_port=second.start().port, mail_from="other@example.com")
            assert reload_settings(app, moved) == Reloaded(changed=("mail_port", "mail_from"))
            email = fresh_email()
            assert sign_up(wire, email).status == 201
            assert arrived(second, email).message["From"] == "other@example.com"
            assert len(first.inbox) == 2
        finally:
            close_app(app)
