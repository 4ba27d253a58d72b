"""What of the current generation may be carried over tonight: found once, before a shard is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pregen.generation.making.carry_job import CarryJob, RunColumns
from pregen.generation.making.plan import Candidates, Carried, Plan
from pregen.generation.making.terms import FULL, FormerRun, Today, former_runs
from pregen.generation.preparation import Prepared
from storage.manifest import Manifest, Shard
from storage.tables import Tables

FIRST = "first-run"  # or `FULL`: why nothing is carried over


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBack:
    """The runs of the current generation, held against today's configuration.

    Attributes:
        today: what a run signs with.
        former: what is known of runs, by the names of their windows; none: nothing is carried over.
        tables: with these runs, by the same names.
        why_all: why nothing is carried over, `FULL` or `FIRST`; empty: something may be.
        manifest: of the current generation; None: nothing of it is carried over.
        earlier: names of windows that an earlier attempt of this run has numbered its packs by.
    """

    today: Today
    former: Mapping[str, tuple[FormerRun, ...]] = field(default_factory=dict)
    tables: Mapping[str, Tables] = field(default_factory=dict)
    why_all: str = ""
    manifest: Manifest | None = None
    earlier: frozenset[str] = frozenset()

    def beside(self, earlier: Mapping[str, Tables]) -> "LookBack":
        """Return the same, where packs of an earlier attempt of this run have records to carry over too.

        Args:
            earlier: tables with what the numbers in its packs stand for, by the names of their windows.
        """
        runs = {name: former_runs(tables, self.today, "") for name, tables in earlier.items()}
        return replace(
            self, former={**self.former, **runs}, tables={**self.tables, **earlier}, earlier=frozenset(earlier)
        )

    @property
    def candidates(self) -> Candidates:
        """The runs that may have records to carry over, for `make_plan`."""
        return {
            name: {
                number: Carried(one.group, one.window, one.signer)
                for number, one in enumerate(runs)
                if one.group is not None and one.may_carry
            }
            for name, runs in self.former.items()
        }

    def job(self, plan: Plan) -> CarryJob | None:
        """Return what workers need to carry records over into the runs of a plan; None: they sign all."""
        if self.why_all and not self.earlier:
            return None
        runs = {
            name: RunColumns.of(self.tables[name], former, plan.numbers[name], self.today)
            for name, former in self.former.items()
        }
        return CarryJob.of(runs, self.today, self.earlier, is_full=bool(self.why_all))

    def packs_of(self, low: int, high: int) -> tuple[Shard, ...]:
        """Return the packs that have keys whose upper halves are in [low, high)."""
        return self.manifest.searched_in(low, high) if self.manifest else ()

    def overlays_of(self, low: int, high: int) -> tuple[Shard, ...]:
        """Return those of overlays alone: what stays in an overlay was in one before."""
        return self.manifest.overlays_in(low, high) if self.manifest else ()


def look_back(prepared: Prepared) -> LookBack:
    """Return what of the current generation may be carried over."""
    today = Today(prepared.issuers, prepared.windows, prepared.refreshing, prepared.full)
    current = prepared.current
    if (prepared.full and not prepared.staying) or current is None:
        return LookBack(today=today, why_all=FIRST if current is None else FULL)
    profile = current.manifest.profile
    profile = "" if "," in profile else profile
    tables = {name: loaded.tables for name, loaded in current.tables.items()}
    return LookBack(
        today=today,
        former={name: former_runs(one, today, profile) for name, one in tables.items()},
        tables=tables,
        manifest=current.manifest,
    )
