"""The conductor of `revoke`, `hold` and `release`: certificates are named, looked up, signed, and land in a commit."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from pregen import clock
from pregen.config import Config
from pregen.errors import Finding
from pregen.gates import GateResult
from pregen.gates.author import Author
from pregen.gates.results import gates_document
from pregen.generation.means import SigningOptions
from pregen.generation.rows.routing import ShardFile
from pregen.progress import Progress
from pregen.urgent.deciding import Fate
from pregen.urgent.ground import Ground, ends_early, take_ground
from pregen.urgent.landing import Landed, Terms, land, overtaken, still_holds
from pregen.urgent.mentions import Mention, read_mentions
from pregen.urgent.orders import ChangeKind, Order, check_reasons
from pregen.urgent.overlaying import Overlay, sign_overlay
from pregen.urgent.place import Place, place_of
from pregen.urgent.refusing import check_elsewhere, refuse_impossible, unsigned_of, without_unsigned
from pregen.urgent.resolving import Resolved, Rules, regrouped
from storage.errors import CommitRefusedError
from storage.manifest import LeftBehind
from storage.markers import at_work
from storage.stores.probe import probed_lately

_ATTEMPTS = 100  # each one that fails is one of somebody else that has not


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOptions(SigningOptions):
    """What the command line says beside the certificates.

    Attributes:
        author: who makes the change, and what for; no change is made without.
        is_dry: change nothing, and say what would be.
    """

    author: Author
    is_dry: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What gates say of a change, and warnings; of a delta also how many rows were read and, by reason, left out."""

    gates: tuple[GateResult, ...] = ()
    warnings: tuple[Finding, ...] = ()
    excluded: Mapping[str, int] | None = None
    rows_in: int | None = None


JudgeOfChanges = Callable[[Ground, Sequence[Resolved]], Judgement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What an urgent change did, or would do.

    Attributes:
        kind: of it.
        ground: what it stands on.
        resolved: what became of its certificates, by ranges of their keys.
        judgement: what gates said.
        overlay: that was signed; None: there was nothing to change, or only to say what would be.
        landed: its commit; None as there.
        is_dry: whether it was only to say what would be.
    """

    kind: ChangeKind
    ground: Ground
    resolved: tuple[Resolved, ...]
    judgement: Judgement
    overlay: Overlay | None
    landed: Landed | None
    is_dry: bool

    @property
    def lands(self) -> int:
        """How many certificates were signed anew, or would be."""
        return sum(sum(one.groups.values()) for one in self.resolved)

    def count(self, fate: Fate) -> int:
        """Return how many certificates have a fate, further names and keys of their issuers included."""
        return sum(one.fates[fate] for one in self.resolved)

    @property
    def left_out(self) -> int:
        """How many rows are left out because an urgent change before knows better."""
        every = sum(self.count(fate) for fate in Fate)
        return every - self.lands - self.count(Fate.STANDS)

    @property
    def responses(self) -> int:
        """How many were signed, or would be."""
        groups = [item for one in self.resolved for item in one.groups.items()]
        return sum(len(self.ground.issuers[group.issuer].cert_ids) * count for group, count in groups)

    @property
    def verified(self) -> int:
        """How many responses were parsed and verified."""
        return sum(one.signed.verified for one in self.overlay.packs) if self.overlay else 0

    @property
    def overlays(self) -> int:
        """How many overlays there are now, packs of one apart."""
        manifest = self.landed.manifest if self.landed else self.ground.current.manifest
        return len(manifest.overlays)

    @property
    def stored_bytes(self) -> int:
        """Octets put."""
        if self.overlay is None or self.landed is None:
            return 0
        packs = sum(one.signed.shard.size_bytes + one.part.size_bytes for one in self.overlay.packs)
        return packs + sum(map(len, self.overlay.plan.objects.values())) + self.landed.put_bytes

    @property
    def times(self) -> dict[str, datetime]:
        """The earliest thisUpdate, nextUpdate and refresh_by of all windows, by their names."""
        return self.ground.times

    @property
    def left_behind(self) -> tuple[LeftBehind, ...]:
        """Issuers that cannot sign what would have changed, and how many certificates that is of each."""
        return unsigned_of(self.ground, self.resolved)


def change(
    config: Config,
    order: Order,
    mentions: Sequence[Mention],
    options: ChangeOptions,
    progress: Progress,
    read_input: Callable[[], str],
) -> Changed:
    """Revoke certificates, hold them, or release them.

    Raises:
        PregenError, StorageError, OSError: nothing was published; see their exit codes.
    """
    named = read_mentions(config, mentions, read_input)
    ground = take_ground(config, named.sections, options.now or clock.now(), options.engine, options.workers)
    check_reasons(order, named, ground.issuers)
    order.revoked_at(ground.started)  # which may be refused

    def judge(ground: Ground, resolved: Sequence[Resolved]) -> Judgement:
        refuse_impossible(order.kind, ground.issuers, resolved)
        return Judgement(warnings=ground.warnings + ends_early(ground, "warning"))

    with place_of(ground, len(named.section)) as place:
        files = place.routed(order.batches(named, ground.started))
        rules = Rules(kind=order.kind, says_when=order.at is not None)
        return conduct(ground, place, files, rules, judge, options, progress)


def conduct(
    ground: Ground,
    place: Place,
    files: Sequence[ShardFile],
    rules: Rules,
    judge: JudgeOfChanges,
    options: ChangeOptions,
    progress: Progress,
) -> Changed:
    """Hold rows against the head, sign what changes, and commit it; again where another publisher was faster.

    Raises:
        PregenError, StorageError, OSError: nothing was published.
        CommitRefusedError: others were faster, again and again.
    """
    with ExitStack() as working:
        overlay, terms = None, Terms(kind=rules.kind, author=options.author)
        for attempt in range(_ATTEMPTS):
            if overlay is None:
                resolved = place.resolved(ground, files, rules)
                judgement = judge(ground, resolved)
                of_issuers = check_elsewhere(ground, resolved) + without_unsigned(ground, resolved)
                judgement = replace(judgement, warnings=judgement.warnings + of_issuers)
                landing = [one for one in regrouped(resolved, place.most_rows) if one.file.rows]
                if options.is_dry or not landing:
                    landed = None
                    break
                if not attempt:
                    _begin_to_write(ground, working)
                overlay = sign_overlay(ground, rules.kind, landing, place.pool, progress)
                left = unsigned_of(ground, resolved)
                terms = replace(terms, gates=gates_document(judgement.gates), left_behind=left)
            try:
                landed = land(ground, overlay, terms)
                break
            except CommitRefusedError as refused:
                if attempt == _ATTEMPTS - 1:
                    raise
                before, ground = ground, overtaken(ground, refused)
                if not still_holds(overlay, before, ground):
                    overlay = None
    return Changed(
        kind=rules.kind,
        ground=ground,
        resolved=tuple(resolved),
        judgement=judgement,
        overlay=overlay,
        landed=landed,
        is_dry=options.is_dry,
    )


def _begin_to_write(ground: Ground, working: ExitStack) -> None:
    """Probe the store, unless a publisher saw lately that its conditional writes are atomic, and mark who is at work.

    No cleaning takes what is put from now on for what a dead publisher has left.
    """
    now = clock.seconds(clock.now())
    probed_lately(ground.store, ground.current.manifest.probed_at, now)
    working.enter_context(at_work(ground.store, now))
