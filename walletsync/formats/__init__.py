"""What a wallet document is, and how two changed copies of one merge.

`base` says what a format is, `testing` checks that one is; every other module here is one, and says how it merges.
"""
