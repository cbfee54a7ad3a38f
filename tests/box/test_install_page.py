"""docs/install.md, typed into an empty Debian from the first line to the last."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import trustme

from tests.box.box import Box
from tests.install_page import ROOT, Block, blocks
from tests.labels import LABEL_FILES

pytestmark = pytest.mark.security

NAME = "sync.example.com"
LIVE = f"/etc/letsencrypt/live/{NAME}"
AUTHORITY = "/usr/local/share/ca-certificates/authority.crt"
PEOPLE = {"server": "root", "new": "root", "laptop": "laptop", "phone": "phone"}
DEVICES = ("laptop", "phone")
OTHERWISE = {
    # The box reaches nobody. It has the packages but certbot, and a certificate of the test's own authority.
    r"apt-get update": "true",
    r"apt-get install --yes (.*)certbot (.*)": r"dpkg --status \1\2 > /dev/null",
    r"certbot certonly .*": f"test -s {LIVE}/fullchain.pem",
    r"(walletsync init .*)": rf"\1 --ca-file {AUTHORITY}",
    # The new machine is the same one, after everything of the old one is gone.
    r"scp ~/moving\.db .*": "test -s ~/moving.db && rm --recursive /var/lib/walletsync",
}
"""What cannot be done in a box as it stands on the page, as patterns, and what is done in its place."""


class Reader:
    """Somebody who does what the page says, block after block."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._used: set[str] = set()
        self._kept: dict[str, list[str]] = {who: [] for who in PEOPLE}

    def type(self, block: Block) -> str:
        """Type a block where the earlier ones of the same terminal have left off; return what it says."""
        lines = [self._here(line) for line in block.lines]
        said = self.as_typed_by(block.who, "\n".join(lines))
        self._kept[block.who] += [line for line in lines if line.startswith(("cd ", "export "))]
        return said

    def as_typed_by(self, who: str, command: str) -> str:
        """Run a command in a terminal of the page; return what it says."""
        user = PEOPLE[who]
        home = "/root" if user == "root" else f"/home/{user}"
        begin = [f"export HOME={home} WALLETSYNC_PASSWORD_FILE={home}/password", f"cd {home}", *self._kept[who]]
        return self.box.run("\n".join([*begin, command]), user=user).stdout

    def most_memory(self) -> int:
        """Return how much memory the server has had at once since it started, in MiB."""
        status = self.box.run("cat /proc/$(systemctl show --value --property MainPID walletsync)/status").stdout
        (kib,) = re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
        return int(kib) // 1024

    def unused(self) -> set[str]:
        return OTHERWISE.keys() - self._used

    def _here(self, line: str) -> str:
        for pattern, instead in OTHERWISE.items():
            if re.fullmatch(pattern, line):
                self._used.add(pattern)
                return re.sub(pattern, instead, line)
        return line


def sources(folder: Path) -> Path:
    """Return a copy of what git has of this repository, or would take, as it is now."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture
def reader(empty_box: Box, tmp_path: Path) -> Reader:
    """A reader with two devices, before the first line of the page."""
    box, copy, authority = empty_box, sources(tmp_path / "sources"), trustme.CA()
    box.copy_in(copy, "/opt/walletsync-source")
    certificate = authority.issue_cert(NAME)
    box.write(f"{LIVE}/fullchain.pem", certificate.cert_chain_pems[0].bytes().decode())
    box.write(f"{LIVE}/privkey.pem", certificate.private_key_pem.bytes().decode())
    box.write(AUTHORITY, authority.cert_pem.bytes().decode())
    box.run(f"update-ca-certificates; printf '127.0.0.1 {NAME}\\n::1 {NAME}\\n' >> /etc/hosts")
    for user in DEVICES:
        box.run(f"useradd --create-home {user}")
        box.copy_in(copy, f"/home/{user}/walletsync-source")
        box.write(f"/home/{user}/password", "correct horse battery staple\n")
        box.run(f"chown --recursive {user}: /home/{user}; chmod 600 /home/{user}/password")
    box.write("/home/laptop/labels.jsonl", LABEL_FILES[2])  # two labels: whoever edits one has read the other
    box.run("chown laptop: /home/laptop/labels.jsonl")
    return Reader(box)


def test_the_page_works_from_the_first_line_to_the_last(reader: Reader) -> None:
    """A server is installed, found by IPv4 and IPv6, used by two devices, backed up, upgraded, restored and moved."""
    box = reader.box
    said: dict[str, str] = {}
    for block in blocks():
        if block.heading == "Somebody forgot the password" and block.who == "server":
            for user in DEVICES:
                box.write(f"/home/{user}/password", "nine lions in a green boat\n")
            reader.as_typed_by("phone", """sed -i 's/"label":"y"/"label":"never synced"/' labels.jsonl""")
        if block.heading == "Upgrade":
            assert reader.most_memory() < 256
        said[block.heading] = said.get(block.heading, "") + reader.type(block)
        if block.who == "new":
            again = [each for each in blocks() if each.heading == "2. The server"][-1]
            reader.type(again)
            for who in DEVICES:
                reader.as_typed_by(who, "walletsync login; walletsync sync")
    assert reader.unused() == set()
    assert said["3. The certificate, and nginx"].count('{"live":"process","status":"ok"}') == 2
    assert "version 1" in said["5. The phone"]
    assert ".db" in said["Backups"]
    reader.as_typed_by("laptop", "walletsync sync")
    files = [box.read(f"/home/{user}/labels.jsonl") for user in DEVICES]
    assert files[0] == files[1]
    assert "never synced" in files[0]
    assert reader.most_memory() < 256
    box.reboot()
    reader.as_typed_by("phone", "walletsync sync")
    assert box.run("systemctl show --value --property NRestarts walletsync").stdout.strip() == "0"
