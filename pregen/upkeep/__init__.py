"""The life of a store: what its commits were, and which could be gone back to.

log.py        the commits, from the newest back
naming.py     what a commit names
standing.py   until when the answers of a generation hold
history.py    what each commit was, and whether it could be rolled back to
"""

from pregen.upkeep.history import PastCommit, history_of

__all__ = ["PastCommit", "history_of"]
