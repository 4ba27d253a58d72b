"""One run: a snapshot becomes a published generation, or nothing happens.

publication.py   the conductor, of these steps:
preparation.py   all that can be refused without reading a row; means.py is what signs, for whom, and where it goes
survey.py        all that can be refused without a signature: gatekeeping.py asks the gates, and evidence.py is what
                 they are shown
looking_back.py  what of the current generation may be carried over; kept_shards.py finds which shards may be kept
worklist.py      which shards are made anew, and which are kept
signing.py       who signs them; made.py is what comes of it
committing.py    everything is accounted for, then published; overtaken.py takes over what was published meanwhile

workplace.py     the workers, and the folder where rows wait, while a run lasts
staying.py       what stays in overlays, told of and spooled; overlaying.py signs it; lost.py finds revocations that
                 vanished
cycles.py        how often the answers of each issuer are signed
left_behind.py   which issuers cannot sign tonight, and do not stop the others; dropping.py: which are published no more
resuming.py      whether a run goes on where an earlier one was stopped
pace.py          whether signing was as fast as the engines can

rows/            from the batches of a snapshot to the rows of one shard, sorted, each certificate once
comparing/       what a shard holds, and what is known of its certificates from elsewhere
making/          what a run signs, and one shard in a worker: carried over or signed, packed, stored, read back
work/            who works on it: processes, their memory, and where the CPU time goes
cluster/         the same, where other machines do the work
"""

from pregen.generation.making.why_signed import Reasons
from pregen.generation.preparation import RunOptions
from pregen.generation.publication import Checked, Published, check, run

__all__ = ["Checked", "Published", "Reasons", "RunOptions", "check", "run"]
