"""Which shards are signed: the one place that decides it, once everything is counted and all gates have passed."""

from pregen.generation.preparation import Prepared
from pregen.generation.shard import SignTask
from pregen.generation.staying import StayingRows
from pregen.generation.survey import Survey


def shards_to_sign(prepared: Prepared, survey: Survey) -> list[SignTask]:
    """Return a task for each shard that is to be signed: for all of them, as a run signs whatever it publishes.

    Each group of rows is proved by the first of these shards that holds it.
    """
    return [
        SignTask(file, prepared.expired_before, prepared.endings, survey.proofs.get(file.number, frozenset()))
        for file in survey.files
    ]


def tasks_of(prepared: Prepared, staying: StayingRows) -> list[SignTask]:
    """Return a task for each pack of an overlay of what stays in one."""
    return [
        SignTask(file, None, prepared.endings, staying.proofs.get(file.number, frozenset())) for file in staying.files
    ]
