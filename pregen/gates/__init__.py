"""The gates: what is refused although it can be read, before the first signature.

A gate compares a snapshot with as_of, with what was published last, or with itself, and says passed, warned, failed, or
accepted where the operator said so. Each has a name that `--accept` takes; what it found are `Finding`s with codes.

    gates.py        the gates before the first signature, each a function from evidence to a result; changes.py has
                    those that compare with what was published last
    evidence.py     what they judge by: all that is known of a snapshot when its rows are counted
    judging.py      how they say what they found
    comparison.py   the certificates of a snapshot beside those of the current generation
    listed.py       which entries of CRLs say that a certificate is revoked at as_of
    acceptance.py   who publishes in spite of a gate, and why
    author.py       who runs a command that commits, and what for
    results.py      the names of the gates, and what one says
    history.py      what a generation leaves behind for the next one's gates
    detector/       is a column of times read in a wrong zone? What is noted of the rows for that, and the gate `zone`
"""

from pregen.gates.history import History
from pregen.gates.results import GATES, Acceptance, GateOutcome, GateResult

__all__ = ["GATES", "Acceptance", "GateOutcome", "GateResult", "History"]
