"""The zone detector: is a column of times read in a wrong time zone, so that revocations or certificates are missing?

A snapshot says nothing about that by itself: a time that is six hours off looks like any other. But a shifted column
betrays itself by what does not fit together any more, and the detector asks for each such thing in a file of its own.
It works in three steps.

1. While rows are read, each process notes what their times look like: little, by columns, and so that the notes of all
   processes add up in any order (`observation.py`).
2. When all rows are read, six kinds of evidence are asked, each of which says what it found as clues (`clues.py`):
   which column seems to be wrong, why, and by which offset, where the data show one.

       anchors.py      certain: certificates and CRLs that the CA signed hold the true times of some rows
       witnesses.py    exact: the last generation remembered the times of some certificates, and they do not change
       ahead.py        times that have not come yet, as dense as before: the column is read too late
       lag.py          the newest issuance is older than it can be: the column is read too early, or rows are missing
       holes.py        hours without issuances, of an issuer that is never silent so long: rows are missing
       order.py        many certificates are revoked before they were issued, or issued after they expired

3. The clues become one verdict, which is the gate `zone`, and what the next generation's detector needs is remembered
   (`verdict.py`).

Three files help these: `anchor_files.py` reads the anchors and checks who signed them, `rhythm.py` says which silences
are usual to an issuer (for lag and holes), and `offsets.py` knows by how much two time zones can differ, and which
zones explain an offset.
"""

from pregen.gates.detector.anchor_files import Anchors, CertificateAnchor, load_anchors
from pregen.gates.detector.case import Case
from pregen.gates.detector.memory import remember
from pregen.gates.detector.observation import Observation, Watch
from pregen.gates.detector.observer import Observer, all_observed
from pregen.gates.detector.verdict import Verdict, judge

__all__ = [
    "Anchors",
    "Case",
    "CertificateAnchor",
    "Observation",
    "Observer",
    "Verdict",
    "Watch",
    "all_observed",
    "judge",
    "load_anchors",
    "remember",
]
