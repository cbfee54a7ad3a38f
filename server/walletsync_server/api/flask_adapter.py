"""Flask in front of the API: every request, whatever its path or method, goes to `Api.answer` and back."""

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Rule

from walletsync_server.api import errors
from walletsync_server.api.dispatch import Api
from walletsync_server.api.http import Request, Response

_ENDPOINT = "api"


class _Everything(BaseConverter):
    """Matches any rest of a path, slashes, line breaks and emptiness included."""

    regex = r"[\s\S]*"
    part_isolating = False


def attach(app: flask.Flask, api: Api) -> None:
    """Let `api` answer what no other rule of `app` does."""

    def view(rest: str) -> flask.Response:
        return _answer(api, flask.request)

    app.url_map.converters["everything"] = _Everything
    app.url_map.merge_slashes = False  # a redirect would be an answer without a code
    # Flask's own add_url_rule wants a list of methods; a rule without one matches all, even those nobody knows.
    app.url_map.add(Rule("/<everything:rest>", endpoint=_ENDPOINT))
    app.view_functions[_ENDPOINT] = view
    app.register_error_handler(HTTPException, _refused_by_flask)


def _answer(api: Api, request: flask.Request) -> flask.Response:
    response = api.answer(
        Request(
            method=request.method,
            path=_path(request),
            query=request.query_string.decode("latin-1"),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.stream.read(api.largest_body + 1),
            peer=request.remote_addr or "",
        )
    )
    return _as_flask(response)


def _path(request: flask.Request) -> str:
    """Return the path as it came; Flask's own `path` begins with one slash however many there were."""
    return str(request.environ["PATH_INFO"]).encode("latin-1").decode(errors="replace")


def _refused_by_flask(error: HTTPException) -> flask.Response:
    """Answer what never became a `Request`, such as one with a host name that is none."""
    return _as_flask(errors.unreadable(error.code or 500))


def _as_flask(response: Response) -> flask.Response:
    answer = flask.Response(response.body, response.status)
    answer.headers.clear()  # Flask's default Content-Type
    answer.headers.extend(response.headers)
    return answer
