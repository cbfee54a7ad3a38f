"""The bench measures what it says: tiny runs of its parts, and what it does where a server does not keep its word."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import hot, people, profile
from bench.__main__ import PARTS, SHORT
from bench.load import Request, UnexpectedStatus, load
from bench.picture import draw
from bench.report import Row, table
from bench.servers import Measured, floor, ours
from bench.traffic import Lost, Wallets, ask

ROOT = Path(__file__).parents[2]
TOKEN = f"Bearer {people.token(0)}"


@pytest.fixture(scope="module")
def server() -> Iterator[Measured]:
    """Ours, on SQLite, with four accounts."""
    with ours("sqlite", accounts=4, size=100) as server:
        server.traffic.prepare(server.port, 4)
        yield server


def test_short_run_of_one_part(tmp_path: Path) -> None:
    """`make bench` prints one table, keeps every figure with what it was measured on, and draws a picture."""
    file = tmp_path / "figures.json"
    words = ["disk", "http", "--short", "--seconds=0.2", "--only=sqlite", "--only=constant", f"--output={file}"]
    ended = subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    kept: dict[str, Any] = json.loads(file.read_text())
    measured = {(row["what"], row["of"]) for row in kept["rows"] if row["part"] == "http"}
    assert measured == {
        *((what, "ours, sqlite") for what in hot.KINDS.values()),
        (hot.KINDS["get"], "a constant answer"),
    }
    assert all(row["rate"] > 0 and row["work"] > 0 for row in kept["rows"] if row["part"] == "http")
    assert [row["rate"] > 0 for row in kept["rows"] if row["part"] == "disk"] == [True]
    assert ended.stdout.count("\n| ") == len(kept["rows"]) + 1
    assert {"commit", "python", "cores", "measured", "options", "load_before"} <= set(kept)
    assert "writes looked up, all there" in ended.stdout
    assert file.with_suffix(".svg").read_text().count("<rect ") == 3


def test_unknown_part_is_refused() -> None:
    """With the names of those that there are."""
    words = [sys.executable, "-m", "bench", "everything"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "there is no part everything; there are disk, http" in ended.stderr


@pytest.mark.parametrize("kind", hot.KINDS)
def test_each_kind_gets_the_answers_that_it_asks_for(server: Measured, kind: str) -> None:
    """Another status would raise; and accepted writes are there."""
    made = [server.traffic.following(kind, [number]) for number in range(4)]
    assert len(load(server.port, made, 0.2).seconds) >= 4
    assert (server.traffic.check(server.port) > 0) or kind in ("get", "etag", "conflict")


def test_an_answer_with_another_status_ends_the_run(server: Measured) -> None:
    """Nothing is measured of a server that refuses what it is asked."""
    asked = Request(b"GET /api/3/wallet HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(UnexpectedStatus, match="answers had another status"):
        load(server.port, [lambda: asked], 0.1)


def test_a_lost_write_ends_the_run(server: Measured) -> None:
    """A write that was counted as accepted, and is not there, is found by the look afterwards."""
    traffic = Wallets(100)
    at = ask(server.port, "GET", "/api/3/wallet", TOKEN)[1]["sequence"]
    for _ in range(at):
        traffic.post(0)
    with pytest.raises(Lost, match=f"Account 0 is at {at}, and {at + 1} was acknowledged"):
        traffic.check(server.port)


def test_what_no_server_can_do_faster_is_measured() -> None:
    """The floor takes everything, and its processor time is counted."""
    with floor("constant") as server:
        figures = hot.measure(server, "get", 0.3)
    assert figures.rate > 0
    assert figures.work > 0


@pytest.mark.parametrize(("part", "count"), [("sockets", 2), ("size", 8), ("start", 4), ("client", 14)])
def test_parts_measure_what_they_say(part: str, count: int) -> None:
    """As little as can be: every row has a figure."""
    extent = replace(SHORT, seconds=0.1, sockets=50, listeners=10, accounts=1001, labels=(100, 200))
    rows = PARTS[part].measure(extent, [])
    assert len(rows) == count
    assert all(row.part == part and (row.rate or row.half or row.other) for row in rows)


def test_picture_has_a_bar_for_each_server() -> None:
    """Names are text, not markup; the shortest comes first."""
    rows = [Row("http", hot.KINDS["get"], name, work=work) for name, work in (("<slow>", 20.0), ("ours, x", 10.0))]
    drawn = draw(rows)
    assert "&lt;slow&gt;" in drawn
    assert drawn.index("ours, x") < drawn.index("&lt;slow&gt;")
    assert drawn.count("<rect ") == 2


def test_table_leaves_out_what_was_not_measured() -> None:
    """An empty cell is not a zero."""
    assert table([Row("a", "b", "c", rate=1234.5, ratio=2.0)]).endswith("| b | c | 1,234 |  |  |  | 2.00 |  |  |")


def test_profile_tells_rooms_apart() -> None:
    """What py-spy saw last belongs to a room of ours, to a library or to Python; what waits for work is left out."""
    text = (
        "run (walletsync_server/asgi/server.py:1);Readers.read (walletsync_server/storage/sqlite/readers.py:4) 2\n"
        "run (walletsync_server/asgi/server.py:1);encode (walletsync/protocol.py:9) 1\n"
        "run (walletsync_server/asgi/server.py:1);Http.send (uvicorn/protocols/http.py:2) 1\n"
        "run (walletsync_server/asgi/server.py:1);Runner.run (asyncio/runners.py:8) 1\n"
        "run (walletsync_server/asgi/server.py:1);Condition.wait (threading.py:3) 7\n"
    )
    assert profile.shares(profile.stacks_of(text), most=1) == [
        ("walletsync_server/storage", 0.4),
        ("walletsync/protocol", 0.2),
        ("uvicorn", 0.2),
        ("Python", 0.2),
        ("– Readers.read (walletsync_server/storage/sqlite/readers.py:4)", 0.4),
    ]


def test_profile_watches_a_server(tmp_path: Path) -> None:
    """py-spy sees functions of the server while it is asked."""
    ran = [sys.executable, "-m", "bench.profile", "get", "--seconds=1"]
    ended = subprocess.run(
        ran, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "| walletsync_server/" in ended.stdout
    assert (tmp_path / ".bench" / "get.svg").read_text().startswith("<?xml")
