"""How whoever wrote a snapshot writes serials and times: what whole columns tell that no single row does.

Each value can be read, and means something else than was meant: another encoding, unit or order of octets, a number
that was rounded, a date that stands for none. One value proves nothing; many that all look alike do, and where chance
might have made them, odds decide.

scripts.py          serials that are written otherwise than declared
swapped.py          serials whose octets stand in another order
rounded.py          long serials that a program has rounded
units.py            times that are read in another unit, or order, than they were written in
standins.py         times that hardly are any, and stand for "none"
calendar_times.py   such times at the edges of calendars
odds.py             what chance may have made of many values
by_issuer.py        all of that for the rows of each issuer
part_findings.py            which issuers or files a finding is about, where it is not about all
"""
