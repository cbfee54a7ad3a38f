"""What the notebooks draw beside sequences: who built on which version, news that nobody asked for, and tables."""

import re
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from pictures import Table, draft, graph, picture
from walletsync import Client
from walletsync_server.testing import RunningServer
from wire import Wire

PASSWORD = "a long password that only Ada knows"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with RunningServer(accounts="open") as server:
        wire = Wire(server.url)
        yield wire
        wire.close()


@pytest.fixture
def devices(wire: Wire) -> Iterator[tuple[Client, Client]]:
    """A laptop and a phone that both have version 1."""
    with Client(wire.url, device_id="laptop") as laptop, Client(wire.url, device_id="phone") as phone:
        for device in (laptop, phone):
            device.set_account("ada@example.com", PASSWORD)
        laptop.register()
        laptop.set_document({"a": "b"})
        laptop.sync()
        phone.sync()
        yield laptop, phone


def test_the_graph_says_who_built_on_which(devices: tuple[Client, Client]) -> None:
    """The versions as the server keeps them, and the draft between its base and what it was merged into."""
    laptop, phone = devices
    laptop.set_document({"a": "theirs"})
    phone.set_document({"a": "b", "c": 'with "quotes"'})
    laptop.sync()
    made = draft(phone)
    phone.sync()
    phone.post_wallet()
    drawn = graph(phone, made, show=lambda document: str(document.get("c", document["a"])))
    assert repr(drawn).splitlines() == [
        "1. version 1, by laptop: b (base)",
        "2. version 2, by laptop, built on version 1: theirs (theirs)",
        '3. not sent, on phone, built on version 1: with "quotes" (mine)',
        '4. version 3, by phone, built on version 2 and on what phone had not sent: with "quotes" (merged)',
        '5. version 4, by phone, built on version 3: with "quotes"',
    ]
    diagram = drawn._repr_markdown_().partition("\n```\n")[0]
    arrows = re.findall(r"^    (\w+) (-->|-\.->) (\w+)$", diagram, re.MULTILINE)
    assert {(a, b) for a, kind, b in arrows if kind == "-->"} == {("v1", "v2"), ("v2", "v3"), ("v3", "v4")}
    assert {(a, b) for a, kind, b in arrows if kind == "-.->"} == {("v1", "draft"), ("draft", "v3")}
    assert 'draft["not sent, phone<br/>with #quot;quotes#quot;<br/><i>mine</i>"]' in diagram


def test_news_are_drawn_where_they_came(wire: Wire, devices: tuple[Client, Client]) -> None:
    """After the request that caused them and before the one that they cause, though answers may come in another order;
    the line on which they come belongs to the device that asked for it."""
    laptop, phone = devices
    synced: SimpleQueue[int] = SimpleQueue()
    begin = len(wire.exchanges)
    with phone.listen(lambda: synced.put(phone.sync().sequence)):
        assert synced.get(timeout=60) == 1
        laptop.post_wallet()
        assert synced.get(timeout=60) == 2
    drawn = picture(wire.exchanges[begin:])
    assert repr(drawn).splitlines() == [
        "1. phone: GET /api/3/websocket → 101 Switching Protocols",
        "2. phone is told: wallet-update:1",
        "3. phone: GET /api/3/wallet → 304 Not Modified",
        "4. laptop: POST /api/3/wallet, sequence 2 → 200 OK, sequence 2",
        "5. phone is told: wallet-update:2",
        "6. phone: GET /api/3/wallet → 200 OK, sequence 2",
    ]
    assert "\n    server-->>phone: wallet-update:2\n" in drawn._repr_markdown_()


def test_an_address_stays_when_a_server_moves(wire: Wire) -> None:
    """What devices are told is the server passes on to whichever there is now."""
    with RunningServer(accounts="open") as other, Client(wire.url) as laptop:
        wire.server_url = other.url
        laptop.set_account("ada@example.com", PASSWORD)
        laptop.register()
        with Client(other.url, realm=wire.url) as direct:
            direct.set_account("ada@example.com", PASSWORD)
            assert direct.get_auth_token().device == direct.device_id


def test_a_table_reads_in_markdown_and_without() -> None:
    """What would be taken for markup is code, and who has nothing is seen to have nothing."""
    table = Table(("here", "there"), [("it", "<a|b>", ""), ("more", "1", "2")])
    assert table._repr_markdown_().splitlines() == [
        "| | here | there |",
        "| --- | --- | --- |",
        r"| it | `<a\|b>` |  |",
        "| more | `1` | `2` |",
    ]
    assert repr(table).splitlines()[:3] == ["it", "    here: <a|b>", "    there: nothing"]
