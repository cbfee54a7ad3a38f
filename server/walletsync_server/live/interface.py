"""What the services ask of whoever tells the listeners."""

from abc import ABC, abstractmethod


class Publisher(ABC):
    """Tells listeners, wherever they are. Any thread may call it; nothing here waits for a listener or raises."""

    @abstractmethod
    def publish(self, account_id: int, sequence: int) -> None:
        """Tell an account's listeners that this is its current sequence, unless they know of a newer one.

        Call it after the commit. It is a hint: one that is lost costs time, never data.
        """

    @abstractmethod
    def hang_up(self, account_id: int, device_id: str | None = None) -> None:
        """Tell the listeners of one device, or of the whole account, that their token is void.

        Call it after the commit.
        """
