"""The site: built without a warning, every link in it leads somewhere, and a browser needs no other host for it."""

import fcntl
import functools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import axe_core_python
import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from tests.browser import window
from tools.promises.holders import holders
from tools.promises.pages import PAGES as PROMISING
from tools.promises.pages import sections

ROOT = Path(__file__).parents[2]
DESKTOP, PHONE = (1280, 900), (400, 800)
PAGES = (
    "index.html",
    "notebooks/02-syncing.html",
    "docs/protocol.html",
    "SECURITY.html",
    "promises.html",
    "openapi.html",
    "api/client.html",
    "commands/client.html",
    "run.html",
)
LOOKED_AT = ("index.html", "notebooks/02-syncing.html", "SECURITY.html", "promises.html", "api/client.html", "run.html")
"""Pages of every kind, but the longest, for which axe takes minutes."""
SECONDS = 120
AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
FOUND = """const done = arguments[0];
axe.run({resultTypes: ["violations"]}).then((found) => done(found.violations));"""
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Built once, for all processes that run tests."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "site-test" / "site"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.parent.mkdir()
            command = [sys.executable, "-m", "tools.site", str(folder)]
            ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
            assert ran.stderr == ""
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Document(HTMLParser):
    """What a page links to and loads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value is not None:
                self.links.append(value)
            if name == "id" and value is not None:
                self.anchors.add(value)


def asked_for(browser: Chrome, address: str) -> list[str]:
    """Return all that the browser has tried to get for pages at this address, also in vain."""
    entries = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    tried = [each["params"] for each in entries if each["method"] == "Network.requestWillBeSent"]
    return [each["request"]["url"] for each in tried if each["documentURL"].startswith(address)]


def complaints(browser: Chrome) -> list[Any]:
    """Return what the browser's console has."""
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]


def violations(browser: Chrome) -> list[str]:
    """Return what axe finds that keeps people out of the page."""
    browser.execute_script(AXE)
    found = browser.execute_async_script(FOUND)
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in SERIOUS]


def press(browser: Chrome, *keys: str) -> None:
    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def text(browser: Chrome, selector: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).text


def test_every_link_leads_to_a_page_and_an_anchor(site: Path) -> None:
    """Those to the site itself, on every page of it; those to other hosts are for the reader to follow."""
    pages = {path: Document(path.read_text()) for path in site.rglob("*.html")}
    assert len(pages) > 30
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else {""}
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                wrong.append(f"{path.relative_to(site)}: {link}")
    assert wrong == []


def test_it_has_every_page_of_the_repository(site: Path) -> None:
    """The manuals and all notebooks; and what programs read."""
    pages = {str(path.relative_to(ROOT)) for folder in ("docs", "notebooks") for path in (ROOT / folder).glob("*.*")}
    pages = {each for each in pages if each.endswith((".md", ".ipynb"))} | {
        "server/README.md",
        "SECURITY.md",
        "CHANGELOG.md",
    }
    assert {each for each in pages if not (site / each).with_suffix(".html").is_file()} == set()
    assert json.loads((site / "openapi.json").read_text())["openapi"].startswith("3.1")


def test_each_promise_is_linked_with_its_tests(site: Path) -> None:
    """From its sentence to its place on one page, back, and from there to the source of every test that holds it."""
    held = Document((site / "promises.html").read_text())
    pages = {page: Document((site / page).with_suffix(".html").read_text()) for page in PROMISING}
    promises = [each for section in sections(ROOT) for each in section.promises()]
    assert len(promises) > 200
    for promise in promises:
        page = pages[promise.page]
        assert promise.id in page.anchors & held.anchors
        assert any(link.endswith(f"promises.html#{promise.id}") for link in page.links)
        assert f"{promise.page.removesuffix('.md')}.html#{promise.id}" in held.links
    for holder in holders(ROOT):
        assert any(link.endswith(f"/blob/main/{holder.path}#L{holder.line}") for link in held.links)


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_pages_need_no_other_host_and_keep_nobody_out(address: str, size: tuple[int, int], scheme: str) -> None:
    """Nothing is asked of another host, nothing fails, nothing is cut off, and axe finds nothing serious."""
    with window(size) as browser:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.set_script_timeout(SECONDS)
        for page in PAGES:
            browser.get(address + page)
            assert browser.execute_script("return document.documentElement.scrollWidth") == size[0], page
            if page in LOOKED_AT:
                assert violations(browser) == [], page
            assert complaints(browser) == [], page
        asked = asked_for(browser, address)
        assert {address + page for page in PAGES} <= set(asked)
        assert [each for each in asked if not each.startswith((address, "data:"))] == []


def test_another_host_would_be_noticed(address: str) -> None:
    """A page that loads something from elsewhere leaves a trace, although it gets nothing."""
    with window(DESKTOP) as browser:
        browser.get(address + "index.html")
        browser.execute_script(
            "document.body.append(Object.assign(new Image(), {src: 'https://cdn.example.com/x.png'}))"
        )
        assert "https://cdn.example.com/x.png" in asked_for(browser, address)


def test_search_finds_what_a_page_says(address: str) -> None:
    """Without a server that searches."""
    with window(DESKTOP) as browser:
        browser.get(f"{address}search.html?q=rollback")
        browser.implicitly_wait(30)
        assert browser.find_elements(By.CSS_SELECTOR, "ul.search li a")


def test_a_reader_steps_through_the_run_by_keyboard(address: str) -> None:
    """Forwards and back, to both ends and not beyond; the sentence, the wire and what is new are there to be read."""
    with window(DESKTOP) as browser:
        browser.get(address + "run.html")
        first = text(browser, "#said")
        assert text(browser, "#place") == "Step 1 of 10"
        press(browser, Keys.ARROW_LEFT)
        assert text(browser, "#said") == first
        press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        assert text(browser, "#place") == "Step 3 of 10"
        assert "rent" in text(browser, "#laptop")
        assert "POST /api/3/wallet" in text(browser, "#wire")
        assert "rent" not in text(browser, "#wire") + text(browser, "#server")
        assert "new" in text(browser, "#server")
        press(browser, Keys.ARROW_LEFT)
        assert text(browser, "#place") == "Step 2 of 10"
        press(browser, Keys.END, Keys.ARROW_RIGHT)
        assert text(browser, "#place") == "Step 10 of 10"
        assert all(
            word in text(browser, f"#{device}") for device in ("laptop", "phone") for word in ("coffee", "books")
        )
        press(browser, Keys.HOME)
        assert text(browser, "#said") == first
        browser.find_element(By.ID, "next").click()
        press(browser, Keys.ARROW_RIGHT)
        assert text(browser, "#place") == "Step 3 of 10", "a button that was pressed leaves the keys as they were"
        assert complaints(browser) == []


@pytest.mark.parametrize(
    ("lie", "name", "sentence"),
    [
        ("rollback", "RollbackDetected", "older than version 3 that this device has already seen"),
        ("fork", "ForkDetected", "it shows different histories to your devices"),
    ],
)
def test_a_lie_ends_with_the_error_of_the_library(address: str, lie: str, name: str, sentence: str) -> None:
    """In its words, and the device keeps what it has."""
    with window(PHONE) as browser:
        browser.get(address + "run.html")
        browser.find_element(By.CSS_SELECTOR, f'#stories button[value="{lie}"]').click()
        before = text(browser, "#phone pre")
        assert not browser.find_element(By.ID, "error").is_displayed()
        press(browser, Keys.END)
        assert f"The phone says: {name}" in text(browser, "#error")
        assert sentence in text(browser, "#error")
        assert ("two books" if lie == "fork" else before) in text(browser, "#phone pre")
        assert browser.current_url.endswith(f"#{lie}-{4 if lie == 'rollback' else 8}")
        assert complaints(browser) == []
