"""Who is let in to the page: the browser that came first with the key, and nobody else here or elsewhere."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cheap_server import CheapServer
from tests.client.cli.label_pairs import Pair, labels, read
from tests.client.cli.machines import ROOT, Machine, Make, bare
from tests.client.cli.pages import Visitor, page_of
from tests.conftest import PASSWORD
from tests.server.helpers import until
from walletsync.cli.ui.serving import Page

GONE = "You are not let in"


@pytest.fixture
def stranger(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    """Somebody who knows the address, and has not opened it."""
    with page_of(pair[0], monkeypatch.setenv) as visitor:
        yield visitor


@pytest.fixture
def visitor(stranger: Visitor) -> Visitor:
    """Somebody who was let in."""
    stranger.enters()
    return stranger


def target_of(address: str) -> str:
    split = urlsplit(address)
    return f"{split.path}?{split.query}"


def test_the_key_lets_in_once(stranger: Visitor) -> None:
    """It is good for a cookie that no script sees and no other page sends, and then for nothing."""
    target = target_of(stranger.address)
    answer = stranger.send("GET", target)
    assert answer.status == 303
    cookie = re.fullmatch(
        r"walletsync=([\w-]{43}); HttpOnly; Path=(/[\w-]{22}/); SameSite=Strict", answer.headers["set-cookie"]
    )
    assert cookie is not None
    assert answer.headers["location"] == cookie[2]
    assert cookie[1] not in target
    again = stranger.send("GET", target)
    assert (again.status, again.title) == (403, GONE)
    assert "set-cookie" not in again.headers
    assert "start it again" in again.text
    assert "If somebody else has opened the address before you" in again.text


def test_looking_at_the_head_costs_no_key(stranger: Visitor) -> None:
    """Programs do that which fetch ahead."""
    assert stranger.send("HEAD", target_of(stranger.address)).status == 403
    assert stranger.enters().status == 200


@pytest.mark.parametrize("key", ["", "?key=", "?key=x", "?key=%C3%A9", "?key=%ED%A0%80", "?other=1"])
def test_another_key_lets_nobody_in(key: str, stranger: Visitor) -> None:
    """And costs the right one nothing."""
    assert stranger.send("GET", f"/{key}").status == 403
    assert stranger.enters().status == 200


@pytest.mark.parametrize("cookie", [None, "", "walletsync=", "walletsync=x", "walletsync=\xe9", "other=1"])
def test_without_the_cookie_there_is_nothing(cookie: str | None, visitor: Visitor, pair: Pair) -> None:
    """No page, whatever its address, and no deed."""
    pair[0].file.write_text(labels(a="flat", b="car"))
    for page in ("", "versions", "compare?older=1&newer=1", "restore/1", "no-such-page"):
        seen = visitor.send("GET", f"{visitor.folder}{page}", headers={"Cookie": cookie})
        assert (seen.status, seen.title) == (403, GONE)
    for page in ("sync", "conflict", "earlier", "delete", "put-back", "restore/1"):
        assert visitor.send("POST", f"{visitor.folder}{page}", headers={"Cookie": cookie}).status == 403
    assert "Not sent yet" in visitor.sees().text


@pytest.mark.parametrize(
    "host", [None, "", "localhost", "localhost:{port}", "127.0.0.1", "127.0.0.1:1", "rebound.example.com:{port}"]
)
def test_another_host_is_not_this_one(host: str | None, visitor: Visitor) -> None:
    """A name that somebody made to lead here, by which a page elsewhere would have our origin."""
    named = None if host is None else host.format(port=visitor.host.partition(":")[2])
    for target in (visitor.folder, "/style.css", target_of(visitor.address)):
        assert visitor.send("GET", target, headers={"Host": named}).status in (400, 403)
    assert visitor.send("POST", f"{visitor.folder}sync", headers={"Host": named}).status in (400, 403)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "https://example.com",
        "http://localhost:{port}",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
    ],
)
def test_a_form_of_another_page_does_nothing(origin: str | None, visitor: Visitor, pair: Pair) -> None:
    """Even where the browser would send the cookie along, as to another port of this computer."""
    pair[0].file.write_text(labels(a="flat", b="car"))
    named = None if origin is None else origin.format(port=visitor.host.partition(":")[2])
    assert visitor.send("POST", f"{visitor.folder}sync", headers={"Origin": named}).status == 403
    assert "Not sent yet" in visitor.sees().text


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "TRACE", "GET"])
def test_only_forms_do_anything(method: str, visitor: Visitor) -> None:
    """A link cannot."""
    assert visitor.send(method, f"{visitor.folder}sync").status in (403, 405)
    assert "in version 1" in visitor.sees().text


def test_every_answer_has_the_headers(visitor: Visitor) -> None:
    """Nothing of elsewhere is loaded, nothing is kept, and nobody puts the page into a frame."""
    answers = [
        visitor.sees(),
        visitor.sees("no-such-page"),
        visitor.send("GET", "/style.css"),
        visitor.send("GET", "/"),
        visitor.send("POST", f"{visitor.folder}sync"),
    ]
    assert [each.status for each in answers] == [200, 404, 200, 403, 303]
    for each in answers:
        assert each.headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert each.headers["cache-control"] == "no-store"
        assert each.headers["referrer-policy"] == "same-origin"
        assert each.headers["x-content-type-options"] == "nosniff"
        assert each.headers["cross-origin-resource-policy"] == "same-origin"
        assert each.headers["server"] == "walletsync"
        assert "access-control-allow-origin" not in each.headers


def test_a_body_that_is_too_large_is_refused(visitor: Visitor) -> None:
    """Nobody sends that from a form."""
    large = "x" * 100_000
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert visitor.send("POST", f"{visitor.folder}conflict", f"keep={large}", headers).status == 413


def test_nothing_but_this_computer_reaches_it(visitor: Visitor) -> None:
    """The server listens on 127.0.0.1 alone: not even on another address of the loopback."""
    port = int(visitor.host.partition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))


class Running:
    """A `walletsync ui` of a machine."""

    def __init__(self, machine: Machine, words: str = "--no-browser", **environment: str) -> None:
        self._out, self._errors = machine.folder / "out", machine.folder / "errors"
        with self._out.open("wb") as out, self._errors.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.cheap_walletsync", "ui", *words.split()],
                cwd=ROOT,
                env=bare(machine, **machine.environment(**environment)),
                stdout=out,
                stderr=said,
            )
        until(lambda: self.said.endswith("once.\n") or self.process.poll() is not None)

    @property
    def told(self) -> str:
        return self._out.read_text()

    @property
    def said(self) -> str:
        return self._errors.read_text()

    def ends(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def running(pair: Pair) -> Iterator[Running]:
    running = Running(pair[1])
    yield running
    running.process.kill()
    running.process.wait()


def test_the_command_prints_the_address_and_nothing_of_who_comes(running: Running, pair: Pair) -> None:
    """On stdout; what is opened is not logged, and a signal ends it well."""
    visitor = Visitor(running.told.strip())
    visitor.enters()
    pair[1].file.write_text(labels(a="rent", b="car", c="coffee"))
    visitor.presses("Sync now")
    pair[0].ok("sync")
    assert read(pair[0])["c"] == "coffee"
    assert visitor.send("GET", target_of(visitor.address)).status == 403
    assert running.ends() == 0
    assert running.told == f"{visitor.address}\n"
    assert running.said == "The page is there until Ctrl-C. The address can be opened once.\n"
    assert PASSWORD not in running.told + running.said
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(visitor.host).request("GET", "/")


def test_the_command_opens_the_browser(pair: Pair) -> None:
    """The one that the person uses; with --json the address is a field."""
    opened, program = pair[1].folder / "opened", pair[1].folder / "browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
    program.chmod(0o700)
    running = Running(pair[1], "--json", BROWSER=str(program))
    try:
        until(opened.exists)
        assert running.told == f'{{"address":"{opened.read_text()}"}}\n'
    finally:
        running.process.kill()
        running.process.wait()


def test_the_address_that_is_opened_is_the_printed_one(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """And Ctrl-C is no failure."""
    opened: list[str] = []

    def serve(_: Page) -> None:
        until(lambda: bool(opened))
        raise KeyboardInterrupt

    monkeypatch.setattr(Page, "serve", serve)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert pair[0].ok("ui") == f"{opened[0]}\n"
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def same_signals() -> Iterator[None]:
    """What a command of this process sets goes with the test."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("same_signals")
def test_a_wrong_password_is_told_before_there_is_a_page(pair: Pair) -> None:
    """In the words of `walletsync sync`, whether the wallet or the server can tell."""
    one, _ = pair
    one.types("mistyped")
    told = one.fails("ui --no-browser", 4)
    assert "The password is not that of the wallet on this device" in told
    assert told == one.fails("sync", 4)
    one.types(PASSWORD)
    one.ok("logout")
    one.types("mistyped")
    assert one.fails("ui --no-browser", 4) == one.fails("sync", 4) == told


@pytest.mark.usefixtures("same_signals")
def test_an_account_that_there_is_not_is_told_before_there_is_a_page(make: Make) -> None:
    """The server knows nobody of this address."""
    laptop = make("laptop")
    told = laptop.fails("ui --no-browser", 4)
    assert "walletsync register" in told
    assert told.splitlines()[:-1] == laptop.fails("sync", 4).splitlines()[:-1]  # the last one names the request


def test_without_the_server_there_is_a_page(tmp_path: Path, address: Callable[[], str]) -> None:
    """It says so if the password could not be checked. A wallet that is here checks it, and a wrong one is told."""
    with CheapServer(accounts="open") as server:
        laptop = Machine(tmp_path / "laptop", server.url, address())
        laptop.init()
        laptop.ok("register")
        laptop.write({"a": 1})
        laptop.ok("sync")
        for is_logged_in in (True, False):
            if not is_logged_in:
                server.start()
                laptop.ok("logout")
            server.stop()
            running = Running(laptop)
            try:
                assert running.said.startswith("The password could not be checked. ") == (not is_logged_in)
                assert "The page is there until Ctrl-C." in running.said
                assert "in version 1" in Visitor(running.told.strip()).enters().text
            finally:
                running.process.kill()
                running.process.wait()
            laptop.types("mistyped")
            running = Running(laptop)
            assert (running.ends() == 4) == is_logged_in
            laptop.types(PASSWORD)


def test_the_page_without_the_extra_says_what_is_missing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install walletsync[cli]` has no Flask."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "walletsync.cli.ui.serving", None)
        assert "walletsync[ui]" in pair[0].fails("ui", 2)
    program = "import sys; sys.modules['flask'] = None; from walletsync.cli import main; main(['ui'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=bare(pair[0], **pair[0].environment()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "walletsync[ui]" in done.stderr
    assert "Traceback" not in done.stderr
