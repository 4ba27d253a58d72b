"""The bench: what this project claims about speed and size, measured on the machine at hand.

    python -m bench [--quick] [--json]
        [--only raw|peers|pipeline|scale|lookups|overlaid|carry|nights|nothing-to-do|urgent|memory|cluster
        |thousand-million|edge|asking]

workload.py   a CA, or many (authorities.py), and a snapshot, the same certificates every time
raw.py        raw loops: what an engine signs when nothing but signing is left; lanes.py for multibuffer, schemes.py
peers.py      what others sign: cryptography's builder, Go (golang.py, go/), openssl speed
runs.py       `pregen run` as a process of its own
turns.py      what is compared, measured in turns
pipeline.py   the whole way against the raw loop before and after it, where its time goes, and what gates cost
scale.py      more rows, issuers, workers (parallel.py: the raw loop in two processes), answers a certificate
lookups.py    the reader against a loop that only reads and checksums the same buckets
overlaid.py   lookups over eight overlays against lookups without any
carry.py      what carrying a record over costs beside signing it, in the worker
nights.py     a night of runs that sign what is new, changed or due, beside a run that signs everything
idle.py       a run with nothing to do against a check of the same
urgent.py     how long a revocation takes until an edge answers so, and a million of them, from a folder and from S3
bucket.py     a bucket of a real S3 server as a store
memory.py     the largest process of each command; peak.py, which waits for it
cluster.py    workers of a Dask cluster beside local ones, and one large file beside several
edge.py       requests over HTTP beside granian alone (bare.py) and cfssl; pressure.py, which lets wrk and h2load ask
asking.py     an import of request logs, and questions of it and of a log
thousand_million.py  what so many shards cost, whatever they hold: commands (machinery.py), and an edge (loading.py)
figure.py     figures, and what is asked of them; sizes.py, how much is measured
machine.py    what the figures are true for, and of which state of the project
report.py     JSON, Markdown, and a table on the terminal

A rate is given beside a reference of the same run, never alone: machines drift. Rates are per second of CPU time, so
that a reference and what is compared with it count alike; those of several workers are per second of wall-clock time,
for it is that which they save. Results are checked outside of the timed parts.

Every run takes notes for the gates, asks them and leaves a history behind. What a second generation does beyond that,
comparing itself with the one before, is in the P-256 runs of pipeline.py alone.
"""
