"""The thin server around `storage.edge.respond`: processes, connections, and what an operator may set of them.

`launch.py` goes from an address to a running server, `server.py` has the processes and is the only module that knows
granian, and `worker.py` begins and ends one of them. `application.py` takes requests in and gives replies out, with
`bodies.py` for what POSTs bring, `request_log.py` for what is logged, and `patience.py` for stores that hang.
`limits.py` says how many connections there may be, `farewell.py` how they are let go. `vigil.py` follows the store for
a worker and knows how it is, and `showing.py` shows all workers to machines. `settings.py` says what an operator may
set, and `options.py` by which options.
"""
