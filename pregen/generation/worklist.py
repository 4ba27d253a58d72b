"""What is done for each shard: the one place that decides it, once everything is counted and all gates have passed.

A shard that was made of the same, and of which nothing is due, is kept: its pack is named again, unread. If only the
ends of certificates have changed, its part of the history is written anew. All others are made anew, and whatever
records of theirs may be carried over are.
"""

from dataclasses import dataclass, replace

from pregen import clock
from pregen.generation.comparing.makings import Keepable, Keeping
from pregen.generation.looking_back import LookBack
from pregen.generation.made import KeptShard
from pregen.generation.making.remembering import PartTask, PartWriter
from pregen.generation.making.shard import SignTask
from pregen.generation.preparation import Prepared
from pregen.generation.rows.routing import ShardFile
from pregen.generation.staying import StayingRows
from pregen.generation.survey import Survey
from pregen.generation.work.steps import Steps
from pregen.generation.work.workers import Pool
from storage.manifest import Shard


@dataclass(frozen=True, slots=True)
class Worklist:
    """What is to be done.

    Attributes:
        sign: shards that are made anew.
        staying: packs of the overlay of what stays in one.
        parts: shards whose packs are kept, and whose parts of the history are made anew.
        kept: all shards whose packs are kept, with the parts that they had.
    """

    sign: tuple[SignTask, ...]
    staying: tuple[SignTask, ...]
    parts: tuple[PartTask, ...]
    kept: tuple[KeptShard, ...]


def make_worklist(prepared: Prepared, survey: Survey, keepable: Keepable, back: LookBack) -> Worklist:
    """Return what is to be done for the shards of a run.

    Each group of rows is proved by the first shard that is made anew and holds it.
    """
    as_of = clock.seconds(prepared.snapshot.as_of)
    sign, parts, kept = [], [], []
    for file in survey.files:
        keeping = survey.tally.keeping.get(file.number, Keeping.NOTHING)
        if keeping:
            former = keepable.shards[file.low, file.high]
            kept.append(KeptShard(file.number, replace(former.shard, as_of=as_of), former.part))
            if keeping == Keeping.PACK:
                parts.append(PartTask(file, prepared.expired_before, prepared.endings))
        else:
            proofs, packs = survey.tally.proofs.get(file.number, frozenset()), back.packs_of(file.low, file.high)
            sign.append(SignTask(file, prepared.expired_before, prepared.endings, proofs, packs))
    return Worklist(tuple(sign), tuple(tasks_of(prepared, survey.staying, back)), tuple(parts), tuple(kept))


def tasks_of(prepared: Prepared, staying: StayingRows, back: LookBack | None = None) -> list[SignTask]:
    """Return a task for each pack of an overlay of what stays in one; without a look back, all of it is signed."""
    return [
        SignTask(
            file,
            None,
            prepared.endings,
            staying.proofs.get(file.number, frozenset()),
            _packs_of_staying(prepared, back, file) if back else (),
        )
        for file in staying.files
    ]


def _packs_of_staying(prepared: Prepared, back: LookBack, file: ShardFile) -> tuple[Shard, ...]:
    """Return where the records of what stays may be: in overlays, or of issuers that are left behind, in any pack."""
    return back.packs_of(file.low, file.high) if prepared.staying else back.overlays_of(file.low, file.high)


def keep(prepared: Prepared, work: Worklist, pool: Pool, steps: Steps) -> tuple[KeptShard, ...]:
    """Return all shards whose packs are kept, after the parts of the history were put that do not.

    Raises:
        PublishError, WorkerError: nothing was published.
    """
    kept = {one.number: one for one in work.kept}
    for new in pool.map(PartWriter, prepared.open_store, work.parts) if work.parts else ():
        steps.add(new.steps)
        put_bytes = new.part.size_bytes if new.part else 0
        kept[new.number] = replace(kept[new.number], history=new.part, history_bytes=put_bytes)
    return tuple(kept[number] for number in sorted(kept))
