"""The gates: what is refused although it can be read, before the first signature.

A gate compares a snapshot with as_of, with what was published last, or with itself, and says passed, warned, failed, or
accepted where the operator said so. Each has a name that `--accept` takes; what it found are `Finding`s with codes.

    results.py      the names of the gates, and what one says
    history.py      what a generation leaves behind for the next one's gates
"""

from pregen.gates.history import History, IssuerHistory
from pregen.gates.results import GATES, Acceptance, GateResult, Outcome

__all__ = ["GATES", "Acceptance", "GateResult", "History", "IssuerHistory", "Outcome"]
