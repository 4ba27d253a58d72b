"""The zone detector: is a column of times read in a wrong time zone, so that revocations or certificates are missing?

No single time tells: one that is six hours off looks like any other. But in a shifted column much does not fit together
any more, and the detector asks for each such thing in a file of its own. It works in four steps.

1. While rows are read, each process takes notes of their times: little, by columns, and so that the notes of all
   processes add up in any order.

       observation.py  what is noted: counts, the newest issuances, and which 5 minutes were used
       sightings.py    the few rows that are kept whole
       observer.py     takes the notes, and adds them up

2. When all rows are read, the notes stand beside what the last generation remembered: that is the case (`case.py`).
   Six kinds of evidence are asked about it. Each says what it found as clues (`clues.py`): which column seems to be
   wrong, why, and by which offset, where the data show one.

       anchors.py      certain: certificates and CRLs that the CA signed hold the true times of some rows
       witnesses.py    exact: the last generation remembered the times of some certificates, and these do not change
       ahead.py        times that have not come yet, as densely as before: the column is read too late
       lag.py          the newest issuance is older than it can be: it is read too early, or the latest rows are missing
       holes.py        an issuer that is never silent so long issued nothing for hours: rows in between are missing
       time_order.py   many certificates are revoked before they were issued, or issued after they expired

3. The clues become one verdict, as findings of the gate `zone` (`verdict.py`).

4. What the next generation's detector needs of this one is remembered (`recollection.py`), also where a finding was
   accepted by name, and so that the same mistake is found again.

Three files help: `anchor_files.py` reads the anchors and checks who signed them; `rhythm.py` says which silences are
usual to an issuer, for `lag.py` and `holes.py`; `offsets.py` knows by how much two zones can differ, and which zones
explain a difference. Start with `verdict.py`, which shows the whole course, then read the kind of evidence that a
finding's code names: docs/detection.md says which code is whose, and how often each is right.

Numbers that look arbitrary were tuned against simulated CAs: every zone misread as another in several ways, and a
thousand snapshots without a mistake. Whoever changes one runs both: `pytest -m slow tests/pregen/gates/detector`.
"""

from pregen.gates.detector.anchor_files import Anchors, CertificateAnchor, load_anchors
from pregen.gates.detector.case import Case
from pregen.gates.detector.observation import Observation, Watch
from pregen.gates.detector.observer import Observer, all_observed
from pregen.gates.detector.recollection import remember
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
