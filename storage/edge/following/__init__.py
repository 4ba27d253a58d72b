"""How an edge follows a store that changes.

`refresh.py` is the thread that looks for new generations, `takeover.py` decides which of them can be served, `gaps.py`
finds the newest one of a copy, and `presence.py` tells whether the packs of one are there.
"""
