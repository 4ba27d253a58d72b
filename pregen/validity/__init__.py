"""When answers are valid.

profiles.py      the numbers of the standards: how long windows may be, and when newer answers are due
reason_rules.py  which reasons of revocation these standards forbid, and whose certificates must give one
windows.py       the windows of a run, planned by a profile, and judged again when they are signed
cycles.py        how many nights a cycle has, and which lifetimes would give more
refreshing.py    when answers that still hold are signed again, and which of them tonight
timeliness.py    when a run may take place, and when what it signed may still be published
"""

from pregen.validity.profiles import PROFILES, Profile, Refresh, duration_text
from pregen.validity.reason_rules import REASON_CODES, ReasonRules
from pregen.validity.refreshing import Fit, Refreshing, fit, longest_s, takes_s
from pregen.validity.timeliness import (
    CLOCK_SKEW,
    CLOCK_SKEW_S,
    check_run_times,
    check_still_timely,
    check_store_clock,
)
from pregen.validity.windows import Validity, ValidityWindow, plan_window, window_problem, window_until

__all__ = [
    "CLOCK_SKEW",
    "CLOCK_SKEW_S",
    "PROFILES",
    "REASON_CODES",
    "Fit",
    "Profile",
    "ReasonRules",
    "Refresh",
    "Refreshing",
    "Validity",
    "ValidityWindow",
    "check_run_times",
    "check_still_timely",
    "check_store_clock",
    "duration_text",
    "fit",
    "longest_s",
    "plan_window",
    "takes_s",
    "window_problem",
    "window_until",
]
