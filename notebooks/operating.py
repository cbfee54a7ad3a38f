"""What whoever runs a server has beside it, for the notebook about that: commands, a mail server, figures.

run("walletsync-server accounts list")     what a command says
mails = MailServer()                       a real one, on `mails.port`, which keeps what it gets
figures(port, "walletsync_accounts")       some of what Prometheus would read there
"""

import asyncio
import shlex
import socket
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import requests
from aiosmtpd.smtp import SMTP
from click.testing import CliRunner

from walletsync_server.cli import main

_SECONDS = 60
_RESERVED: list[socket.socket] = []


def run(command: str) -> str:
    """Do what `walletsync-server …` does in a terminal, in the current folder; return what it says on stdout.

    It runs in this process, which saves its start. Its own folder is not said again in what it says.

    Raises:
        RuntimeError: it failed; the message is what it said on stderr.
    """
    program, *words = shlex.split(command)
    done = CliRunner().invoke(main, words, prog_name=program)
    if done.exit_code:
        raise RuntimeError(done.stderr)
    return done.stdout.rstrip().replace(f"{Path.cwd()}/", "")


class MailServer:
    """Takes every mail, until the program's end, and keeps it."""

    def __init__(self) -> None:
        self._mails: SimpleQueue[EmailMessage] = SimpleQueue()
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        listening = loop.create_server(lambda: SMTP(self, loop=loop, hostname="localhost"), "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(listening, loop).result(_SECONDS)
        self.port: int = server.sockets[0].getsockname()[1]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Called by aiosmtpd with each mail."""
        self._mails.put(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def next_mail(self) -> EmailMessage:
        """Wait for the next mail, a minute at most, and return it."""
        return self._mails.get(timeout=_SECONDS)


def reserved_port() -> int:
    """Return a port for a program that cannot pick one itself; nobody else gets it by chance."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    _RESERVED.append(reserved)
    return int(reserved.getsockname()[1])


def figures(port: int, *names: str) -> str:
    """Return the lines with these figures from the page for Prometheus."""
    page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=_SECONDS).text
    # What counts from the server's start on has a line about when that was, too.
    shown = [line for line in page.splitlines() if line.startswith(names) and "_created" not in line]
    return "\n".join(shown)
