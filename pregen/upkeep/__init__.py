"""The life of a store: what its commits were, what may go, and how a generation is taken back.

commit_log.py      the commits, from the newest back; parallel.py is how many of them are read at once
named_objects.py   what a commit names
rollback.py        a generation is taken back: views.py is what generations say of certificates, packs.py what their
                   packs do; comparing.py and rollback_rules.py are which of that the later ones know better, copying.py
                   how that comes along, and tallying.py how much it is; further_keys.py is what would be good again
                   under other names and keys of a CA, and ended_meanwhile.py which revocations are remembered still
lasting.py         until when the answers of a generation hold
retention.py       which commits are retained
cleaning.py        what no retained commit names goes away
afterwards.py      what a run cleans at its end
past_commits.py    what each commit was, and whether it could be rolled back to

What only reads a store is re-exported here, and imports no library of columns; afterwards.py and rollback.py are
imported by those who need them.
"""

from pregen.upkeep.cleaning import Amount, Cleaned, CleaningTerms, clean, what_could_go
from pregen.upkeep.past_commits import PastCommit, history_of
from pregen.upkeep.retention import DEFAULT_DAYS, DEFAULT_GENERATIONS, RetentionRules

__all__ = [
    "DEFAULT_DAYS",
    "DEFAULT_GENERATIONS",
    "Amount",
    "Cleaned",
    "CleaningTerms",
    "PastCommit",
    "RetentionRules",
    "clean",
    "history_of",
    "what_could_go",
]
