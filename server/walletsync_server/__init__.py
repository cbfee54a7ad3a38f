"""The walletsync server: keeps one encrypted wallet per account and can read none of it."""

__version__ = "0.1.0"
