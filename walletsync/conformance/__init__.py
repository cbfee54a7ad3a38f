"""The black-box suite: which promises of docs/protocol.md a server keeps, seen from outside, as any client sees it.

`walletsync conformance URL` runs it. It shares no code with the client but the names of the wire contract, and how a
password is derived where an account is given, so that one mistake cannot hide another.
"""

from walletsync.conformance.given import given_account
from walletsync.conformance.report import as_junit, as_table
from walletsync.conformance.suite import Outcome, Result, run

__all__ = ["Outcome", "Result", "as_junit", "as_table", "given_account", "run"]
