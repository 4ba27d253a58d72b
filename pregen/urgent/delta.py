"""The conductor of `delta`: a file of changed rows, read as a snapshot is, lands on top of what is published."""

from collections.abc import Sequence
from dataclasses import replace

from pregen.config import Config
from pregen.errors import GateError
from pregen.gates.detector import Observer, all_observed
from pregen.generation import RunOptions
from pregen.generation.gatekeeping import watch_of
from pregen.generation.preparation import prepare
from pregen.progress import Progress
from pregen.snapshot.files import end_readers
from pregen.urgent.changing import Changed, ChangeOptions, Judgement, conduct
from pregen.urgent.delta_gates import DeltaGates, accepts_unrevoke
from pregen.urgent.ground import Ground, ends_early, ground_of
from pregen.urgent.orders import ChangeKind
from pregen.urgent.place import place_of
from pregen.urgent.resolving import Resolved, Rules


def apply_delta(config: Config, run: RunOptions, options: ChangeOptions, progress: Progress) -> Changed:
    """Publish a file of changed rows on top of the head.

    Args:
        config: of the CA.
        run: which file, for which instant, and what is accepted.
        options: what is kept in the commit, and whether anything is to be changed.
        progress: told how many rows are read, and how many have their answers.

    Raises:
        PregenError, StorageError, OSError: nothing was published; see their exit codes.
    """
    prepared = prepare(config, replace(run, is_delta=True))
    ground = ground_of(prepared)
    watch = watch_of(prepared)
    with place_of(ground, prepared.snapshot.row_estimate) as place:
        observer = Observer(watch)
        files = place.routed(prepared.snapshot.batches(), observer)
        end_readers()
        gates = DeltaGates(prepared, watch, all_observed([observer.take()], watch), files)

        def judge(ground: Ground, resolved: Sequence[Resolved]) -> Judgement:
            touched = {group.issuer for one in resolved for group in one.groups}
            if short := ends_early(ground, "error", touched):
                raise GateError("the delta is refused; nothing was published", short)
            results, warnings = gates.ask(resolved)
            return Judgement(results, ground.warnings + warnings, gates.excluded(resolved), prepared.snapshot.rows_in)

        rules = Rules(
            kind=ChangeKind.DELTA,
            accepts_unrevoke=accepts_unrevoke(prepared),
            expired_before=prepared.expired_before,
        )
        return conduct(ground, place, files, rules, judge, options, progress)
