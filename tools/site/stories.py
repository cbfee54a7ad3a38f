"""What the page where a reader steps through a run tells: an honest server, and one that lies in two ways.

`python -m tools.site.stories` writes it to stdout, as JSON.
"""

import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from tools.site.recorder import Recorder, Step, Switch
from walletsync_server.testing import RunningServer

FIRST, THIRD = "first.db", "third.db"
"""Copies of the database, at that version."""


def record() -> list[dict[str, Any]]:
    """Return the stories: a name, a title and the steps of each."""
    stories = (
        ("honest", "tells the truth", _honest),
        ("rollback", "lies: it goes back to an older version", _rollback),
        ("fork", "lies: it shows two histories", _fork),
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(accounts="open") as server,
        closing(Switch(server)) as wire,
        closing(Recorder(wire, Path(folder))) as recorder,
    ):
        return [{"name": name, "title": title, "steps": story(recorder)} for name, title, story in stories]


def _honest(run: Recorder) -> list[Step]:
    laptop, phone = run.laptop, run.phone
    laptop.new_wallet_state()
    run.begin(
        "Laptop and phone know the same address and password, and are logged in. The laptop has made a wallet, which "
        "is empty and not sent yet. The server has none."
    )
    run.edit(laptop, "tx1", "rent", "On the laptop, somebody gives a payment the label “rent”. Only the laptop knows.")
    run.act(
        laptop,
        laptop.post_wallet,
        "The laptop encrypts its wallet and sends it. The server can read nothing of it, and calls it version 1.",
    )
    run.act(phone, phone.get_wallet, "The phone gets version 1, checks that it is authentic, and decrypts it.")
    run.copy(FIRST)
    run.edit(laptop, "tx2", "coffee", "The laptop adds a label, and sends nothing for now.")
    run.edit(phone, "tx3", "books", "The phone adds another one. Now the two differ.")
    run.act(laptop, laptop.post_wallet, "The laptop is first to send. This is version 2.")
    run.act(
        phone,
        phone.post_wallet,
        "The phone sends a version 2 as well. The server refuses it, and answers with the one that it has. The phone "
        "merges that with its own edit at once.",
    )
    run.act(phone, phone.post_wallet, "What it sends now builds on version 2, so the server takes it as version 3.")
    run.act(laptop, laptop.get_wallet, "The laptop gets version 3. Both have all three labels, and no edit was lost.")
    return run.steps


def _rollback(run: Recorder) -> list[Step]:
    run.begin("Both devices and the server have version 3, and all is well.")
    with run.served(run.folder / FIRST):
        run.look(
            "Whoever runs the server puts an old copy of its database back. It has version 1, which is authentic: "
            "the laptop made it.",
            actor="server",
        )
        run.refuse(
            run.laptop,
            "The laptop asks for the wallet and is given version 1. It remembers that it has seen version 3, refuses, "
            "and keeps what it has.",
        )
        run.refuse(run.phone, "So does the phone. Nothing on either device has changed.")
    return run.steps


def _fork(run: Recorder) -> list[Step]:
    laptop, phone = run.laptop, run.phone
    run.begin("Both devices and the server have version 3. From here on, the server will keep two histories.")
    third = run.copy(THIRD)
    run.edit(laptop, "tx1", "rent for May", "The laptop changes a label.")
    run.act(laptop, laptop.post_wallet, "It sends version 4, and the server takes it.")
    with run.served(third) as put_back:
        run.look("For the phone, the server acts as if that had never come: it still has version 3.", actor="server")
        run.edit(phone, "tx3", "two books", "The phone changes another label.")
        run.act(
            phone,
            phone.post_wallet,
            "It sends a version 4 too, and the server takes it. Neither device can see yet that there are two.",
        )
        put_back()
        run.look("Now the server shows the phone the other history.", actor="server")
        run.refuse(
            phone,
            "The phone is given the laptop's version 4. It is authentic, but does not build on what the phone has "
            "sent. The phone refuses, and keeps what it has.",
        )
    return run.steps


if __name__ == "__main__":
    json.dump(record(), sys.stdout)
