"""What people are told of a program that writes what it had before, or without much of what there was."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from walletsync.cli.errors import DELETIONS, Failure
from walletsync.cli.output import say
from walletsync.cli.wallet import Wallet

if TYPE_CHECKING:
    from walletsync.client import Client

_MAX_LINES = 3
LIST_EARLIER = "walletsync conflicts --earlier"
CONFIRM = (
    "if that shall go: walletsync sync --confirm-deletions; to get all of it back into the file: walletsync put; "
    "walletsync conflicts --deletions lists it"
)


@dataclass(frozen=True)
class Notices:
    """What there is to tell of a wallet's file; an empty sentence where there is nothing."""

    held: str
    earlier: str
    unreadable: str

    @classmethod
    def of(cls, wallet: Wallet, client: "Client") -> "Notices":
        """Return what there is to tell now."""
        file = wallet.wallet_file()
        held, number, others = file.held, earlier_records(wallet, client), file.unreadable
        told_held = told_earlier = told_unreadable = ""
        if held is not None:
            told_held = (
                f"{wallet.file} was written without {held.lost} of {held.of} {wallet.format.content}. Nothing of that "
                "is deleted, the file is left as it is, and all else is in sync."
            )
        if number:
            records = "1 record" if number == 1 else f"{number} records"
            told_earlier = f"Your program wrote what it had before: {records}. What came since is kept; {LIST_EARLIER}"
        if others:
            more = f", and so on: {len(others)} lines" if len(others) > _MAX_LINES else ""
            told_unreadable = (
                f"{wallet.file} stays as it is where it cannot be read: {'; '.join(others[:_MAX_LINES])}{more}. All "
                "else is in sync. Fix that, or delete it."
            )
        return cls(told_held, told_earlier, told_unreadable)

    def tell_earlier(self, before: "Notices") -> None:
        """Say what is there that was not there `before`, if it is nothing that has to be decided."""
        if self.unreadable and self.unreadable != before.unreadable:
            say(self.unreadable)
        if self.earlier and self.earlier != before.earlier:
            say(self.earlier)

    def tell(self, before: "Notices") -> None:
        """Say all that is there and was not there `before`, for a command that goes on."""
        if self.held and self.held != before.held:
            say(f"{self.held}\nhint: {CONFIRM}")
        self.tell_earlier(before)

    def check(self) -> None:
        """End the command if something waits to be confirmed."""
        if self.held:
            raise Failure(self.held, code=DELETIONS, hint=CONFIRM)


NOTHING = Notices("", "", "")


def earlier_records(wallet: Wallet, client: "Client") -> int:
    """Return in how many records the file has what the program had before, and the document something else.

    None, where a bridge writes the file: all that its program has is up to date, and what it cannot hold it never had.
    """
    if wallet.bridge_file.exists():
        return 0
    return len({wallet.format.record_at(path) for path in wallet.wallet_file().earlier(client)})
