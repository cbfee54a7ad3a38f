"""What the notebooks' pictures are drawn from: all that passed, who it was, and no secret."""

import re
from collections.abc import Iterator

import pytest
import requests

from pictures import picture
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


def device(wire: Wire, name: str) -> Client:
    client = Client(wire.url, device_id=name)
    client.set_account("ada@example.com", PASSWORD)
    return client


def test_all_that_passes_is_drawn_with_who_it_was(wire: Wire) -> None:
    """From the first question on, before a device has said its name; in the order in which it happened."""
    with device(wire, "laptop") as laptop, device(wire, "phone") as phone:
        laptop.register()
        laptop.set_document({"labels": {}})
        laptop.sync()
        phone.sync()
        laptop.post_wallet()
        phone.post_wallet()
    assert repr(picture(wire.exchanges)).splitlines() == [
        "1. laptop: GET /.well-known/walletsync → 200 OK",
        "2. laptop: POST /api/3/signup → 201 Created",
        "3. laptop: GET /api/3/client-salt-seed → 200 OK",
        "4. laptop: POST /api/3/auth/full → 200 OK",
        "5. laptop: GET /api/3/wallet → 404 Not Found",
        "6. laptop: POST /api/3/wallet, sequence 1 → 200 OK, sequence 1",
        "7. phone: GET /.well-known/walletsync → 200 OK",
        "8. phone: GET /api/3/client-salt-seed → 200 OK",
        "9. phone: POST /api/3/auth/full → 200 OK",
        "10. phone: GET /api/3/wallet → 200 OK, sequence 1",
        "11. laptop: POST /api/3/wallet, sequence 2 → 200 OK, sequence 2",
        "12. phone: POST /api/3/wallet, sequence 2 → 409 Conflict, sequence 2",
    ]


def test_the_diagram_says_the_same_as_the_list(wire: Wire) -> None:
    """Who cannot see it, or reads where nobody draws it, misses nothing."""
    with device(wire, "laptop") as laptop:
        laptop.register()
        laptop.set_document({"labels": {}})
        laptop.sync()
    shown = picture(wire.exchanges)
    diagram, _, folded = shown._repr_markdown_().partition("\n```\n")
    arrows = re.findall(r"^    (\w+)->>server: (.*)\n    server-->>\1: (.*)$", diagram, re.MULTILINE)
    numbered = [f"{number}. {who}: {asked} → {came}" for number, (who, asked, came) in enumerate(arrows, start=1)]
    assert diagram.count("->>") == 2 * len(arrows)
    assert numbered == repr(shown).splitlines()
    assert len(numbered) == len(wire.exchanges)
    assert f"\n{shown!r}\n" in folded
    assert diagram.startswith("```mermaid\nsequenceDiagram\n    participant laptop\n    participant server\n")


def test_nothing_shown_has_a_secret(wire: Wire) -> None:
    """Not the token, nor what logs in, nor the seed: each is in what was kept, and in nothing that a reader sees."""
    with device(wire, "laptop") as laptop:
        laptop.register()
        laptop.set_document({"labels": {}})
        laptop.sync()
        token = laptop.get_auth_token().value
    kept = b"".join(each.head + each.body + each.answer for each in wire.exchanges).decode()
    secrets = {token, *re.findall(r'"(?:password|clientSaltSeed|token)": ?"([^"]+)"', kept)}
    assert len(secrets) >= 4, "a token of each login, the login key, and the seed"
    drawn = picture(wire.exchanges)
    shown = [repr(wire.exchanges), repr(drawn), drawn._repr_markdown_(), *(each.request for each in wire.exchanges)]
    assert not [secret for secret in secrets for text in shown if secret in text]
    assert any("Authorization: Bearer <hidden>\n" in text for text in shown)
    assert any('"password":"<hidden>","clientSaltSeed":"<hidden>"' in text for text in shown)


def test_all_else_of_a_request_is_shown(wire: Wire) -> None:
    """A reader who is told that this is the whole of it can count on that."""
    answer = requests.post(f"{wire.url}/api/3/wallet?a=b", data=b'{"sequence": 1}', headers={"X-Mine": "1"}, timeout=60)
    assert answer.status_code == 400
    (exchange,) = wire.exchanges
    head, _, body = exchange.request.partition("\n\n")
    assert head.startswith(f"POST /api/3/wallet?a=b HTTP/1.1\nHost: {wire.url.removeprefix('http://')}\n")
    assert set(head.splitlines()[1:]) == {
        f"{name}: {value}" for name, value in [*answer.request.headers.items(), ("Host", wire.url[len("http://") :])]
    }
    assert body == '{"sequence": 1}'
    assert exchange.answer == answer.content
    assert repr(picture([exchange])) == "1. somebody: POST /api/3/wallet, sequence 1 → 400 Bad Request"


def test_a_random_name_may_be_replaced(wire: Wire) -> None:
    """A client that was given none has one that differs from run to run."""
    with Client(wire.url) as client:
        client.set_account("ada@example.com", PASSWORD)
        client.register()
        client.get_auth_token()
        names = {client.device_id: "laptop"}
    assert {each.device for each in wire.exchanges} == set(names)
    assert "1. laptop: GET" in repr(picture(wire.exchanges, names))
