"""The box itself: a Debian that boots."""

import pytest

from tests.box.box import Box

pytestmark = pytest.mark.security


def test_empty_box_is_a_debian_that_runs(empty_box: Box) -> None:
    """systemd is PID 1 and all of its units run; what is written survives a reboot, and leaves with the box."""
    assert empty_box.run("cat /proc/1/comm").stdout == "systemd\n"
    assert empty_box.run("systemctl is-system-running --wait", check=False).stdout == "running\n"
    empty_box.write("/var/lib/kept", "kept")
    empty_box.reboot()
    assert empty_box.read("/var/lib/kept") == "kept"
