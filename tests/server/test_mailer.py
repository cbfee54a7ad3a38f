"""The thread that sends mails, against a real mail server with every fault that one can have."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.server.helpers import FakeClock, cheap_passwords, until
from tests.server.smtp import HOST, PASSWORD, USERNAME, Certificates, MailServer
from walletsync_server.mail import mailer, smtp
from walletsync_server.mail.mailer import Mailer
from walletsync_server.mail.smtp import Route, connect
from walletsync_server.observe import logs
from walletsync_server.services import Services, build_services
from walletsync_server.services.errors import Unavailable
from walletsync_server.services.mail_queue import FIRST_RETRY, LEASE, MailQueue
from walletsync_server.services.store import Store
from walletsync_server.settings import NO_TLS, STARTTLS, TLS
from walletsync_server.storage.interface import Storage
from walletsync_server.storage.sql import schema
from walletsync_server.storage.sqlite.opening import open_sqlite

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it has TLS, from the start
ALICE, BOB = "alice@example.com", "bob@example.com"


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def trusted(certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process trust the mail server's certificate, as a machine trusts those of the web."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.write(tmp_path)))


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server without encryption and login, not started."""
    with MailServer() as server:
        yield server


@dataclass
class Office:
    """Services with a queue of mails, and what sends them."""

    services: Services
    storage: Storage
    clock: FakeClock
    failures: list[BaseException]
    mailers: list[Mailer]
    tries: list[str]

    def send_by(self, server: MailServer, **options: Any) -> Mailer:
        """Start a mailer that uses this mail server."""
        route = Route(
            host=HOST,
            port=server.port,
            sender="noreply@example.com",
            public_url="https://sync.example.com",
            **{"security": NO_TLS, "username": "", "password": "", **options},
        )
        started = Mailer(self.services.mail_queue, route, clock=self.clock, on_try=self.tries.append)
        self.mailers.append(started)
        started.start()
        return started

    def sign_up(self, *addresses: str) -> None:
        for address in addresses:
            self.services.accounts.sign_up(address, "a password", None)

    def is_postponed(self, address: str) -> bool:
        """Say whether the mail to this address waits for its second try."""
        query = select(schema.mails.c.due_at).where(schema.mails.c.email == address)
        due_at = self.storage.read(lambda t: t._connection.execute(query).scalar_one())  # type: ignore[attr-defined]
        return bool(due_at == self.clock.now + FIRST_RETRY)

    def queue(self) -> dict[str, tuple[int, bool]]:
        """Return, by address, how often each mail was tried and whether it was sent."""
        query = select(schema.mails.c.email, schema.mails.c.attempts, schema.mails.c.sent_at)
        rows = self.storage.read(lambda t: t._connection.execute(query).all())  # type: ignore[attr-defined]
        return {email: (attempts, sent_at is not None) for email, attempts, sent_at in rows}


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """An office that is quick: it looks at its queue all the time and waits for a mail server only briefly."""
    monkeypatch.setattr(mailer, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(mailer, "LONGEST_PAUSE_SECONDS", 0.05)
    failures: list[BaseException] = []
    monkeypatch.setattr(logs, "mail_failed", failures.append)
    storage, clock = open_sqlite(tmp_path / "w.db"), FakeClock()
    services = build_services(
        storage,
        may_sign_up=lambda email: True,
        max_wallet_bytes=1,
        confirm_addresses=True,
        clock=clock,
        seconds=clock.seconds,
        passwords=cheap_passwords(),
    )
    office = Office(services, storage, clock, failures, [], [])
    yield office
    for each in office.mailers:
        each.close()
    storage.close()


def holding(server: MailServer) -> tuple[threading.Event, threading.Event]:
    """Hold the mails up at the server; return what is set when it has begun with one, and what lets it go on."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(command: str, address: str) -> None:
        begun.set()
        assert go_on.wait(20)

    server.says = hold
    return begun, go_on


def refuses(address: str, answer: str, command: str = "RCPT") -> Callable[[str, str], str | None]:
    return lambda said, about: answer if (said, about) == (command, address) else None


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("security", [STARTTLS, TLS])
def test_mail_goes_over_tls_and_with_a_login(office: Office, certificates: Certificates, security: str) -> None:
    """With either kind of TLS the mail comes encrypted and from somebody who is logged in, and its link works."""
    with MailServer(security, certificates, login=True) as server:
        server.start()
        office.sign_up(ALICE)
        office.send_by(server, security=security, username=USERNAME, password=PASSWORD)
        until(lambda: office.queue() == {ALICE: (1, True)})
    (mail,) = server.inbox
    assert (mail.to, mail.encrypted, mail.authenticated) == (ALICE, True, True)
    assert parseaddr(mail.message["From"])[1] == "noreply@example.com"
    assert parseaddr(mail.message["To"])[1] == ALICE
    assert office.services.signups.confirm(mail.token)
    assert not office.failures


@pytest.mark.parametrize("security", [STARTTLS, TLS])
def test_certificate_that_nobody_vouches_for_gets_nothing(
    office: Office, certificates: Certificates, security: str
) -> None:
    """Neither the password nor a mail goes to a server whose certificate is not trusted; the mail waits."""
    with MailServer(security, certificates, login=True) as server:
        server.start()
        office.sign_up(ALICE)
        office.send_by(server, security=security, username=USERNAME, password=PASSWORD)
        until(lambda: len(office.failures) >= 2)
    assert "CERTIFICATE_VERIFY_FAILED" in str(office.failures[0])
    assert (server.inbox, server.guesses) == ([], [])
    assert office.queue() == {ALICE: (0, False)}


def test_mail_server_without_starttls_gets_nothing(office: Office, server: MailServer) -> None:
    """Where STARTTLS was asked for nothing goes unencrypted, as if somebody in the middle had removed the offer."""
    server.start()
    office.sign_up(ALICE)
    office.send_by(server, security=STARTTLS)
    until(lambda: len(office.failures) >= 2)
    assert server.inbox == []
    assert office.queue() == {ALICE: (0, False)}


@pytest.mark.usefixtures("trusted")
def test_wrong_password_makes_mails_wait(office: Office, certificates: Certificates) -> None:
    """A login that is refused is no fault of a mail: it waits untried, and goes once the login is right."""
    with MailServer(STARTTLS, certificates, login=True) as server:
        server.start()
        office.sign_up(ALICE)
        wrong = office.send_by(server, security=STARTTLS, username=USERNAME, password="wrong")
        until(lambda: bool(office.failures))
        wrong.close()
        assert office.queue() == {ALICE: (0, False)}
        office.send_by(server, security=STARTTLS, username=USERNAME, password=PASSWORD)
        until(lambda: office.queue() == {ALICE: (1, True)})
    assert len(server.inbox) == 1


def test_mail_waits_for_a_server_that_is_down(office: Office, server: MailServer) -> None:
    """A mail server that is down at the start delays mails, and each goes out once when it is back."""
    office.sign_up(ALICE)
    office.send_by(server)
    until(lambda: len(office.failures) >= 3)
    office.sign_up(BOB)
    server.start()
    until(lambda: office.queue() == {ALICE: (1, True), BOB: (1, True)})
    assert Counter(mail.to for mail in server.inbox) == {ALICE: 1, BOB: 1}


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_refused_mail_is_given_up(office: Office, server: MailServer, command: str) -> None:
    """A mail that the server refuses for good is not tried again, and holds up no other."""
    server.says = refuses(ALICE, "550 No such user", command)
    server.start()
    office.sign_up(ALICE, BOB)
    office.send_by(server)
    until(lambda: office.queue() == {BOB: (1, True)} and len(office.tries) == 2)
    assert [mail.to for mail in server.inbox] == [BOB]
    assert sorted(office.tries) == ["refused", "sent"]
    assert office.services.figures.mails_waiting() == 0
    assert not office.failures


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_deferred_mail_is_tried_again(office: Office, server: MailServer, command: str) -> None:
    """A mail that the server wants later comes later, once, and holds up no other."""
    server.says = refuses(ALICE, "450 Come back later", command)
    server.start()
    office.sign_up(ALICE, BOB)
    office.send_by(server)
    until(lambda: office.queue() == {ALICE: (1, False), BOB: (1, True)} and office.is_postponed(ALICE))
    until(lambda: len(office.tries) == 2)
    assert office.services.figures.mails_waiting() == 1
    server.says = lambda command, address: None
    office.clock.move(FIRST_RETRY)
    until(lambda: office.queue() == {ALICE: (2, True), BOB: (1, True)})
    assert Counter(mail.to for mail in server.inbox) == {ALICE: 1, BOB: 1}
    until(lambda: len(office.tries) == 3)
    assert Counter(office.tries) == {"failed": 1, "sent": 2}
    assert not office.failures


def test_lost_connection_makes_a_mail_wait(office: Office, server: MailServer) -> None:
    """A connection that ends in the middle of a mail costs this mail a minute."""
    server.says = refuses(ALICE, "421 Bye")
    server.start()
    office.sign_up(ALICE)
    office.send_by(server)
    until(lambda: office.queue() == {ALICE: (1, False)} and office.is_postponed(ALICE))
    server.says = lambda command, address: None
    office.clock.move(FIRST_RETRY)
    until(lambda: office.queue() == {ALICE: (2, True)})
    until(lambda: len(office.tries) == 2)
    assert office.tries == ["failed", "sent"]
    assert len(server.inbox) == 1


def test_silent_mail_server_holds_up_nobody(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a mail server accepts connections and says nothing, sign-ups are answered, and mails go out afterwards."""
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.5)
    with socket.create_server((HOST, 0)) as silent:
        dumb = MailServer()
        real_port, dumb.port = dumb.port, silent.getsockname()[1]
        first = office.send_by(dumb)
        office.sign_up(ALICE)
        silent.settimeout(20)
        connection, _ = silent.accept()  # the mailer waits for a greeting now
        office.sign_up(BOB)
        until(lambda: any("timed out" in str(error) for error in office.failures))
        connection.close()
        first.close()
        dumb.port = real_port
        with dumb:
            office.send_by(dumb.start())
            until(lambda: office.queue() == {ALICE: (1, True), BOB: (1, True)})


def test_several_mailers_send_each_mail_once(office: Office, server: MailServer, tmp_path: Path) -> None:
    """Three that share a queue, as several server processes do, send every mail once between them."""
    server.start()
    addresses = [f"user{number}@example.com" for number in range(40)]
    office.sign_up(*addresses[:20])
    others = [open_sqlite(tmp_path / "w.db") for _ in range(2)]
    own = office.services
    for storage in others:
        office.services = replace(own, mail_queue=MailQueue(Store(storage), office.clock))
        office.send_by(server)
    office.services = own
    office.send_by(server)
    office.sign_up(*addresses[20:])
    until(lambda: set(office.queue().values()) == {(1, True)})
    for each in office.mailers:
        each.close()
    for storage in others:
        storage.close()
    assert Counter(mail.to for mail in server.inbox) == dict.fromkeys(addresses, 1)


def test_mailer_outlives_a_fault_of_the_database(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails once is tried again: the thread goes on."""
    server.start()
    ask, times = MailQueue.are_due, iter(range(2))

    def fail_twice(self: MailQueue) -> bool:
        if next(times, None) is not None:
            raise Unavailable
        return ask(self)

    monkeypatch.setattr(MailQueue, "are_due", fail_twice)
    office.sign_up(ALICE)
    office.send_by(server)
    until(lambda: office.queue() == {ALICE: (1, True)})
    assert [type(error) for error in office.failures] == [Unavailable] * 2


def test_mail_that_was_sent_but_not_noted_comes_again(
    office: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the database fails just after a mail left, it is sent once more when its lease is over, not at once."""
    server.start()
    sent, times = MailQueue.sent, iter(range(1))

    def fail_once(self: MailQueue, outgoing: Any) -> None:
        if next(times, None) is not None:
            raise Unavailable
        sent(self, outgoing)

    monkeypatch.setattr(MailQueue, "sent", fail_once)
    office.sign_up(ALICE)
    office.send_by(server)
    until(lambda: bool(office.failures))
    office.sign_up(BOB)
    until(lambda: office.queue() == {ALICE: (1, False), BOB: (1, True)})
    office.clock.move(LEASE)
    until(lambda: office.queue() == {ALICE: (2, True), BOB: (1, True)})
    assert Counter(mail.to for mail in server.inbox) == {ALICE: 2, BOB: 1}


def test_new_route_holds_for_the_next_mail(office: Office, server: MailServer) -> None:
    """A mail that is queued after the route was set anew does not go over a connection that was open already."""
    begun, go_on = holding(server.start())
    with MailServer() as other:
        office.sign_up(ALICE)
        sender = office.send_by(server)
        assert begun.wait(20)
        sender.route = replace(sender.route, port=other.start().port)
        office.sign_up(BOB)
        go_on.set()
        until(lambda: all(sent for _, sent in office.queue().values()))
        assert [mail.to for mail in server.inbox] == [ALICE]
        assert [mail.to for mail in other.inbox] == [BOB]
    assert not office.failures


def test_close_stops_between_two_mails(office: Office, server: MailServer) -> None:
    """A mailer that is told to stop finishes the mail at hand; the others stay in the queue for the next start."""
    begun, go_on = holding(server.start())
    office.sign_up(ALICE, BOB)
    first = office.send_by(server)
    assert begun.wait(20)
    closing = threading.Thread(target=first.close)
    closing.start()
    until(first._stopping.is_set)
    go_on.set()
    closing.join()
    assert sorted(sent for _, sent in office.queue().values()) == [False, True]
    office.send_by(server)
    until(lambda: all(sent for _, sent in office.queue().values()))
    assert len(server.inbox) == 2


def test_password_is_not_shown() -> None:
    """What holds the mail server's password does not show it when printed."""
    route = Route(host="h", port=1, security=TLS, username="u", password=PASSWORD, sender="s", public_url="p")
    assert PASSWORD not in repr(route)


def test_connection_that_cannot_be_secured_is_closed(server: MailServer) -> None:
    """No connection is left open by a failure; a leak would be a warning, and so an error here."""
    server.start()
    route = Route(host=HOST, port=server.port, security=STARTTLS, username="", password="", sender="", public_url="")
    with pytest.raises(OSError, match="STARTTLS"):
        connect(route)
