"""What a run signs, and one shard in a worker: carried over or signed, packed, stored, and read back.

plan.py         what is going to be signed: tables, made of templates (templates.py)
shard.py        one shard in a worker: carry over, fill, sign, pack, store; keyring.py has its keys and signers
layout.py       where each row of a shard goes: run, block, bucket
messages.py     templates filled for many rows at once
terms.py        runs of the current generation, held against what a signature of today would have
carrying.py     which rows of a shard keep their records, out of packs as columns (former.py); carry_job.py is what a
                worker must know for that, and why_signed.py counts the others
leaving.py      what becomes of rows whose issuers are left behind, and left_out.py: which ones have no answer
remembering.py  what the gates of the next run compare with, of one shard
readback.py     what was stored is opened as an edge opens it, and verified
journal.py      what a run that was stopped has left, and recalling.py, which of its packs are taken for signed
"""
