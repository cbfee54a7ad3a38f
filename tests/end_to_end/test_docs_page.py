"""The pages for people in a real browser."""

from tests.browser import PHONE, phone
from walletsync_server.testing import RunningServer

SHOWN = """return [
    document.documentElement.scrollWidth,
    getComputedStyle(document.querySelector("code")).fontFamily,
    performance.getEntriesByType("resource").length,
]"""


def test_pages_are_readable_on_a_phone(running_server: RunningServer) -> None:
    """They have their style, fit a narrow window, fetch nothing, and their own policy refuses nothing of them."""
    with phone() as browser:
        for path, title in (("/", "A walletsync server"), ("/docs", "The protocol of walletsync")):
            browser.get(f"{running_server.url}{path}")
            assert browser.title == title
            assert browser.get_log("browser") == []  # type: ignore[no-untyped-call] # selenium does not type it
            assert browser.execute_script(SHOWN) == [PHONE[0], "ui-monospace, monospace", 0]
        collapse = 'return getComputedStyle(document.querySelector("table")).borderCollapse'
        assert browser.execute_script(collapse) == "collapse"
