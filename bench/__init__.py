"""The bench: what this project claims about speed and size, measured on the machine at hand.

    python -m bench [--quick] [--json] [--only raw|pipeline|lookups]

workload.py   a CA and a snapshot, the same certificates every time
raw.py        raw loops: what an engine signs when nothing but signing is left
pipeline.py   `pregen run` as a process of its own, against the raw loop before and after it
lookups.py    the reader against a loop that only reads and checksums the same buckets
figure.py     figures, and what is asked of them
machine.py    what the figures are true for
report.py     JSON, Markdown, and a table on the terminal

A rate is given beside a reference of the same run, never alone: machines drift. Rates are per second of CPU time, so
that a reference and what is compared with it count alike. Results are checked outside of the timed parts.
"""
