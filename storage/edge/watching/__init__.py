"""How the edge is, told to machines and to people.

`readiness.py` says whether it is ready, degraded or unready, and why (``/readyz``), `troubles.py` notices what lookups
show of the store, and `alarms.py` tells of it in the log, when it begins and when it is over.
"""
