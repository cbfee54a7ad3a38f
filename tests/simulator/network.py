"""A network in one thread that loses, doubles, delays and swaps, as a seed decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from urllib.parse import urlencode, urlsplit

from tests.simulator.interruptions import uninterrupted
from walletsync.errors import ServerUnreachable
from walletsync.transport import Answer
from walletsync_server.api.http import Request, Response

PASSES, REQUEST_LOST, ANSWER_LOST, DOUBLED, DELAYED = "passes", "request lost", "answer lost", "doubled", "delayed"


@dataclass
class Faults:
    """How often something goes wrong, each from 0 to 1."""

    request_lost: float = 0.0
    answer_lost: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    crash: float = 0.0
    interruption: float = 0.0

    @classmethod
    def drawn(cls, rng: Random) -> "Faults":
        """Return rates of which some are zero, so that faults also come alone."""
        lost, unanswered, doubled, delayed = (rng.choice((0.0, 0.03, 0.2)) for _ in range(4))
        return cls(lost, unanswered, doubled, delayed, rng.choice((0.0, 0.03, 0.15)))


class Network:
    """Between all devices of one history and `answer`. What it did is told to `log`."""

    def __init__(
        self, rng: Random, faults: Faults, answer: Callable[[Request], Response], log: Callable[[str], None]
    ) -> None:
        self._rng = rng
        self._answer = answer
        self._log = log
        self.faults = faults
        self._late: list[Request] = []

    def send(self, request: Request) -> Response:
        """Return the answer, or raise `ServerUnreachable` as a client sees it that gave up waiting."""
        fate = self._fate()
        if fate != PASSES:
            self._log(f"  {request.method} {request.path}: {fate}")
        if fate == REQUEST_LOST:
            raise ServerUnreachable("The request got lost.")
        if fate == DELAYED:
            self._late.append(request)
            raise ServerUnreachable("The request takes its time.")
        response = self._answer(request)
        if fate == DOUBLED:
            again = self._answer(request)
            response = self._rng.choice((response, again))
        if fate == ANSWER_LOST:
            raise ServerUnreachable("The answer got lost.")
        return response

    def deliver_one_late(self) -> None:
        """Let one of the delayed requests arrive, any of them: so they get swapped, too."""
        if self._late:
            request = self._late.pop(self._rng.randrange(len(self._late)))
            status = self._answer(request).status
            self._log(f"late: {request.method} {request.path}: {status}")

    def forget_late(self) -> None:
        """Let none of them ever arrive."""
        self._late.clear()

    def deliver_all_late(self) -> None:
        """Let all of them arrive."""
        while self._late:
            self.deliver_one_late()

    def _fate(self) -> str:
        draw = self._rng.random()
        for fate, rate in (
            (REQUEST_LOST, self.faults.request_lost),
            (ANSWER_LOST, self.faults.answer_lost),
            (DOUBLED, self.faults.doubled),
            (DELAYED, self.faults.delayed),
        ):
            if draw < rate:
                return fate
            draw -= rate
        return PASSES


class Transport:
    """Takes the place of `walletsync.transport.Transport` in one device."""

    def __init__(self, network: Network, boundary: Callable[[str], None]) -> None:
        self._network = network
        self._boundary = boundary

    def close(self) -> None:
        """There is nothing to close."""

    def exchange(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
        limit: int,
    ) -> Answer:
        """Send one request through the network; the process may end before it left, or when it was answered."""
        request = Request(
            method=method,
            path=urlsplit(url).path,
            query=urlencode(query or {}),
            headers={name.lower(): value for name, value in headers.items()},
            body=body or b"",
            peer="127.0.0.1",
        )
        self._boundary(f"before {method} {request.path}")
        with uninterrupted():
            response = self._network.send(request)
        assert len(response.body) <= limit
        self._boundary(f"after {method} {request.path}")
        return Answer(response.status, response.body)
