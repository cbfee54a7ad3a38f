"""Who answers for the memory that requests take."""

import asyncio
from concurrent.futures import Executor

from walletsync_server.api.dispatch import Api, Holder
from walletsync_server.api.http import Request
from walletsync_server.asgi.body_budget import FREE


class HolderOf:
    """Whoever is to answer for the memory that a request takes; called only where there is something to reserve.

    Where the database may have to be waited for, it has to be found out before; if it was not, the network alone is it.
    """

    def __init__(self, api: Api, request: Request, elsewhere: Executor) -> None:
        self._api = api
        self._request = request
        self._elsewhere = elsewhere
        self._found: Holder | None = None

    def __call__(self) -> Holder:
        """Return who it is."""
        if self._found is None and self._api.may_wait:
            return Holder(self._api.network_of(self._request))
        return self._found or self._api.holder_of(self._request)

    async def find_out_for(self, size: int | None) -> None:
        """Find out, if a body of so many bytes needs room as it is; None is one of any size."""
        if self._is_to_be_found_for(size):
            loop = asyncio.get_running_loop()
            self._found = await loop.run_in_executor(self._elsewhere, self._api.holder_of, self._request)

    def find_out_here(self, size: int) -> None:
        """Do what `find_out_for` does in this thread, which may wait."""
        if self._is_to_be_found_for(size):
            self._found = self._api.holder_of(self._request)

    def _is_to_be_found_for(self, size: int | None) -> bool:
        return self._api.may_wait and self._found is None and (size is None or size > FREE)
