"""A person at the page of `walletsync ui`, in a real browser: by keyboard alone, on a desktop and on a phone."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import phone
from tests.client.cli.label_pairs import Pair, labels, made_pair, read
from tests.client.cli.test_ui_door import Running
from walletsync_server.testing import RunningServer

SECONDS = 60
WIDTHS = {"desktop": 1280, "phone": 400}
NAMES = {f"{number:064x}": f"label {number}" for number in range(12)}
FIRST, SECOND, *_ = NAMES
PICTURES = os.environ.get("PICTURES", "")
"""A folder into which what was seen is put as pictures."""
MEASURE = """
const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
const luminance = (text) => parse(text).map((c) => c / 255)
  .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
const behind = (element) => {
  const color = getComputedStyle(element).backgroundColor;
  return color === "rgba(0, 0, 0, 0)" && element.parentElement ? behind(element.parentElement) : color;
};
const shown = [...document.querySelectorAll("h1, h2, h3, p, a, button, dt, dd, summary, label, .part")]
  .filter((element) => element.getClientRects().length);
return {
  lang: document.documentElement.lang,
  scrolls: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  outside: shown.filter((element) => element.getBoundingClientRect().right > innerWidth).length,
  fontSize: parseFloat(getComputedStyle(document.body).fontSize),
  headings: [...document.querySelectorAll("h1, h2, h3")].map((heading) => Number(heading.tagName[1])),
  landmarks: document.querySelectorAll("main").length,
  contrast: Math.min(...shown.map((e) => contrast(luminance(getComputedStyle(e).color), luminance(behind(e))))),
  buttons: [...document.querySelectorAll("button, select")].map((button) => button.getBoundingClientRect().height),
  unnamed: [...document.querySelectorAll("section, article")]
    .filter((each) => !document.getElementById(each.getAttribute("aria-labelledby"))).length,
  scripts: document.scripts.length,
  fetched: performance.getEntriesByType("resource").map((entry) => entry.name),
};
"""


@pytest.fixture(scope="module")
def window() -> Iterator[webdriver.Chrome]:
    """A browser, which is installed first where it is missing: that may take a minute."""
    with phone() as driver:
        yield driver


@pytest.fixture
def pair(tmp_path: Path, running_server: RunningServer, address: Callable[[], str]) -> Pair:
    """Two laptops with the same labels; the second has changed two of them that the first has changed as well."""
    one, other = made_pair(tmp_path, running_server.url, address, labels(**NAMES))
    one.file.write_text(labels(**NAMES | {FIRST: "rent, May", SECOND: "coffee with Ana"}))
    one.ok("sync")
    other.file.write_text(labels(**NAMES | {FIRST: "flat", SECOND: "coffee"}))
    other.ok("sync")
    return one, other


@pytest.fixture
def running(pair: Pair) -> Iterator[Running]:
    """The page of the second laptop."""
    running = Running(pair[1])
    yield running
    running.process.kill()
    running.process.wait()


class Person:
    """Somebody at a browser who has no mouse."""

    def __init__(self, driver: webdriver.Chrome, host: str) -> None:
        self._driver, self._host = driver, host
        self.wide("desktop")

    def wide(self, name: str) -> None:
        metrics = {"width": WIDTHS[name], "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def likes(self, scheme: str) -> None:
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def opens(self, address: str) -> None:
        self._driver.get(address)

    @property
    def reads(self) -> str:
        return " ".join(self._driver.find_element(By.TAG_NAME, "body").text.split())

    @property
    def heading(self) -> str:
        return self._driver.find_element(By.TAG_NAME, "h1").text

    def tabs_to(self, words: str) -> None:
        """Press the key for the next control until it is the one with these words; each on the way shows that it is."""
        for _ in range(100):
            self._driver.switch_to.active_element.send_keys(Keys.TAB)
            element = self._driver.switch_to.active_element
            assert element.tag_name == "body" or element.value_of_css_property("outline-style") != "none"
            if element.text == words:
                return
        raise AssertionError(f"no way leads to {words}")

    def presses(self, words: str) -> None:
        """Go to a button or a link, press Enter, and wait for the next page."""
        self.tabs_to(words)
        before = self._driver.find_element(By.TAG_NAME, "html")
        self._driver.switch_to.active_element.send_keys(Keys.ENTER)
        WebDriverWait(self._driver, SECONDS).until(lambda _: self._driver.find_element(By.TAG_NAME, "html") != before)

    def looks(self, name: str) -> None:
        """Look at the page in all sizes and colours: whether one can read it, also with a screen reader."""
        for size in WIDTHS:
            self.wide(size)
            for scheme in ("dark", "light"):
                self.likes(scheme)
                self._check(self._driver.execute_script(MEASURE))
                if PICTURES:
                    self._draw(Path(PICTURES) / f"ui-{name}-{WIDTHS[size]}-{scheme}.png", WIDTHS[size])
        self.wide("desktop")

    def _check(self, page: dict[str, Any]) -> None:
        assert page["lang"] == "en"
        assert (page["scrolls"], page["outside"], page["unnamed"], page["scripts"]) == (0, 0, 0, 0)
        assert page["fontSize"] >= 16
        assert page["landmarks"] == 1
        levels = page["headings"]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        assert page["contrast"] >= 4.5  # WCAG 2, level AA
        assert min(page["buttons"], default=44) >= 44  # of a fingertip
        assert {urlsplit(each).netloc for each in page["fetched"]} <= {self._host}
        said = [entry["message"] for entry in self._driver.get_log("browser")]  # type: ignore[no-untyped-call]
        assert not [text for text in said if "a status of 4" not in text and "favicon" not in text]

    def _draw(self, file: Path, width: int) -> None:
        height = self._driver.execute_script("return document.documentElement.scrollHeight")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self._driver.save_screenshot(str(file))


@pytest.fixture
def person(window: webdriver.Chrome, running: Running) -> Person:
    """Somebody who has opened the printed address."""
    person = Person(window, urlsplit(running.told).netloc)
    person.opens(running.told.strip())
    return person


def test_the_printed_address_leads_in_once(person: Person, running: Running) -> None:
    """Then the bar has no key any more; who opens the address again, or from elsewhere, is told what to do."""
    assert person.heading == "wallet.json"
    assert "key" not in person._driver.current_url
    person.looks("state")
    person.opens(person._driver.current_url)
    assert person.heading == "wallet.json"
    person.opens(running.told.strip())
    assert person.heading == "You are not let in"
    assert "start it again" in person.reads
    person.looks("refused")


def test_conflicts_are_decided_by_keyboard(person: Person, pair: Pair) -> None:
    """Side by side, with labels for hex; the other laptop has it after its sync."""
    one, other = pair
    assert 16 * "0" not in person.reads
    assert "In sync, but for what waits below" in person.reads
    assert '"rent, May", transaction …00000000 label' in person.reads
    assert "Before label 0 Mine flat Theirs rent, May" in person.reads
    person.presses("Keep both")
    assert "Decided." in person.reads
    assert "1 conflict" in person.reads
    person.presses("Keep mine")
    assert "No conflicts" in person.reads
    assert "Not sent yet" in person.reads
    person.presses("Sync now")
    assert "Synced: version 3." in person.reads
    person.looks("synced")
    one.ok("sync")
    decided = {FIRST: "flat / rent, May", SECOND: "coffee"}
    assert read(one) == read(other) == NAMES | decided


def test_deletions_are_confirmed_and_taken_back_by_keyboard(person: Person, pair: Pair) -> None:
    """A program writes hardly anything; the first time that is a mistake, the second time it is meant."""
    one, other = pair
    person.presses("Keep theirs in all 2")
    person.presses("Sync now")
    all_labels = read(other)
    other.file.write_text(labels(**all_labels | {"e": "eggs"}))
    person.presses("Sync now")
    other.file.write_text(labels(e="eggs"))
    person.presses("Sync now")
    assert "without 12 of 13 labels" in person.reads
    person.tabs_to("Show what would go: 12")
    person._driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert '"label 7", transaction …00000007' in person.reads
    person.looks("deletions")
    person.presses("Put them back into the file")
    assert read(other) == all_labels | {"e": "eggs"}
    other.file.write_text(labels(**all_labels | {"e": "eggs", "f": "figs"}))
    person.presses("Sync now")
    other.file.write_text(labels(e="eggs"))
    person.presses("Sync now")
    person.presses("Delete them on all devices")
    assert "Deleted, and synced" in person.reads
    one.ok("sync")
    assert read(one) == {"e": "eggs"}


def test_versions_are_compared_and_restored_by_keyboard(person: Person, pair: Pair) -> None:
    """In words, with what differs, and a question before anything changes."""
    one, _ = pair
    person.presses("Versions")
    assert "Version 2 current 2 labels changed one, just now" in person.reads
    person.looks("versions")
    person.presses("What changed")
    assert person.heading == "From version 1 to 2"
    assert "2 labels changed." in person.reads
    assert "Before label 0 After rent, May" in person.reads
    person.looks("compare")
    person.presses("Back to the versions")
    person.presses("Show what differs")
    assert person.heading == "From version 1 to 2"
    person.presses("Versions")
    person.presses("Make it current again")
    assert person.heading == "Make version 1 current again?"
    person.looks("restore")
    person.presses("Leave all as it is")
    person.presses("Make it current again")
    person.presses("Make version 1 current again")
    assert "Version 3 has what version 1 had." in person.reads
    one.ok("sync")
    assert read(one) == NAMES
