"""How a path finds its row of the route table."""

import pytest

from walletsync_server.api.http import Request, Response, empty_response
from walletsync_server.api.table import Answer, Route, Table
from walletsync_server.services import Services


def handler(_services: Services, _request: Request) -> Response:
    return empty_response(204)


def row(method: str, path: str, *prefixes: str) -> Route:
    return Route(
        method=method, path=path, handler=handler, prefixes=prefixes, summary="", answers={204: Answer("It is done.")}
    )


TABLE = Table([row("GET", "/a", "", "/v1"), row("DELETE", "/a/{name}", "/v1"), row("GET", "/a/known", "/v1")])


@pytest.mark.parametrize(
    ("path", "template", "methods", "argument"),
    [
        ("/a", "/a", {"GET", "HEAD"}, ""),
        ("/v1/a", "/v1/a", {"GET", "HEAD"}, ""),
        ("/v1/a/laptop", "/v1/a/{name}", {"DELETE"}, "laptop"),
        ("/v1/a/my/laptop\n/", "/v1/a/{name}", {"DELETE"}, "my/laptop\n/"),
        ("/v1/a/{name}", "/v1/a/{name}", {"DELETE"}, "{name}"),
        ("/v1/a/known", "/v1/a/known", {"GET", "HEAD"}, ""),
    ],
)
def test_path_finds_its_row(path: str, template: str, methods: set[str], argument: str) -> None:
    """A path leads to the row that names it, else to one whose name in braces stands for the rest of it."""
    match = TABLE.find(path)
    assert match is not None
    assert (match.template, set(match.methods), match.argument) == (template, methods, argument)


@pytest.mark.parametrize("path", ["", "/", "/b", "/a/", "/a/laptop", "/v1/a/", "/v1/A", "/v1/ab"])
def test_other_paths_lead_nowhere(path: str) -> None:
    """What no row names leads nowhere; a name in braces never stands for nothing."""
    assert TABLE.find(path) is None
