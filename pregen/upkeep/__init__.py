"""The life of a store: what its commits were, what may go, and how a generation is taken back.

log.py        the commits, from the newest back
naming.py     what a commit names
rollback.py   a generation is taken back: views.py is what generations say of certificates, comparing.py and choosing.py
              which of that the later ones know better, copying.py how that comes along, tallying.py how much it is
standing.py   until when the answers of a generation hold
keeping.py    which commits stay
cleaning.py   what nothing keeps goes away
afterwards.py what a run cleans at its end
history.py    what each commit was, and whether it could be rolled back to
"""

from pregen.upkeep.afterwards import clean_as_configured
from pregen.upkeep.cleaning import Amount, Cleaned, CleaningTerms, clean, what_could_go
from pregen.upkeep.history import PastCommit, history_of
from pregen.upkeep.keeping import DEFAULT_KEEP, KeepRules
from pregen.upkeep.rollback import RollbackTerms, RolledBack, roll_back

__all__ = [
    "DEFAULT_KEEP",
    "Amount",
    "Cleaned",
    "CleaningTerms",
    "KeepRules",
    "PastCommit",
    "RollbackTerms",
    "RolledBack",
    "clean",
    "clean_as_configured",
    "history_of",
    "roll_back",
    "what_could_go",
]
