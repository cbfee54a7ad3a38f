"""A person who signs up, opens the link of the mail on a phone, presses the button, and logs in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests import browser
from tests.browser import PHONE, phone
from tests.cheap_server import CheapServer
from tests.server.helpers import until
from tests.server.smtp import HOST, LINK, MailServer
from walletsync import Client, errors
from walletsync_server.testing import RunningServer

EMAIL = "alice@example.com"
SECONDS = 30
MEASURE = """
const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
const luminance = (text) => parse(text).map((c) => c / 255)
  .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
const page = getComputedStyle(document.body);
const found = {
  lang: document.documentElement.lang, title: document.title,
  headings: [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].map((h) => h.tagName),
  heading: document.querySelector("h1").textContent,
  landmarks: document.querySelectorAll("main").length,
  scrolls: document.documentElement.scrollWidth - window.innerWidth,
  width: window.innerWidth,
  fontSize: parseFloat(page.fontSize),
  text: contrast(luminance(page.color), luminance(page.backgroundColor)),
  fetched: performance.getEntriesByType("resource").map((entry) => entry.name),
};
const button = document.querySelector("button");
if (button) {
  const style = getComputedStyle(button), box = button.getBoundingClientRect();
  found.button = contrast(luminance(style.color), luminance(style.backgroundColor));
  found.label = button.textContent;
  found.height = box.height;
  found.inside = box.left >= 0 && box.right <= window.innerWidth;
}
return found;
"""


@pytest.fixture(scope="module")
def window() -> Iterator[webdriver.Chrome]:
    """A browser, which is installed first where it is missing: that may take a minute."""
    with phone() as driver:
        yield driver


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server.start()


@pytest.fixture(scope="module")
def server(mail_server: MailServer) -> Iterator[RunningServer]:
    settings: dict[str, str | int] = {
        "public_url": "https://sync.example.com",
        "mail_server": HOST,
        "mail_port": mail_server.port,
        "mail_security": "none",
        "mail_from": "noreply@example.com",
    }
    with CheapServer(accounts="email", settings=settings) as server:
        yield server


def check(driver: webdriver.Chrome) -> dict[str, Any]:
    """Return what the page shows, after checking that a person can read it on a phone, and with a screen reader."""
    page: dict[str, Any] = driver.execute_script(MEASURE)
    assert page["width"] == PHONE[0]
    assert page["scrolls"] <= 0
    assert page["lang"] == "en"
    assert page["title"] == page["heading"]
    assert (page["headings"], page["landmarks"]) == (["H1"], 1)
    assert page["fontSize"] >= 16
    assert page["text"] >= 7  # WCAG 2, level AAA; 4.5 is AA
    assert page["fetched"] == []
    said = [entry["message"] for entry in driver.get_log("browser")]  # type: ignore[no-untyped-call]
    assert not [
        text for text in said if "Failed to load resource: the server responded with a status of 40" not in text
    ]
    if "button" in page:
        assert page["button"] >= 4.5
        assert page["height"] >= 44  # of a fingertip
        assert page["inside"]
        assert page["label"]
    return page


@pytest.mark.promise("P-53")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_button_confirms_the_address(
    window: webdriver.Chrome, server: RunningServer, mail_server: MailServer, scheme: str
) -> None:
    """On a phone, by day and by night: the link's page verifies nothing, its button does, and then the login works."""
    email = f"{scheme}-{EMAIL}"
    window.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    with Client(server.url, device_id="laptop") as client:
        client.set_account(email, "correct horse battery staple")
        assert client.register().verified is False
        until(lambda: bool(mail_server.to(email)))
        (mail,) = mail_server.to(email)
        window.get(LINK.replace("https://sync.example.com", server.url) + mail.token)
        assert check(window)["heading"] == "Confirm your address"
        with pytest.raises(errors.NotVerified):
            client.get_auth_token()
        window.find_element(By.TAG_NAME, "button").click()
        WebDriverWait(window, SECONDS).until(lambda driver: driver.title == "Your address is confirmed")
        assert "button" not in check(window)
        client.get_auth_token()
    window.refresh()  # sends the form again
    WebDriverWait(window, SECONDS).until(lambda driver: driver.title == "This link does not work any more")
    check(window)


def test_button_works_from_the_keyboard(
    window: webdriver.Chrome, server: RunningServer, mail_server: MailServer
) -> None:
    """The first press of Tab reaches the button and shows it; Enter presses it."""
    with Client(server.url, device_id="laptop") as client:
        client.set_account(EMAIL, "correct horse battery staple")
        client.register()
        until(lambda: bool(mail_server.to(EMAIL)))
        window.get(LINK.replace("https://sync.example.com", server.url) + mail_server.to(EMAIL)[0].token)
        window.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
        focused = window.switch_to.active_element
        assert focused.tag_name == "button"
        assert focused.value_of_css_property("outline-style") == "solid"
        focused.send_keys(Keys.ENTER)
        WebDriverWait(window, SECONDS).until(lambda driver: driver.title == "Your address is confirmed")
        client.get_auth_token()


def test_incomplete_link_says_what_to_do(window: webdriver.Chrome, server: RunningServer) -> None:
    """A link that lost its end shows a page that can be read, too, and no button."""
    window.get(f"{server.url}/api/3/verify?verifyToken=12")
    assert "button" not in check(window)
    assert "Open the link in the mail once more" in window.find_element(By.TAG_NAME, "main").text


def test_missing_browser_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no browser and no way to install one, the tests fail with what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(browser.NoBrowser, match="Install chromium and chromium-driver"):
        browser.install()
