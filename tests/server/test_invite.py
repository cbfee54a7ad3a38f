"""`accounts invite` and the mail part of `doctor`, against a real SMTP server."""

import asyncio
import ssl
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from aiosmtpd.smtp import AuthResult
from click.testing import CliRunner, Result

from tests.cheap_server import CheapServer
from tests.server.helpers import HttpWire, sign_up
from walletsync_server.cli import main
from walletsync_server.storage.sqlite.opening import open_sqlite

ALICE = "alice@example.com"
URL = "https://sync.example.com"
PASSWORD = "open sesame"


class Post(MessageHandler):
    """Keeps what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.mails.append(message)


class MailServer(Controller):
    """An SMTP server on a free port, with STARTTLS and a login."""

    def __init__(self, authority: trustme.CA) -> None:
        self.post = Post()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        super().__init__(
            self.post,
            hostname="127.0.0.1",
            port=0,
            tls_context=context,
            auth_require_tls=True,
            auth_required=True,
            authenticator=lambda server, session, envelope, mechanism, data: AuthResult(
                success=data.password == PASSWORD.encode(), handled=False
            ),
        )

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]  # the one that it was given
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd's own


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process trust the mail server's certificate."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[MailServer]:
    server = MailServer(authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def variables(server: MailServer, tmp_path: Path) -> dict[str, str]:
    """Settings of a server with a database, and with this mail server."""
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    open_sqlite(tmp_path / "walletsync.db").close()
    return {
        "WALLETSYNC_DATABASE": f"sqlite:///{tmp_path}/walletsync.db",
        "WALLETSYNC_PUBLIC_URL": URL,
        "WALLETSYNC_MAIL_SERVER": "localhost",
        "WALLETSYNC_MAIL_PORT": str(server.port),
        "WALLETSYNC_MAIL_FROM": "sync@example.com",
        "WALLETSYNC_MAIL_USERNAME": "sync",
        "WALLETSYNC_MAIL_PASSWORD_FILE": str(password),
    }


def run(words: str, variables: dict[str, str], **more: str) -> Result:
    return CliRunner().invoke(main, words.split(), env={**variables, **more})


def doctor(variables: dict[str, str], **more: str) -> Result:
    """Let it look at no network but the mail server's."""
    return run("doctor --port 0", variables, WALLETSYNC_PUBLIC_URL="", **more)


@pytest.mark.usefixtures("trusted")
def test_invited_address_is_told_and_may_sign_up(server: MailServer, variables: dict[str, str], tmp_path: Path) -> None:
    """One mail with the server's address arrives, and the permission is there."""
    ended = run(f"accounts invite {ALICE}", variables)
    assert (ended.exit_code, ended.stdout) == (0, f"{ALICE} may sign up, and the invitation was sent.\n"), ended.output
    (mail,) = server.post.mails
    assert (mail["To"], mail["From"], mail["Subject"]) == (ALICE, "sync@example.com", "You are invited")
    assert URL in mail.get_payload()
    with CheapServer(database=tmp_path / "walletsync.db") as running:
        assert sign_up(HttpWire(running.url), ALICE).status == 201


def test_invitation_without_a_mail_server_is_printed(tmp_path: Path) -> None:
    """The operator gets the text on stdout and sends it in another way."""
    open_sqlite(tmp_path / "walletsync.db").close()
    variables = {"WALLETSYNC_DATABASE": f"sqlite:///{tmp_path}/walletsync.db"}
    ended = run(f"accounts invite {ALICE} --public-url {URL}", variables)
    assert (ended.exit_code, URL in ended.stdout) == (0, True)
    assert "pass this on yourself" in ended.stderr
    assert f"{ALICE}  may sign up" in run("accounts list", variables).stdout
    missing = run(f"accounts invite {ALICE}", variables)
    assert (missing.exit_code, "--public-url" in missing.stderr) == (2, True)


@pytest.mark.usefixtures("trusted")
def test_where_everybody_may_sign_up_none_is_listed(server: MailServer, variables: dict[str, str]) -> None:
    """An invitation to a server that confirms addresses is only a mail."""
    assert run(f"accounts invite {ALICE} --accounts email", variables).exit_code == 0
    assert len(server.post.mails) == 1
    assert run("accounts list", variables).stdout == ""


def faults(variables: dict[str, str], folder: Path) -> Iterator[tuple[dict[str, str], str, int]]:
    """Return settings of the mail server that are wrong, what is said of each, and the status of `invite`."""
    wrong = folder / "wrong"
    wrong.write_text("close sesame")
    wrong.chmod(0o600)
    yield {"WALLETSYNC_MAIL_PASSWORD_FILE": str(wrong)}, "refuses the login", 1
    yield {"WALLETSYNC_MAIL_PASSWORD_FILE": str(folder / "missing")}, "mail_password_file cannot be read", 2
    yield {"WALLETSYNC_MAIL_PORT": "1"}, "cannot be reached (Connection refused)", 1
    yield {"WALLETSYNC_MAIL_SECURITY": "tls"}, "cannot be reached", 1
    nobody: dict[str, Any] = {"WALLETSYNC_MAIL_USERNAME": "", "WALLETSYNC_MAIL_PASSWORD_FILE": ""}
    yield {**nobody, "WALLETSYNC_MAIL_FROM": "sync@example.com"}, "", 1


@pytest.mark.usefixtures("trusted")
def test_unusable_mail_server_is_told(server: MailServer, variables: dict[str, str], tmp_path: Path) -> None:
    """`invite` says that the address may sign up but was not told, and why; `doctor` says why as well."""
    *cases, without_login = faults(variables, tmp_path)
    for wrong, said, status in cases:
        ended = run(f"accounts invite {ALICE}", variables, **wrong)
        assert (ended.exit_code, said in ended.stderr, ALICE in ended.stderr) == (status, True, False), ended.output
        looked = doctor(variables, **wrong)
        assert (looked.exit_code, said in looked.stdout) == (1, True), looked.output
        assert "sesame" not in ended.output + looked.output
    ended = run(f"accounts invite {ALICE}", variables, **without_login[0])
    assert (ended.exit_code, "it refuses" in ended.stderr) == (1, True)
    assert not server.post.mails


def test_certificate_that_nobody_vouches_for_is_told(server: MailServer, variables: dict[str, str]) -> None:
    """A login never goes to a mail server that anybody could pretend to be."""
    looked = doctor(variables)
    assert (looked.exit_code, "its certificate cannot be trusted" in looked.stdout) == (1, True)


@pytest.mark.usefixtures("trusted")
def test_doctor_logs_in(server: MailServer, variables: dict[str, str], tmp_path: Path) -> None:
    """A mail server that works is ok, and a password file that others can read is warned of."""
    assert "localhost accepts mail from this server" in doctor(variables).stdout
    (tmp_path / "password").chmod(0o644)
    looked = doctor(variables)
    assert "mail password mode: other users" in looked.stdout
    assert "sesame" not in looked.output
    assert not server.post.mails
