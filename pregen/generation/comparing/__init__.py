"""What a shard holds, and what is known of its certificates from elsewhere; nothing is signed here.

counting.py   one shard in a worker, before anything is signed; tally.py adds up all
past.py       what the current generation says of them, and comparer.py, what becomes of it
makings.py    what a shard is made of, as one digest, and what of it may be kept
claims.py     what CRLs and anchors say of them (held.py holds it against rows); disputes.py says what came of it
by_issuer.py  what a snapshot has of each issuer
"""
