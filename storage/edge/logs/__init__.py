"""Where lines go: those about requests, and those about the server itself.

`log.py` says how lines look and which log they belong to, and `lines.py` writes them without ever holding anybody up.
`addresses.py` says who has asked.
"""
