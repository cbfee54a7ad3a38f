"""The page of a machine's wallet, and a visitor who sends every byte as they like."""

import http.client
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlencode, urlsplit

from tests.client.cli.machines import Machine
from walletsync.cli.ui.serving import Page
from walletsync.cli.wallet import Wallet


@dataclass(frozen=True)
class Seen:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    html: str

    @property
    def text(self) -> str:
        """What a person reads, with single spaces."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.html)).split())

    @property
    def seen(self) -> str:
        """What the page's form says that its person has seen; the first one's, of several."""
        seen: str = re.findall(r'name="seen" value="(\w+)"', self.html)[0]
        return seen

    @property
    def title(self) -> str:
        return unescape(re.findall(r"<h1>(.*?)</h1>", self.html)[0])


@dataclass
class Visitor:
    """A browser as far as forms and the cookie go; whatever is given in `headers` takes the place of what it sends."""

    address: str
    cookie: str = ""
    folder: str = "/"

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    def send(self, method: str, target: str, body: str = "", headers: Mapping[str, str | None] | None = None) -> Seen:
        sent: dict[str, str | None] = {"Host": self.host, "Cookie": self.cookie or None}
        if method == "POST":
            sent |= {"Origin": f"http://{self.host}", "Content-Type": "application/x-www-form-urlencoded"}
        sent |= headers or {}
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        seen = Seen(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())
        connection.close()
        return seen

    def enters(self) -> Seen:
        """Open the address, keep the cookie, and follow to the first page."""
        split = urlsplit(self.address)
        answer = self.send("GET", f"{split.path}?{split.query}")
        assert answer.status == 303, answer.text
        self.cookie = answer.headers["set-cookie"].split(";")[0]
        self.folder = answer.headers["location"]
        return self.sees()

    def sees(self, page: str = "") -> Seen:
        return self.send("GET", f"{self.folder}{page}")

    def presses(self, button: str, **fields: str) -> Seen:
        """Send the form of the first page that has this button, with `fields` in place of its own; see what it says."""
        seen = self.sees()
        forms = re.findall(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', seen.html, re.DOTALL)
        action, inside = next(each for each in forms if f">{button}</button>" in each[1])
        found = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', inside))
        found |= dict(re.findall(r'<button name="([^"]+)" value="([^"]+)"[^>]*>' + re.escape(button), inside))
        return self.posts(action, **(found | fields))

    def posts(self, target: str, **fields: str) -> Seen:
        answer = self.send("POST", target, urlencode(fields))
        return self.send("GET", answer.headers["location"]) if answer.status == 303 else answer


@contextmanager
def page_of(machine: Machine, patch: Callable[[str, str], None]) -> Iterator[Visitor]:
    """The page in this process, with a visitor who has not come in yet; `patch` sets a variable of the environment."""
    for name, value in machine.environment().items():
        patch(name, value)
    wallet = Wallet.open(machine.file)
    with wallet.with_password() as client, Page(wallet, client) as page:
        thread = threading.Thread(target=page.serve)
        thread.start()
        try:
            yield Visitor(page.address)
        finally:
            page.end()
            thread.join()
