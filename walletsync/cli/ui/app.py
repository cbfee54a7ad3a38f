"""The addresses of the page, and what each shows or does. Each form leads to the first page, which has the result."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from walletsync.cli.errors import failure
from walletsync.cli.output import printable
from walletsync.cli.ui.desk import Desk
from walletsync.cli.ui.door import COOKIE, HEADERS, Door
from walletsync.errors import StoreLocked, WalletSyncError

_PAGES = Path(__file__).with_name("pages")
_MAX_BODY = 64 * 1024
_SEEN = "seen"
_NOT_LET_IN = (
    "This page is for the browser that walletsync opened. An address that walletsync ui printed can be opened once. "
    "To come in, end walletsync ui with Ctrl-C and start it again. If somebody else has opened the address before you, "
    "end it at once."
)


def make_app(desk: Desk, door: Door) -> Flask:
    """Return the application behind `door`."""
    app = Flask(__name__, static_folder=None, template_folder=str(_PAGES))
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.jinja_env.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    app.before_request(lambda: _refused(door))
    app.after_request(_with_headers)
    app.register_error_handler(WalletSyncError, _failed)
    app.register_error_handler(HTTPException, _not_answered)
    app.add_url_rule("/", "enter", lambda: _entered(door), methods=["GET"])
    app.add_url_rule("/style.css", "style", _style, methods=["GET"])
    app.register_blueprint(_pages(desk), url_prefix=f"/{door.place}")
    return app


def _pages(desk: Desk) -> Blueprint:
    pages = Blueprint("pages", __name__)
    said: list[str] = []

    def state() -> str:
        told = " ".join(said)
        said.clear()
        return render_template("state.html", state=desk.state(), content=desk.content, told=told)

    def versions() -> str:
        kept = desk.versions()
        return render_template("versions.html", versions=kept, content=desk.content, now=datetime.now(UTC))

    def compare() -> str:
        older, newer = sorted((_number("older"), _number("newer")))
        return render_template("compare.html", older=older, newer=newer, compared=desk.compared(older, newer))

    def ask_restore(sequence: int) -> str:
        return render_template("restore.html", sequence=sequence, compared=desk.if_restored(sequence))

    def deed(do: Callable[..., str]) -> Callable[..., AnyResponse]:
        def done(**named: int) -> AnyResponse:
            said[:] = [do(**named)]
            return redirect(url_for("pages.state"), 303)

        return done

    def form(name: str) -> str:
        return request.form.get(name, "")

    for rule, name, do in (
        ("/sync", "sync", desk.sync),
        ("/conflict", "decide", lambda: desk.decide(form("name"), _side(), form(_SEEN))),
        (
            "/earlier",
            "earlier",
            lambda: desk.decide_earlier(_side(), form(_SEEN), confirm_deletions=form("confirm") == "yes"),
        ),
        ("/delete", "delete", lambda: desk.confirm_deletions(form(_SEEN))),
        ("/put-back", "put_back", lambda: desk.put_back(form(_SEEN))),
        ("/restore/<int:sequence>", "restore", lambda sequence: desk.restore(sequence, form(_SEEN))),
    ):
        pages.add_url_rule(rule, name, deed(do), methods=["POST"])
    for rule, name, page in (
        ("/", "state", state),
        ("/versions", "versions", versions),
        ("/compare", "compare", compare),
        ("/restore/<int:sequence>", "ask_restore", ask_restore),
    ):
        pages.add_url_rule(rule, name, page, methods=["GET"])
    return pages


def _number(name: str) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else abort(400)


def _side() -> str:
    keep = request.form.get("keep", "")
    return keep if keep in ("mine", "theirs", "both") else abort(400)


def _refused(door: Door) -> AnyResponse | None:
    """Return the answer to whoever is not let in."""
    is_let_in = request.endpoint in ("enter", "style") or door.knows(request.cookies.get(COOKIE, ""))
    is_own = request.method in ("GET", "HEAD") or door.is_own(request.headers.get("Origin"))
    return None if door.is_host(request.headers.get("Host", "")) and is_let_in and is_own else _closed()


def _entered(door: Door) -> AnyResponse:
    """Exchange the key for the cookie. A look at the head alone, as programs that fetch ahead have, costs no key."""
    if request.method != "GET" or not door.opens(request.args.get("key", "")):
        return _closed()
    answer = redirect(url_for("pages.state"), 303)
    answer.set_cookie(COOKIE, door.session, path=f"/{door.place}/", httponly=True, samesite="Strict")
    return answer


def _closed() -> Response:
    return make_response(render_template("told.html", title="You are not let in", sentence=_NOT_LET_IN), 403)


def _style() -> Response:
    return Response((_PAGES / "style.css").read_text(encoding="utf-8"), mimetype="text/css")


def _with_headers(answer: Response) -> Response:
    answer.headers.update(HEADERS)
    return answer


def _failed(error: WalletSyncError) -> tuple[str, int]:
    """Say what a command would have said."""
    told = failure(error)
    title = "Another command is at work" if isinstance(error, StoreLocked) else "That did not work"
    sentence, hint = printable(told.message), told.hint and printable(told.hint)
    if isinstance(error, StoreLocked):
        hint = "load this page again in a while"
    request_id = told.request_id and printable(told.request_id)
    page = render_template(
        "told.html", title=title, sentence=sentence, hint=hint, request_id=request_id, is_inside=True
    )
    return page, 503 if isinstance(error, StoreLocked) else 409


def _not_answered(error: HTTPException) -> tuple[str, int]:
    sentence = "There is nothing at this address, or the form that was sent is not one of this page."
    return render_template("told.html", title="Not found", sentence=sentence, is_inside=True), error.code or 500
