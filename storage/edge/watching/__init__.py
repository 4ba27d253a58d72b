"""How the edge is, told to machines and to people.

`readiness.py` says whether it is ready, degraded or unready, and why (``/readyz``), `troubles.py` notices what lookups
show of the store, and `alarms.py` tells of it in the log, when it begins and when it is over.

`canary.py` reads certificates whose status is known, and judges how they were answered when `canaries.py` has asked for
them.

`counters.py` is what a worker counts while it answers, in memory that outlives it (`cells.py`), with the requests to a
remote store (`counted_store.py`); `state.py` is what it says of itself every second. Of these its server makes metrics
for Prometheus (`metrics.py`, `exposition.py`) and the line that HAProxy's agent-check reads (`agent.py`), at addresses
of their own (`listening.py`).
"""
