"""The metrics of several workers as one: their parent asks each when somebody looks, and answers for all.

What a worker counts has the label `worker`. What all of them would say alike, such as how many accounts there are, has
none, and one of them says it.
"""

import itertools
import queue
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from typing_extensions import override

from walletsync_server.observe.metrics import Metrics

PATIENCE_SECONDS = 1.0
"""How long the parent waits for a worker, and for who looks: meanwhile it does nothing else."""
_NUMBER_BYTES = 8
_COMMON, _OWN = b"c", b"o"
_LARGEST = 1 << 20
_HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nConnection: close\r\nContent-Length: "


def tell(metrics: Metrics, *, asked: socket.socket, worker: int) -> None:
    """Answer what the parent asks, in threads that end with the process.

    The figures of the database have a thread of their own, since the database may hang: what the process counts itself
    is told all the same. Meanwhile one more question after them may wait; others are dropped.

    Args:
        metrics: of this worker.
        asked: of datagrams, the other end of what `Together` asks by.
        worker: its number.
    """

    own = _Labelled(metrics.registry, str(worker))
    after_common = queue.Queue[bytes](maxsize=1)

    def answer_with(figures: Collector, question: bytes) -> None:
        text = generate_latest(figures)
        with suppress(OSError):  # the parent may be gone
            asked.send(question[:_NUMBER_BYTES] + zlib.compress(text, 1))

    def listen() -> None:
        while True:
            question = asked.recv(_NUMBER_BYTES + 1)
            if not question.endswith(_COMMON):
                answer_with(own, question)
                continue
            with suppress(queue.Full):
                after_common.put_nowait(question)

    def ask_the_database() -> None:
        while True:
            answer_with(metrics.common, after_common.get())

    threading.Thread(target=listen, name="figures", daemon=True).start()
    threading.Thread(target=ask_the_database, name="common figures", daemon=True).start()


class _Labelled(Collector):
    """The figures of a registry, each with the label of a worker."""

    def __init__(self, registry: Collector, worker: str) -> None:
        self._registry = registry
        self._label = {"worker": worker}

    @override
    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [each._replace(labels=self._label | each.labels) for each in family.samples]
            yield family


class Together(Collector):
    """The figures of all workers, for their parent.

    Args:
        asked: returns by what to ask those that serve, by their numbers.
        replacements: returns how many were started in the place of one that died.
    """

    def __init__(self, asked: Callable[[], Mapping[int, socket.socket]], replacements: Callable[[], int]) -> None:
        self._asked = asked
        self._replacements = replacements
        self._questions = itertools.count()

    @override
    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        answering = []
        for asks in self._asked().values():
            text = self._ask(asks, _OWN)
            if text is not None:
                answering.append(asks)
                _add(families, text)
        # Apart from the rest, since the database may hang; then the others are needed most.
        common = self._ask(answering[0], _COMMON) if answering else None
        if common is not None:
            _add(families, common)
        yield GaugeMetricFamily("walletsync_workers", "Workers that answer.", len(answering))
        meaning = "Workers that were started in the place of one that died."
        yield CounterMetricFamily("walletsync_worker_replacements", meaning, self._replacements())
        yield from families.values()

    def _ask(self, asks: socket.socket, what: bytes) -> str | None:
        """Return what a worker answers; None if it does not, or not in time."""
        number = next(self._questions).to_bytes(_NUMBER_BYTES)
        asks.settimeout(PATIENCE_SECONDS)
        try:
            asks.send(number + what)
            while not (answer := asks.recv(_LARGEST)).startswith(number):
                pass  # it is late: the answer to a question before
        except OSError:
            return None
        return zlib.decompress(answer[_NUMBER_BYTES:]).decode()


def _add(families: dict[str, Metric], text: str) -> None:
    for family in text_string_to_metric_families(text):
        known = families.setdefault(family.name, family)
        if known is not family:
            known.samples += family.samples


def answer(listener: socket.socket, figures: Collector) -> None:
    """Answer one who has connected to `listener` with the figures, whatever was asked, as prometheus-client does.

    Nobody can hold it up for longer than twice `PATIENCE_SECONDS`, beside the workers.
    """
    with suppress(OSError), listener.accept()[0] as client:
        client.settimeout(PATIENCE_SECONDS)
        client.recv(1 << 16)  # all of it, from who is asked for here: Prometheus, or a person's curl
        body = generate_latest(figures)
        client.sendall(f"{_HEAD}{len(body)}\r\n\r\n".encode() + body)
