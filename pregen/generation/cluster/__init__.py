"""A pool of workers on other machines, by Dask; nothing else of the program knows of it (`--cluster`).

connection.py   a scheduler and its workers: found, or started for a while; who may be reached how
admission.py    which workers may work: versions, clocks, the configuration they have
parcels.py      what travels, and what does not: keys stay where they are
figures.py      what became of the work, for reports
safety.py       which addresses may be reached
pool.py         tasks to workers, and results back, whatever happens to either
afar.py         what runs on a worker
"""
