"""What a server costs that does next to nothing: two floors below every figure of ours.

    python -m bench.floors constant | uvicorn

`constant` answers whatever comes with the same bytes, so it shows what the load generator can do. `uvicorn` is a bare
one, with an application that answers 4 KiB. Each prints its port as its first line.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

import uvicorn
import uvloop
from typing_extensions import override

from bench.load import characters

_BODY = characters(4096).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class _Constant(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER)


async def constant() -> None:
    """Answer everything with the same, until the process is killed."""
    server = await asyncio.get_running_loop().create_server(_Constant, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def answer(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    """Answer as the smallest ASGI application does."""
    headers = [(b"content-length", b"%d" % len(_BODY)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})


class _Bare(uvicorn.Server):
    @override
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)


def main() -> None:
    """Serve until killed."""
    if sys.argv[1] == "constant":
        uvloop.run(constant())
    else:
        config = uvicorn.Config(
            answer, port=0, http="httptools", loop="uvloop", lifespan="off", log_level="error", access_log=False
        )
        _Bare(config).run()


if __name__ == "__main__":
    main()
