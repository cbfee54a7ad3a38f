"""What the leak test knows of a run: what passed, what was stored, and what was secret.

Below a folder, in files that nobody has to close, since a kernel is killed in the end:

    wire/       each connection to a server, a file for either direction
    stopped/    what a server in a kernel had stored whenever it was stopped
    noted/      for each kernel, what its notebook typed and what was derived from that
"""

import functools
import inspect
import itertools
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typing_extensions import override

from tools.docs.relay import Relay
from walletsync import Client, crypto
from walletsync_server.testing import RunningServer

ASKED, ANSWERED = ".asked", ".answered"


class Recorder(Relay):
    """A relay that writes to `folder` what passes, whole connections, before it passes it on."""

    def __init__(self, server_url: str, folder: Path) -> None:
        super().__init__(server_url, place=lambda: "")
        self._folder = folder / "wire"
        self._folder.mkdir(parents=True, exist_ok=True)

    @override
    def talk(self) -> tuple[Callable[[bytes], None], Callable[[bytes], None]]:
        connection = self._folder / uuid.uuid4().hex
        return (
            functools.partial(_append, connection.with_suffix(ASKED)),
            functools.partial(_append, connection.with_suffix(ANSWERED)),
        )


def record_this_kernel(folder: Path) -> None:
    """Listen to each server that this process starts from now on, and note what its clients are told and derive."""
    _listen_to_servers(folder)
    noted = folder / "noted" / str(os.getpid())
    noted.parent.mkdir(parents=True, exist_ok=True)

    def note(kind: str, who: str, what: Any) -> None:
        _append(noted, json.dumps([kind, who, what]).encode() + b"\n")

    _on(Client, "set_account", before=lambda told: note("password", told["email"], told["password"]))
    _on(Client, "change_password", before=lambda told: note("password", "", told["new"]))
    _on(Client, "set_document", before=lambda told: note("document", "", told["document"]))
    _on(Client, "get_document", after=lambda told, document: note("document", "", document))
    _on(crypto, "derive", after=lambda told, keys: _note_keys(note, told["binding"].email, keys))
    _on(crypto, "_argon2id", after=lambda told, root: note("root", "", root.hex()))


def _note_keys(note: Callable[[str, str, Any], None], email: str, keys: crypto.Keys) -> None:
    note("login", email, keys.login)
    note("encryption", email, keys.encryption.hex())
    note("mac", email, keys.mac.hex())


def _on(
    owner: Any,
    name: str,
    before: Callable[[dict[str, Any]], None] = lambda told: None,
    after: Callable[[dict[str, Any], Any], None] = lambda told, result: None,
) -> None:
    """Let a function of a class or module tell what it is called with, and what it returns."""
    function = getattr(owner, name)
    signature = inspect.signature(function)

    @functools.wraps(function)
    def telling(*arguments: Any, **named: Any) -> Any:
        told = signature.bind(*arguments, **named).arguments
        before(told)
        result = function(*arguments, **named)
        after(told, result)
        return result

    setattr(owner, name, telling)


def _listen_to_servers(folder: Path) -> None:
    """Put a recorder before each server of this process, and keep what it has stored when it is stopped."""
    relays: dict[RunningServer, Recorder] = {}
    numbers = itertools.count(1)
    stop, direct = RunningServer.stop, vars(RunningServer)["url"].fget

    def url(server: RunningServer) -> str:
        if server not in relays:
            relays[server] = Recorder(direct(server), folder)  # it keeps its port over restarts
        return relays[server].url

    def stop_and_keep(server: RunningServer) -> int:
        kept = folder / "stopped" / f"{os.getpid()}-{next(numbers)}"
        kept.mkdir(parents=True)
        for file in server.database.parent.glob(f"{server.database.name}*"):
            shutil.copy(file, kept)
        return stop(server)

    for name, value in (("url", property(url)), ("stop", stop_and_keep)):
        setattr(RunningServer, name, value)


def _append(file: Path, data: bytes) -> None:
    with file.open("ab") as stream:
        stream.write(data)
