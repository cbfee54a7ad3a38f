"""What the services ask of whoever tells the listeners."""

from abc import ABC, abstractmethod
from typing import Literal, TypeAlias

Reach: TypeAlias = Literal["process", "servers", "cut off"]
"""Whose listeners are told: those of this process; of all servers; or of this one until others are reached again."""


class Publisher(ABC):
    """Tells listeners, wherever they are. Any thread may call it; nothing here waits for a listener or raises."""

    @property
    @abstractmethod
    def reach(self) -> Reach:
        """Whose listeners are told now, as far as is known."""

    @abstractmethod
    def publish(self, account_id: int, sequence: int) -> None:
        """Tell an account's listeners that this is its current sequence, unless they know of a newer one.

        Call it after the commit. It is a hint: one that is lost costs time, never data.
        """

    @abstractmethod
    def hang_up(self, account_id: int, token: bytes) -> None:
        """Tell whoever listens with this token, named by its SHA-256, that it is void.

        Call it after the commit. It may come late: a token that the device got since is another one.
        """

    @abstractmethod
    def hang_up_all(self, account_id: int, epoch: int) -> None:
        """Tell the listeners of an account that every token of this epoch, and of earlier ones, is void.

        Call it after the commit. It may come late, as above.
        """
