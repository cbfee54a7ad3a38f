"""The part `disk`: how often in a second the disk of temporary files makes 4 KiB durable, which bounds every commit."""

import os
import tempfile
import time
from pathlib import Path

from bench.load import Tally
from bench.report import Row

SIZE = 4096


def rows(seconds: float) -> list[Row]:
    """Append and flush for so long, each time after the last flush has ended; return one row."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="walletsync-bench-") as folder:
        file = os.open(Path(folder) / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            until = time.perf_counter() + seconds
            while (began := time.perf_counter()) < until:
                os.write(file, bytes(SIZE))
                os.fdatasync(file)
                tally.seconds.append(time.perf_counter() - began)
        finally:
            os.close(file)
    return [
        Row(
            part="disk",
            what="write 4 KiB, fdatasync",
            of="the disk",
            rate=len(tally.seconds) / seconds,
            half=tally.percentile(50) * 1000,
            most=tally.percentile(99) * 1000,
        )
    ]
