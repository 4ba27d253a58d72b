"""One run: a snapshot becomes a published generation, or nothing happens.

publication.py   the conductor, of these five steps:
preparation.py   all that can be refused without reading a row
survey.py        all that can be refused without a signature: gatekeeping.py asks the gates, evidence.py is what they
                 are shown, and past.py what they compare with
looking_back.py  what of the current generation may be carried over
worklist.py      which shards are made anew, and which stay
signing.py       who signs them; made.py is what comes of it
committing.py    everything is accounted for, then published; overtaken.py takes over what was published meanwhile

resuming.py      whether a run goes on where an earlier one was stopped: journal.py is what that one has left, and
                 recalling.py puts its packs in the place of what would be signed

workplace.py     the workers (workers.py), and the folder where rows wait (spool.py), while a run lasts
sharding.py      how keys are cut into shards
routing.py       rows to shards by their keys (pregen/routing_key.py), by a router (router.py) a process, into spill
                 files (spill.py)
rows.py          the rows of one shard, sorted; collapse.py makes one of all those of a certificate, or finds that they
                 contradict each other
truth.py         what overlays say against these rows: what is true, and what stays in an overlay
staying.py       what stays there, told of and spooled; overlaying.py signs it; lost.py finds revocations that vanished
counting.py      one shard in a worker, before anything is signed: what it holds (counts.py); tally.py adds up all
makings.py       what a shard is made of, as one digest, and what of it may stay; keeping.py finds that in the current
                 generation
groups.py        rows whose responses are alike but for serial, time and reason
claims.py        what CRLs and anchors say of certificates, held against the rows of a shard (held.py); disputes.py says
                 what came of it
cycles.py        how often the answers of each issuer are signed
endings.py       which windows end with their certificates, and where
by_issuer.py     what a snapshot has of each issuer
left_behind.py   which issuers cannot sign tonight, and do not stop the others; leaving.py: what becomes
                 of their rows, and left_out.py: which ones have no answer
plan.py          what is going to be signed: tables, made of templates (templates.py)
layout.py        where each row of a shard goes: run, block, bucket
messages.py      templates filled for many rows at once
terms.py         runs of the current generation, held against what a signature of today would have
carrying.py      which rows of a shard keep their records, out of packs as columns (former.py)
shard.py         one shard in a worker: carry over, fill, sign, pack, store; keyring.py has its keys and signers
remembering.py   what the gates of the next run compare with, of one shard
readback.py      what was stored is opened as an edge opens it, and verified

memory.py lets arrays come and go cheaply, in the parent and in the workers; steps.py counts where the CPU time goes,
and pace.py tells whether signing was as fast as the engines can.
"""

from pregen.generation.carrying import Reasons
from pregen.generation.preparation import RunOptions
from pregen.generation.publication import Checked, Published, check, run

__all__ = ["Checked", "Published", "Reasons", "RunOptions", "check", "run"]
