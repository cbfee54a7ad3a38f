"""What a wallet document is, and how two changed copies of one merge.

`base` says what a format is and how to write one; every other module here is one.
"""
