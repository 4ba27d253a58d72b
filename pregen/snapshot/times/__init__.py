"""Times of columns to whole seconds UTC: by unit, by written offset, or by the rules of a declared zone.

instants.py    one column, however it is encoded: the face of this room
absent.py      values that stand for "none"
iso8601.py, asn1times.py, wallclock.py     text, by columns of octets
never.py       infinity, as databases write it
zones.py       local times to instants: one search in a table of wall-clock times
tzif.py        the table of a zone, from the tzdata package (`pregen.zones`)
"""
