"""What the server says about itself."""

from walletsync.protocol import (
    FEATURE_BEARER_TOKEN,
    FEATURE_DEVICES,
    FEATURE_HISTORY,
    FEATURE_LIVE_UPDATES,
    FEATURE_WALLET_IN_ANSWERS,
    KEPT_VERSIONS,
    MAX_DEVICES,
    PAYLOAD_VERSION,
    Limits,
    WellKnown,
)
from walletsync_server import __version__


class About:
    """Describes the server; `max_wallet_bytes` is the limit that `Wallets` keeps."""

    def __init__(self, *, max_wallet_bytes: int, live_updates: bool) -> None:
        live = [FEATURE_LIVE_UPDATES] if live_updates else []
        self.description = WellKnown(
            name="walletsync",
            server_version=__version__,
            payload_versions=[PAYLOAD_VERSION],
            limits=Limits(
                encrypted_wallet_bytes=max_wallet_bytes,
                kept_versions=KEPT_VERSIONS,
                devices=MAX_DEVICES,
            ),
            features=[FEATURE_BEARER_TOKEN, FEATURE_DEVICES, FEATURE_HISTORY, *live, FEATURE_WALLET_IN_ANSWERS],
        )
