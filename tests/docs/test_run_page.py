"""The page of the site where a reader steps through a run, in a browser."""

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import element_to_be_clickable
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import complaints, window

DESKTOP, PHONE = (1280, 900), (400, 800)
SECONDS = 120
BACKGROUND = "return getComputedStyle(document.body).backgroundColor"


def press(browser: Chrome, *keys: str) -> None:
    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def text(browser: Chrome, selector: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).text


def test_a_reader_steps_through_the_run_by_keyboard(site_address: str) -> None:
    """Forwards and back, to both ends and not beyond; the sentence, the wire and what is new are there to be read."""
    with window(DESKTOP) as browser:
        browser.get(site_address + "run.html")
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
def test_a_lie_ends_with_the_error_of_the_library(site_address: str, lie: str, name: str, sentence: str) -> None:
    """In its words, and the device keeps what it has."""
    with window(PHONE) as browser:
        browser.get(site_address + "run.html")
        browser.find_element(By.CSS_SELECTOR, f'#stories button[value="{lie}"]').click()
        before = text(browser, "#phone pre")
        assert not browser.find_element(By.ID, "error").is_displayed()
        press(browser, Keys.END)
        assert f"The phone says: {name}" in text(browser, "#error")
        assert sentence in text(browser, "#error")
        assert ("two books" if lie == "fork" else before) in text(browser, "#phone pre")
        assert browser.current_url.endswith(f"#{lie}-{4 if lie == 'rollback' else 8}")
        assert complaints(browser) == []


def test_the_page_of_the_run_is_as_dark_as_the_site(site_address: str) -> None:
    """Whoever chose a theme on the site meets it there as well, whatever their system has."""
    with window(DESKTOP) as browser:
        features = [{"name": "prefers-color-scheme", "value": "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get(site_address + "run.html")
        assert browser.execute_script(BACKGROUND) == "rgb(255, 255, 255)"
        browser.get(site_address + "index.html")
        toggle = element_to_be_clickable((By.CSS_SELECTOR, ".theme-toggle-content .theme-toggle"))
        WebDriverWait(browser, SECONDS).until(toggle).click()
        assert browser.execute_script("return document.body.dataset.theme") == "dark"
        browser.get(site_address + "run.html")
        assert browser.execute_script(BACKGROUND) == "rgb(19, 20, 22)"
