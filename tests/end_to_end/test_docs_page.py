"""The protocol's page in a real browser."""

from tests.browser import PHONE, phone
from walletsync_server.testing import RunningServer


def test_page_is_readable_on_a_phone(running_server: RunningServer) -> None:
    """It has its style, fits a narrow window, fetches nothing, and its own policy refuses nothing of it."""
    with phone() as browser:
        browser.get(f"{running_server.url}/docs")
        assert browser.title == "The protocol of walletsync"
        assert browser.get_log("browser") == []  # type: ignore[no-untyped-call] # selenium does not type it
        script = """return [
            document.documentElement.scrollWidth,
            getComputedStyle(document.querySelector("table")).borderCollapse,
            performance.getEntriesByType("resource").length,
        ]"""
        assert browser.execute_script(script) == [PHONE[0], "collapse", 0]
