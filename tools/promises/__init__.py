"""Every promise of the pages has an id, and each id a test: `python -m tools.promises`, a part of `make lint`.

pages.py     what the pages promise: the ids in them, and the sentences that lack one
holders.py   which tests, and which rules of the conformance suite, carry an id
check.py     where the two do not fit

Nothing is imported to be read, so that the check takes a second.
"""
