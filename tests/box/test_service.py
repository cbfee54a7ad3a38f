"""`walletsync service`: a person's own systemd keeps their file in sync, from the boot on and without a network."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.box.box import WHEELS, Box
from tests.box.test_units import CONFIG, SERVER, SETTINGS
from tests.labels import LABEL_FILES

pytestmark = pytest.mark.security

FOLDER = '/home/alice/my %h $HOME "labels"'
"""A name with all that means something to systemd."""
EDITED = '{"type":"tx","ref":"%s","label":"written while the server was away"}\n' % ("ab" * 32)


class Alice:
    """A person with an account at the server of the box, who has synced once, and their terminal."""

    def __init__(self, box: Box) -> None:
        self._box = box
        box.write(CONFIG, SETTINGS + 'allow = ["alice@example.com"]\n')
        box.run("systemctl start walletsync")
        box.run(f"/opt/walletsync/bin/pip --quiet install --find-links {WHEELS} 'walletsync[cli]'")
        box.run("useradd --create-home alice; loginctl enable-linger alice")
        box.write("/home/alice/password", "correct horse battery staple\n")
        box.write(f"{FOLDER}/labels.jsonl", LABEL_FILES[0])
        box.run("chown --recursive alice: /home/alice; chmod 600 /home/alice/password")
        self.walletsync("init labels.jsonl --server http://127.0.0.1:8090 --email alice@example.com")
        self.walletsync("register")
        self.walletsync("sync")

    def walletsync(self, words: str) -> str:
        return self.run(f"/opt/walletsync/bin/walletsync {words}")

    def status(self) -> Any:
        return json.loads(self.walletsync("service status --json"))["state"]

    def run(self, command: str) -> str:
        """Run a command in the folder, as after a login; return what it says."""
        session = "export HOME=/home/alice XDG_RUNTIME_DIR=/run/user/$(id -u) WALLETSYNC_PASSWORD_FILE=../password"
        folder = FOLDER.replace("$", r"\$").replace('"', r"\"")
        return self._box.run(f'{session}; cd "{folder}"; {command}', user="alice").stdout

    def log(self) -> str:
        """Return what the service has said so far."""
        name = json.loads(self.walletsync("service status --json"))["name"]
        return self.run(f"journalctl --user --output=cat --unit {name} 2>&1")

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)


def test_file_is_kept_in_sync_from_the_boot_on(box: Box) -> None:
    """The server is away at boot: the service goes on, and syncs what was edited meanwhile once it is back."""
    alice = Alice(box)
    assert "kept in sync by the service" in alice.walletsync("service install")
    alice.wait(lambda: "Watching" in alice.log())
    assert alice.status() == "active, running"
    box.reboot()
    alice.wait(lambda: "Watching goes on" in alice.log())
    alice.run(f"echo '{EDITED.strip()}' >> labels.jsonl")
    assert alice.status() == "active, running"
    box.run("systemctl start walletsync")
    alice.wait(lambda: "version 2\n" in alice.log())
    assert "sequence: 2" in alice.walletsync("status")
    assert "no longer kept in sync" in alice.walletsync("service uninstall")
    assert alice.status() is None
    assert alice.run("systemctl --user list-units --all --plain --no-legend 'walletsync*'") == ""


def test_service_that_cannot_go_on_stops(box: Box) -> None:
    """After the password was changed elsewhere it does not guess on and on, and its log says what to type."""
    alice = Alice(box)
    box.write("/home/alice/password", "correct horse battery steeple\n")
    alice.walletsync("service install")
    alice.wait(lambda: alice.status() == "failed, failed")
    assert f"walletsync --file '{FOLDER}/labels.jsonl' login --new-password" in alice.log()
    box.write("/home/alice/password", "correct horse battery staple\n")
    alice.walletsync("service install")
    alice.wait(lambda: "Watching" in alice.log())
    assert SERVER not in alice.log()
