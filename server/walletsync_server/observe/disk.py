"""Whether a database's files are where a database can be, and belong to whom they should. Changes nothing.

A server that is running may make and remove some of them meanwhile.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from walletsync_server.observe.findings import FAIL, OK, WARN, Finding
from walletsync_server.storage.sqlite.files import files_of, owner_of

_MIB = 1024 * 1024
LITTLE_SPACE, NO_SPACE = 1024 * _MIB, 64 * _MIB
MOUNTS = Path("/proc/self/mountinfo")
"""What is mounted where, on Linux; see proc(5)."""
_OF_OTHER_MACHINES = re.compile(
    "nfs4?|cifs|smb.*|9p|afs|ceph|lustre|beegfs|davfs|.*(sshfs|glusterfs|s3fs|rclone|gcsfuse)"
)


def look_at_disk(file: Path) -> Iterator[Finding]:
    """Look at the disk on which the database is, or will be."""
    folder = next(each for each in file.parents if each.is_dir())
    yield from _owners(file)
    yield from modes("database", files_of(file))
    yield _file_system(folder)
    yield _space(file, folder)


def modes(name: str, files: list[Path]) -> Iterator[Finding]:
    """Say whether others than their owner may read or write these files; nothing if there is none."""
    states = _states(files)
    open_to_others = [file for file, state in states.items() if stat.S_IMODE(state.st_mode) & 0o077]
    if open_to_others:
        said = "other users of this machine can read or write it; run: chmod 600"
        yield Finding(f"{name} mode", WARN, f"{said} {_names(open_to_others)}")
    elif states:
        yield Finding(f"{name} mode", OK, "only its owner can read and write it.")


def _owners(file: Path) -> Iterator[Finding]:
    states = _states(files_of(file))
    if not states:
        return
    owner = owner_of(file)
    others = [each for each, state in states.items() if state.st_uid != owner.st_uid]
    if others:
        said = f"the server's user may not open them; run: chown {owner.st_uid}:{owner.st_gid} {_names(others)}"
        yield Finding(
            "database owner", FAIL, f"some files belong to another user than the others or their folder, so {said}"
        )
    else:
        yield Finding("database owner", OK, "all its files belong to one user.")


def _file_system(folder: Path) -> Finding:
    kind = _kind_of(folder)
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        said = (
            f"{folder} is on a disk that is mounted read-only, perhaps since it failed; see what the system's log says."
        )
        return Finding("file system", FAIL, said)
    if _OF_OTHER_MACHINES.fullmatch(kind):
        said = f"{folder} is on another machine ({kind}), where SQLite cannot keep a database safe; use a local disk."
        return Finding("file system", FAIL, said)
    return Finding("file system", OK, f"{kind or 'of no kind that is known here'}, which can be written to.")


def _kind_of(folder: Path) -> str:
    """Return what kind of file system a folder is on; nothing where the system does not tell."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except FileNotFoundError:
        return ""
    found = "", Path("/")
    for line in lines:
        before, _, after = line.partition(" - ")
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4]))
        if folder.is_relative_to(place) and place.is_relative_to(found[1]):  # the later one covers the earlier
            found = after.split()[0], place
    return found[0]


def _space(file: Path, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    size = sum(state.st_size for state in _states([file]).values())
    said = f"{free // _MIB} MiB are free in {folder}"
    if free < NO_SPACE:
        return Finding("disk", FAIL, f"{said}; writes will soon fail. Make room.")
    if free < max(LITTLE_SPACE, size):
        return Finding("disk", WARN, f"{said}; a restore alone needs {size // _MIB} MiB. Make room.")
    return Finding("disk", OK, f"{said}.")


def _states(files: Iterable[Path]) -> dict[Path, os.stat_result]:
    """Return what is known of each file that is there; asking first would find some that are gone a moment later."""
    states = {}
    for file in files:
        try:
            states[file] = file.stat()
        except FileNotFoundError:
            continue
    return states


def _names(files: Iterable[Path]) -> str:
    return " ".join(map(str, files))
