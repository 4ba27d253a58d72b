"""From the batches of a snapshot to the rows of one shard, sorted, each certificate once.

sharding.py  how keys are cut into shards
routing.py   rows to shards by their keys (pregen/routing_key.py), by a router (router.py) a process
spill.py     what a routed row is; parts.py is how rows of many shards lie in one object, spool.py and bucket.py
             where, in a folder or in a store; spooling.py opens either, and checksums.py holds what is read against
             what was written
rows.py      the rows of one shard, sorted; counts.py is what became of the others
collapse.py  one row of all those of a certificate, or that they contradict each other
truth.py     what overlays say against these rows: what is true, and what stays in an overlay
groups.py    rows whose responses are alike but for serial, time and reason
endings.py   which windows end with their certificates, and where
"""
