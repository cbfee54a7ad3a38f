"""Figures for the operator, as Prometheus reads them, on a port of their own.

No label has a client's words in it, and none an account: routes are those of the table, methods those that HTTP knows.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from walletsync_server import __version__

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


class CannotServeMetrics(Exception):
    """The address of the metrics cannot be listened on; the sentence says why."""


class Metrics:
    """Counts for one server; any thread may call it. Nothing is global, so several servers can live in one process.

    `registry` has what this process counts, `common` what any other on the same database would say alike.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.common = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Gauge(
            "walletsync_build_info", "Always 1; the label tells the version.", ["version"], registry=self.common
        )
        build.labels(__version__).set(1)
        self._requests = Counter(
            "walletsync_requests",
            "Requests that were answered, by the route's template.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "walletsync_request_seconds",
            "Seconds from the moment that a request was read until its answer was made.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self._of_answer = functools.cache(self._labelled)  # looking them up costs more than counting
        self._refusals = Counter(
            "walletsync_refusals",
            "Requests that were refused, by the code in the answer: rate_limited, busy, unauthorized and so on.",
            ["route", "code"],
            registry=self.registry,
        )
        self._writes = Counter(
            "walletsync_wallet_writes",
            "Wallets that were POSTed and accepted; a retry of the current one counts again.",
            registry=self.registry,
        )
        self._conflicts = Counter(
            "walletsync_wallet_conflicts",
            "Wallets that were POSTed and not accepted, because another one was current.",
            registry=self.registry,
        )
        self._mails = Counter(
            "walletsync_mails",
            "Attempts to send a mail: sent, failed if there will be another, refused if not.",
            ["outcome"],
            registry=self.registry,
        )
        self._commit_seconds = Histogram(
            "walletsync_commit_seconds",
            "Seconds that a transaction of the writer took, its durable commit included.",
            buckets=_COMMIT_SECONDS,
            registry=self.registry,
        )
        self._commit_jobs = Histogram(
            "walletsync_commit_jobs",
            "Writes that shared one commit.",
            buckets=_BATCH_SIZES,
            registry=self.registry,
        )

    def answered(self, *, method: str, route: str, status: int, code: str, seconds: float) -> None:
        """Count an answer. `method` and `route` are of bounded variety, `code` is that of an error, or empty."""
        count, time = self._of_answer(method, route, status)
        count.inc()
        time.observe(seconds)
        if code:
            self._refusals.labels(route, code).inc()
        if method == "POST" and route.endswith("/wallet"):
            if status == 200:
                self._writes.inc()
            elif status == 409:
                self._conflicts.inc()

    def _labelled(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(method, route, status), self._request_seconds.labels(method, route)

    def committed(self, seconds: float, jobs: int) -> None:
        """Count a commit of the database."""
        self._commit_seconds.observe(seconds)
        self._commit_jobs.observe(jobs)

    def mailed(self, outcome: str) -> None:
        """Count a try to send a mail."""
        self._mails.labels(outcome).inc()

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show a figure of this process that is asked for whenever somebody looks."""
        Gauge(f"walletsync_{name}", meaning, registry=self.registry).set_function(value)

    def watch_common(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show a figure of the database that is asked for whenever somebody looks."""
        Gauge(f"walletsync_{name}", meaning, registry=self.common).set_function(value)

    @contextmanager
    def served(self, host: str, port: int) -> Iterator[None]:
        """Serve the figures at `http://host:port/metrics` while inside.

        Raises:
            CannotServeMetrics: if the address cannot be listened on.
        """
        both = CollectorRegistry()
        both.register(self.registry)
        both.register(self.common)
        try:
            server, thread = start_http_server(port, host, both)
        except OSError as error:
            raise CannotServeMetrics(f"Cannot serve metrics on {host}, port {port}: {error.strerror}.") from error
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
