"""docs/protocol.md and docs/crypto.md: each example is a vector or a real exchange, each table is the code's."""

import http.client
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, inspect, structs

from walletsync import protocol
from walletsync.errors import InvalidServerURL
from walletsync.protocol import API_PREFIX, ErrorCode, Message, canonical_email
from walletsync.realm import normalised_url
from walletsync_server.api.dispatch import WITHOUT_WALLET, body_limit
from walletsync_server.api.errors import STATUS
from walletsync_server.api.routes import ROUTES
from walletsync_server.asgi import http_protocol
from walletsync_server.asgi import server as asgi_server
from walletsync_server.asgi.body_budget import FREE
from walletsync_server.asgi.heads import HEADERS
from walletsync_server.live.hub import MAX_LISTENERS_PER_ACCOUNT
from walletsync_server.services.thinning import KEPT_DAYS, KEPT_HOURS
from walletsync_server.services.throttle import neighbourhood_of
from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("protocol", "crypto")}
PROTOCOL, CRYPTO = PAGES["protocol"], PAGES["crypto"]
EVERYWHERE = {(413, "too_large"), (503, "busy"), (500, "internal_error")}
"""What every route may refuse, and the table of routes leaves out."""
VALUE = r"[0-9a-f]{16,}|(?=[A-Za-z0-9+/]*[0-9])(?=[A-Za-z0-9+/]*[A-Z])[A-Za-z0-9+/]{24,}=*"
"""What looks like bytes in hex or base64."""


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and text of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)


def table(page: str, heading: str, header: str) -> list[list[str]]:
    """Return the cells of the table that begins with `header` in the section of that heading."""
    section = re.split(r"\n#+ ", page.partition(f"# {heading}\n")[2], maxsplit=1)[0]
    rows = section.partition(f"{header}\n")[2].splitlines()[1:]
    taken = list(itertools.takewhile(lambda row: row.startswith("|"), rows))
    assert taken, f"no table {header} below {heading}"
    return [[cell.strip() for cell in row.strip("|").split(" |")] for row in taken]


def vector(file: str, path: str) -> str:
    """Return the value that stands at `path` in a file of vectors, as text."""
    value: Any = json.loads((VECTORS / file).read_text())
    for part in path.split("."):
        value = value[part]
    return str(value)


def shown_vectors(page: str) -> Iterator[tuple[str, str, str]]:
    """Yield file, path and value of each line of the page's examples."""
    for language, text in blocks(page):
        if language == "ini":
            first, _, rest = text.partition("\n")
            assert re.fullmatch(r"# \w+\.json", first), f"an example does not say where it is from: {first}"
            for line in re.sub(r"\n  ", "", rest).split("\n"):
                path, _, value = line.partition(" = ")
                yield first.removeprefix("# "), path, value


@pytest.mark.parametrize("name", PAGES)
def test_every_example_is_a_vector_or_an_exchange(name: str) -> None:
    """There are no other blocks than formulas, and no bytes outside of blocks that something holds."""
    assert {language for language, _ in blocks(PAGES[name])} <= {"text", "ini", "http"}
    loose = re.sub(r"^```(ini|http)\n.*?\n```$", "", PAGES[name], flags=re.MULTILINE | re.DOTALL)
    assert re.findall(VALUE, re.sub(r"\]\([^)]*\)", "", loose)) == []


@pytest.mark.promise("L-8", "P-17", "P-19", "P-110", "P-114", "X-23")
def test_times_and_sizes_are_those_of_the_code() -> None:
    """How long a client may take, how large a body may be, and which networks count as one."""
    said = " ".join(PROTOCOL.split())
    assert f"the head of a request has {http_protocol.HEAD_SECONDS:.0f} seconds" in said
    assert f"may stop for {http_protocol.BODY_SECONDS:.0f}, of which each {http_protocol.SLOWEST // 1024} KiB" in said
    assert http_protocol.ANSWER_SECONDS == http_protocol.BODY_SECONDS
    assert body_limit(0).decoded == WITHOUT_WALLET.raw == 64 * 1024
    assert "A body may have 64 KiB, and where it may have a wallet, the limit of that more" in said
    assert f"for bodies over {FREE // 1024} KiB" in said
    assert (neighbourhood_of("192.0.2.1"), neighbourhood_of("2001:db8::1")) == ("192.0.2.0/24", "2001:db8::/48")
    assert "an IPv4 /24 or an IPv6 /48" in said
    assert f"The server pings every {asgi_server.PING_SECONDS:.0f} seconds" in said
    assert f"and waits {asgi_server.PONG_SECONDS:.0f} for the pong" in said
    assert f"a message of more than {asgi_server.MESSAGE_BYTES:,} bytes ends the connection" in said
    assert f"an address of more than {http_protocol.TARGET_BYTES // 1024} KiB" in said
    assert f"headers of more than {http_protocol.HEAD_BYTES // 1024} KiB or {HEADERS} in number" in said
    assert ("ten by default" in said, MAX_LISTENERS_PER_ACCOUNT) == (True, 10)


def test_the_examples_are_those_of_the_vectors() -> None:
    """Each value, in full."""
    shown = list(shown_vectors(CRYPTO))
    assert len(shown) > 40
    for file, path, value in shown:
        assert value == vector(file, path), path


def test_every_kind_of_value_in_the_walkthrough_is_shown() -> None:
    """Whoever makes the first version can compare every step; of the account, too."""
    shown = {path for _, path, _ in shown_vectors(CRYPTO)}
    walk = json.loads((VECTORS / "walkthrough.json").read_text())
    for name in ("account", "first", "newAccount"):
        assert {f"{name}.{field}" for field in walk[name]} - shown <= {"newAccount.realm", "newAccount.email"}


def test_the_sizes_are_those_of_the_vectors() -> None:
    """Padmé, by examples."""
    rows = {tuple(int(cell.replace(",", "")) for cell in row) for row in table(CRYPTO, "Padding", "| `L` | size |")}
    known = {tuple(test) for test in json.loads((VECTORS / "padme.json").read_text())["tests"]}
    assert rows
    assert rows <= known


def test_realms_take_the_form_that_the_page_says() -> None:
    """Each row of the table, taken or refused."""
    for given, realm in table(CRYPTO, "The form of a realm", "| given | realm |"):
        if realm == "refused":
            with pytest.raises(InvalidServerURL):
                normalised_url(given.strip("`"), allow_plain_http=True)
        else:
            assert normalised_url(given.strip("`"), allow_plain_http=True) == realm.strip("`")


@pytest.mark.promise("X-32")
def test_addresses_are_taken_and_refused_as_the_page_says() -> None:
    """Each row of the table."""
    for given, what in table(CRYPTO, "The form of an address", "| given | |"):
        if what == "taken":
            assert canonical_email(given.strip("`")) == given.strip("`")
        else:
            with pytest.raises(ValueError, match=r"in lower case|not an e-mail address"):
                canonical_email(given.strip("`"))


@pytest.mark.promise("P-115")
def test_the_routes_are_those_of_the_server() -> None:
    """Both ways: every route with its token, statuses and codes, and no other."""
    said = set()
    for route, token, answers, refusals in table(PROTOCOL, "Routes", "| route | token | answers | refusals |"):
        refused = {
            (int(status), code)
            for status, codes in re.findall(r"(\d+)((?: `\w+`)+)", refusals)
            for code in re.findall(r"`(\w+)`", codes)
        }
        said.add((route, token == "yes", answers, frozenset(refused)))
    assert said == {
        (
            f"{route.method} `{API_PREFIX if API_PREFIX in route.prefixes else ''}{route.path}`"
            + (" †" if {"", API_PREFIX} <= set(route.prefixes) else ""),
            route.needs_token,
            ", ".join(map(str, sorted(route.answers))),
            frozenset({(STATUS[kind], str(kind.code)) for kind in route.all_refusals} - EVERYWHERE),
        )
        for route in ROUTES
    }
    assert all({(STATUS[kind], str(kind.code)) for kind in route.all_refusals} >= EVERYWHERE for route in ROUTES)


@pytest.mark.promise("P-7")
def test_no_request_has_an_object_or_an_array_inside() -> None:
    """Each field of each body is a text or a number."""
    messages = {route.message for route in ROUTES if route.message is not None}
    assert len(messages) > 4
    for message in messages:
        for field in structs.fields(message):
            assert _kinds(inspect.type_info(field.type)) <= {inspect.StrType, inspect.IntType}, field


def _kinds(kind: inspect.Type) -> set[type[inspect.Type]]:
    if isinstance(kind, inspect.Metadata):
        return _kinds(kind.type)
    if isinstance(kind, inspect.UnionType):
        return set().union(*map(_kinds, kind.types))
    return {type(kind)}


@pytest.mark.promise("P-124")
def test_the_errors_are_those_of_the_server() -> None:
    """Both ways: every code with its statuses, those of what never gets to a route among them."""
    said = {
        code.strip("`"): {int(status) for status in statuses.split(", ")}
        for code, statuses, _, _ in table(PROTOCOL, "Errors", "| code | status | means | what to do |")
    }
    known: dict[str, set[int]] = {str(code): set() for code in ErrorCode}
    for kind, status in STATUS.items():
        known[str(kind.code)].add(status)
    known["not_found"].add(404)
    known["method_not_allowed"].add(405)
    known["too_large"] |= {414, 431}
    assert said == known


def test_every_field_of_every_message_is_named() -> None:
    """Nothing travels that the page does not know."""
    messages: list[type[Struct]] = [*Message.__subclasses__(), protocol.WellKnown, protocol.Limits]
    for message in messages:
        for field in structs.fields(message):
            assert f'"{field.encode_name}"' in PROTOCOL or f"`{field.encode_name}`" in PROTOCOL, field.encode_name


@pytest.mark.promise("P-33", "P-80", "X-14")
def test_the_limits_are_those_of_the_protocol() -> None:
    """Where the page has a number, it is the code's."""
    for said in (
        f"1–{protocol.MAX_SEQUENCE:,}",
        f"{protocol.MAX_WALLET_BYTES:,} bytes of `encryptedWallet`",
        f"{protocol.KEPT_VERSIONS} versions, the current one included",
        f"the first and the last one of each of {KEPT_HOURS} hours and of {KEPT_DAYS} days",
        f"{protocol.MAX_DEVICES} devices of an account",
        f"lives for {protocol.TOKEN_DAYS} days",
    ):
        assert said in " ".join(PROTOCOL.split())


@pytest.mark.promise("P-40")
def test_the_features_are_those_of_the_protocol() -> None:
    """Both ways."""
    said = {name.strip("`") for name, _ in table(PROTOCOL, "What the server can do", "| feature | means |")}
    assert said == {value for name, value in vars(protocol).items() if name.startswith("FEATURE_")}


@dataclass
class Exchange:
    """A request of the page, and the answer that stands under it, with their placeholders."""

    method: str
    target: str
    headers: dict[str, str]
    body: str
    status: int
    answer_headers: dict[str, str]
    answer: Any


def exchanges() -> list[Exchange]:
    """Return what the page tells, in order."""
    return [_exchange(text) for language, text in blocks(PROTOCOL) if language == "http"]


def _exchange(text: str) -> Exchange:
    asked, _, answered = text.partition("\n\nHTTP/1.1 ")
    head, _, body = asked.partition("\n\n")
    answer_head, _, answer = answered.partition("\n\n")
    request_line, *headers = head.split("\n")
    status, *answer_headers = answer_head.split("\n")
    method, target, _ = request_line.split(" ")
    return Exchange(
        method=method,
        target=target,
        headers=dict(header.split(": ", 1) for header in headers),
        body=body,
        status=int(status.split(" ")[0]),
        answer_headers=dict(header.split(": ", 1) for header in answer_headers),
        answer=json.loads(answer) if answer else None,
    )


class Replay:
    """Sends what the page says to a real server, and keeps the tokens that it gives."""

    def __init__(self, url: str) -> None:
        self._address = url.removeprefix("http://")
        self._tokens: dict[str, str] = {}

    def run(self, exchange: Exchange) -> None:
        """Send the request; fail if the answer is another one than in the page."""
        connection = http.client.HTTPConnection(self._address, timeout=30)
        headers = {name: self._filled(value) for name, value in exchange.headers.items()}
        connection.request(exchange.method, exchange.target, self._filled(exchange.body) or None, headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        what = f"{exchange.method} {exchange.target}"
        assert answer.status == exchange.status, f"{what}: {body}"
        for name, value in exchange.answer_headers.items():
            assert answer.headers[name] == self._filled(value), what
        self._compare(exchange.answer, json.loads(body) if body else None, what)

    def _compare(self, said: Any, seen: Any, what: str) -> None:
        if isinstance(said, dict) and isinstance(seen, dict):
            assert list(said) == list(seen), what
            for name in said:
                self._compare(said[name], seen[name], f"{what}: {name}")
        elif isinstance(said, list) and isinstance(seen, list):
            assert len(said) == len(seen), what
            for one, other in zip(said, seen, strict=True):
                self._compare(one, other, what)
        elif said == "<time>":
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", seen), what
        elif said == "<version>":
            assert re.match(r"\d+\.\d+\.\d+", seen), what
        elif said == "<number>":
            assert type(seen) is int, what
        elif isinstance(said, str) and said.startswith("<token of ") and re.fullmatch("[0-9a-f]{64}", str(seen)):
            self._tokens[said] = seen
        else:
            assert seen == (self._filled(said) if isinstance(said, str) else said), what

    def _filled(self, text: str) -> str:
        """Return `text` with values in the place of what stands in angle brackets."""

        def value(match: re.Match[str]) -> str:
            return self._tokens.get(match[0]) or vector("walkthrough.json", match[1])

        return re.sub(r"<([A-Za-z. ]+)>", value, text)


@pytest.mark.promise("D-2", "P-1", "P-12", "X-13", "X-19")
def test_the_exchanges_go_as_the_page_says() -> None:
    """From the first request to the last, on one real server: status, headers and every field of the answers."""
    told = exchanges()
    assert len(told) > 25
    with RunningServer(accounts="open") as server:
        replay = Replay(server.url)
        for exchange in told:
            replay.run(exchange)
