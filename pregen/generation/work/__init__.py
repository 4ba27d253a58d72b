"""Who works on a run: processes, their memory, and where the CPU time goes.

workers.py   worker processes, which take one job after the other
memory.py    arrays come and go cheaply, in the parent and in the workers; no core is dumped that has keys
steps.py     what step took how much CPU time
"""
