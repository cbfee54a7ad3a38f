"""The front door as the other servers of `door.py` want it: an ASGI application that can be imported."""

import os

from walletsync_server.app import create_app, create_front_door
from walletsync_server.live.hub import Hub
from walletsync_server.settings import Settings

flask_app = create_app(
    Settings(database=os.environ["BENCH_DATABASE"], accounts="open"), hub=Hub(per_account=100_000, in_all=100_000)
)
app = create_front_door(flask_app)
