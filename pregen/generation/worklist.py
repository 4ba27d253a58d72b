"""Which shards are signed: the one place that decides it, once everything is counted and all gates have passed."""

from pregen.generation.looking_back import LookBack
from pregen.generation.preparation import Prepared
from pregen.generation.shard import SignTask
from pregen.generation.staying import StayingRows
from pregen.generation.survey import Survey


def shards_to_sign(prepared: Prepared, survey: Survey, back: LookBack) -> list[SignTask]:
    """Return a task for each shard that is to be signed: for all of them, as a run signs whatever it publishes.

    Each group of rows is proved by the first of these shards that holds it.
    """
    return [
        SignTask(
            file,
            prepared.expired_before,
            prepared.endings,
            survey.proofs.get(file.number, frozenset()),
            back.packs_of(file.low, file.high),
        )
        for file in survey.files
    ]


def tasks_of(prepared: Prepared, staying: StayingRows, back: LookBack | None = None) -> list[SignTask]:
    """Return a task for each pack of an overlay of what stays in one; without a look back, all of it is signed."""
    return [
        SignTask(
            file,
            None,
            prepared.endings,
            staying.proofs.get(file.number, frozenset()),
            back.overlays_of(file.low, file.high) if back else (),
        )
        for file in staying.files
    ]
