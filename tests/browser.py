"""A real browser for tests: Debian's Chromium, installed on the first use if this may be done here.

`python -m tests.browser` only installs it, for those who want to have that behind them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests import apt

PROGRAMS = "chromium", "chromedriver"
PACKAGES = "chromium", "chromium-driver"
PHONE = 360, 740
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
_INSTALL_SECONDS = 280


class NoBrowser(Exception):
    """There is no browser and none can be installed; the sentence says what to do."""


def install() -> None:
    """Install the browser if it is missing, as root or through sudo without a password.

    Raises:
        NoBrowser: if that is not possible.
    """
    with apt.in_turn():
        if _is_here():
            return
        for command in apt.installing("--no-install-recommends", *PACKAGES):
            _as_root(command)
        if not _is_here():
            raise NoBrowser(_advice("apt-get installed the packages, but the programs are not there"))


def phone() -> AbstractContextManager[webdriver.Chrome]:
    """A browser with a window as narrow as a small phone's and a profile of its own."""
    return window(PHONE)


@contextmanager
def window(size: tuple[int, int]) -> Iterator[webdriver.Chrome]:
    """A browser with a window of this size, a profile of its own, and no other host than this machine to be reached.

    What it asked for, also in vain, is in its log `performance`.
    """
    install()
    with tempfile.TemporaryDirectory(prefix="walletsync-browser-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which(PROGRAMS[0]) or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        # A real window cannot be as narrow as a phone; this is how the developer tools show a page as one does.
        metrics = {"width": size[0], "height": size[1], "pixelRatio": 2.0}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(shutil.which(PROGRAMS[1])))
        try:
            yield driver
        finally:
            driver.quit()


def complaints(browser: webdriver.Chrome) -> list[Any]:
    """Return what the browser's console has."""
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]  # selenium does not type it


def _is_here() -> bool:
    return all(map(shutil.which, PROGRAMS))


def _as_root(command: list[str]) -> None:
    words = command if os.geteuid() == 0 else ["sudo", "--non-interactive", *command]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        ended = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise NoBrowser(_advice(f"{error.filename} is not on this machine")) from None
    if ended.returncode:
        raise NoBrowser(_advice(f"{' '.join(words)} failed: {ended.stderr.strip()[-300:]}"))


def _advice(problem: str) -> str:
    return f"The tests of pages need a browser. Install {' and '.join(PACKAGES)}, then run them again. ({problem}.)"


if __name__ == "__main__":
    try:
        install()
    except NoBrowser as problem:
        sys.exit(str(problem))
