"""Edits of JSON documents, and a device that is started again: what tests of several devices have in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import PASSWORD
from tests.insides import email_of
from walletsync import Client


def putting(key: str) -> Callable[[Any], Any]:
    """Return an edit for `update_document()` that puts a key into a document."""
    return lambda document: document | {key: 1}


def edit(client: Client, **labels: object) -> None:
    """Change labels (None deletes), and sync."""
    document = client.get_document() if client.wallet_state else {}
    client.set_document({key: value for key, value in (document | labels).items() if value is not None})
    client.sync()


@contextmanager
def restarted(client: Client, file: Path, password: str = PASSWORD) -> Iterator[Client]:
    """End the client and start it again on its file."""
    email, url = email_of(client), client.realm
    client.close()
    with Client(url, store=file) as again:
        again.set_account(email, password)
        yield again
