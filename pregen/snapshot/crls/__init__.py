"""CRLs as the source of revocations, joined with a list of what was issued (RFC 5280, section 5).

crl.py           one CRL: read, and its signature checked
crl_entries.py   its entries, by columns
rules.py         which CRLs count, and what is wrong with the others
scope.py         what these leave out
lists.py         what a CRL lists, where it is evidence beside the rows
union.py         all entries that count, united
revocations.py   these, to be looked up by issuer and serial; signs.py tells serials that differ by the sign alone
"""
