"""The site: built without a warning, every link in it leads somewhere, and a browser needs no other host for it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import axe_core_python
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser import complaints, window
from tools.promises.holders import holders
from tools.promises.pages import PAGES as PROMISING
from tools.promises.pages import sections
from tools.site.__main__ import in_repository
from walletsync import errors

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
SCROLLING = """document.querySelectorAll("details").forEach((each) => (each.open = true));
return [...document.querySelectorAll("article *, main *")]
  .filter((each) => getComputedStyle(each).overflowX !== "visible" && each.scrollWidth > each.clientWidth + 1)
  .filter((each) => each.clientWidth > 1) // but for what only a screen reader is given
  .map((each) => each.textContent.trim().slice(0, 60));"""
"""What has to be scrolled sideways to be read, folded parts included."""


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


def asked_for(browser: Chrome, site_address: str) -> list[str]:
    """Return all that the browser has tried to get for pages at this address, also in vain."""
    entries = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    tried = [each["params"] for each in entries if each["method"] == "Network.requestWillBeSent"]
    return [each["request"]["url"] for each in tried if each["documentURL"].startswith(site_address)]


def violations(browser: Chrome) -> list[str]:
    """Return what axe finds that keeps people out of the page."""
    browser.execute_script(AXE)
    found = browser.execute_async_script(FOUND)
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in SERIOUS]


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


def test_a_warning_names_the_page_that_its_author_edits(tmp_path: Path) -> None:
    """Not the copy that is made anew each time: the site's own pages come from a folder of theirs."""
    own = tmp_path / "docs/site/guides/programs.md"
    own.parent.mkdir(parents=True)
    own.touch()
    copies = tmp_path / ".docs/site-source"
    said = "".join(f"{copies}/{page}:3: WARNING: lost\n" for page in ("guides/programs.md", "docs/formats.md"))
    assert in_repository(said, tmp_path, copies) == (
        "docs/site/guides/programs.md:3: WARNING: lost\ndocs/formats.md:3: WARNING: lost\n"
    )


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


@pytest.mark.parametrize("page", PROMISING)
def test_the_id_of_a_promise_is_part_of_no_word(site: Path, page: str) -> None:
    """Neither for who searches, nor for who hears the page."""
    text = (site / page).with_suffix(".html").read_text()
    assert '<a class="promise"' in text
    assert re.findall(r'\S*\w<a class="promise" id="[\w-]+"', text) == []


def test_commands_are_code_and_pages_are_links(site: Path) -> None:
    """In what sphinx makes of the texts of commands and docstrings, too."""
    commands = (site / "commands/client.html").read_text()
    typed = [re.sub("<[^>]*>", "", block) for block in re.findall("<pre>(.*?)</pre>", commands, re.DOTALL)]
    assert any("walletsync register\nwalletsync sync\n" in block for block in typed)
    assert not [link for link in Document(commands).links if "example.com" in link]
    assert "../docs/embedding.html" in Document((site / "api/client.html").read_text()).links


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_pages_need_no_other_host_and_keep_nobody_out(site_address: str, size: tuple[int, int], scheme: str) -> None:
    """Nothing is asked of another host, nothing fails, nothing is cut off, and axe finds nothing serious."""
    with window(size) as browser:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.set_script_timeout(SECONDS)
        for page in PAGES:
            browser.get(site_address + page)
            assert browser.execute_script("return document.documentElement.scrollWidth") == size[0], page
            if page in LOOKED_AT:
                assert violations(browser) == [], page
            assert complaints(browser) == [], page
        asked = asked_for(browser, site_address)
        assert {site_address + page for page in PAGES} <= set(asked)
        assert [each for each in asked if not each.startswith((site_address, "data:"))] == []


def test_nobody_scrolls_sideways_at_a_desk(site: Path, site_address: str) -> None:
    """No page has code, a table or a picture that is wider than its place."""
    with window(DESKTOP) as browser:
        for page in sorted(str(path.relative_to(site)) for path in site.rglob("*.html")):
            browser.get(site_address + page)
            assert browser.execute_script(SCROLLING) == [], page


def test_the_tree_of_errors_leads_to_each(site: Path) -> None:
    """All that the client raises stands in one list, from which a name leads to what it is about."""
    text = (site / "api/errors.html").read_text()
    tree = Document(text.partition("<dl")[0])
    assert errors.__doc__ is not None
    names = set(re.findall(r"── (\w+)", errors.__doc__))
    assert len(names) > 40
    assert {f"#walletsync.errors.{name}" for name in names} <= set(tree.links)


def test_another_host_would_be_noticed(site_address: str) -> None:
    """A page that loads something from elsewhere leaves a trace, although it gets nothing."""
    with window(DESKTOP) as browser:
        browser.get(site_address + "index.html")
        browser.execute_script(
            "document.body.append(Object.assign(new Image(), {src: 'https://cdn.example.com/x.png'}))"
        )
        assert "https://cdn.example.com/x.png" in asked_for(browser, site_address)


def test_search_finds_what_a_page_says(site_address: str) -> None:
    """Without a server that searches."""
    with window(DESKTOP) as browser:
        browser.get(f"{site_address}search.html?q=rollback")
        browser.implicitly_wait(30)
        assert browser.find_elements(By.CSS_SELECTOR, "ul.search li a")
