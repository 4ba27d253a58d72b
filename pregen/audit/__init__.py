"""`pregen verify`: is what is stored still what was published, and signed by whom it should be?

store.py       the audit of a store's current generation
trust.py       from trusted certificates to the key that must have signed
overlays.py    whether what is said of overlays beside their packs is what the packs hold
histories.py   the history that the next run's gates compare with
against.py     whether it says what a snapshot says
placement.py   whether records lie where an edge looks for them, and shards are what the manifest says
"""

from pregen.audit.against import Against, verify_against
from pregen.audit.store import Audit, verify_store
from pregen.audit.trust import Trust

__all__ = ["Against", "Audit", "Trust", "verify_against", "verify_store"]
