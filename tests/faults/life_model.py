"""A store as a plain dict: what each command makes of it, by the rules of docs/urgent.md and docs/gates.md alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

GOOD, REVOKED, HELD, UNKNOWN = "good", "revoked", "on hold", "unknown"
RUN, DELTA, REVOKE, HOLD = "run", "delta", "revoke", "hold"
WEIGHT = {GOOD: 0, UNKNOWN: 1, REVOKED: 2, HELD: 2}  # whoever cannot sign keeps what says no less
NO_REASON, KEY_COMPROMISE, SUPERSEDED, ON_HOLD = -1, 1, 4, 6


class Said(NamedTuple):
    """What is said of a certificate, for which instant, and by whom; a release is said by `hold` too."""

    status: str
    at: int = 0
    reason: int = NO_REASON
    as_of: int = 0
    origin: str = RUN

    @property
    def is_final(self) -> bool:
        return self.status == REVOKED

    @property
    def shown(self) -> tuple[str, int]:
        """What a client sees of it."""
        return self.status, self.reason


Rows = Mapping[int, Said]


class Refused(Exception):  # noqa: N818 - what a command does, and no error of a test
    """A command changes nothing."""


@dataclass
class Model:
    """Certificates in shards and in overlays, by serial; the newest overlay of each."""

    shards: dict[int, Said] = field(default_factory=dict)
    overlays: dict[int, Said] = field(default_factory=dict)

    def says(self, serial: int) -> Said | None:
        return self.overlays.get(serial) or self.shards.get(serial)

    @property
    def shown(self) -> dict[int, tuple[str, int]]:
        """What clients see of all certificates."""
        return {serial: said.shown for serial, said in sorted((self.shards | self.overlays).items())}

    def run(self, rows: Rows, *, accepts: bool = False) -> "Model":
        """Return the store after a run, which has heard the overlays that are there.

        Raises:
            Refused: it would take a final revocation back.
        """
        after = Model()
        for serial, row in rows.items():
            entry = self.overlays.get(serial)
            truth, is_confirmed = (row, True) if entry is None else true_of(entry, row)
            after.shards[serial] = truth._replace(as_of=row.as_of, origin=RUN)
            if entry is not None and not is_confirmed:
                after.overlays[serial] = truth._replace(as_of=entry.as_of, origin=entry.origin)
        after.overlays |= {serial: entry for serial, entry in self.overlays.items() if serial not in rows}
        if not accepts:  # what a snapshot lacks and the limit covers stays revoked
            lost = {serial: said for serial, said in self.shards.items() if said.is_final}
            after.overlays = {s: said for s, said in lost.items() if s not in {*rows, *self.overlays}} | after.overlays
        for serial, (status, _) in self.shown.items():
            if status == REVOKED and not accepts and after.shown.get(serial, ("gone", 0))[0] != REVOKED:
                raise Refused
        return after

    def left_behind(self, rows: Rows, able: Collection[int]) -> "Model":
        """Return the store after a run that can sign for some serials alone, and carries the others over.

        Raises:
            Refused: it would take a final revocation back.
        """
        after = self.run(rows)
        for serial, row in list(after.shards.items()):
            record = self.says(serial)
            if serial in able:
                continue
            if record is None or WEIGHT[record.status] < WEIGHT[row.status]:
                del after.shards[serial]
            else:
                after.shards[serial] = record._replace(as_of=row.as_of, origin=RUN)
        after.overlays |= {one: self.overlays[one] for one in after.overlays if one in self.overlays}
        return after

    def overtaken(self, after: "Model", rows: Rows, news: Rows) -> None:
        """Be what a run has made of this, given what landed on it meanwhile."""
        mine = dict(after.overlays)
        for serial, new in news.items():
            row = after.shards.get(serial)
            is_heard = serial in mine and not (serial in rows and rows[serial].is_final)
            if new.is_final or row is None or is_heard or not true_of(new, row)[1]:
                mine[serial] = new
        self.shards, self.overlays = dict(after.shards), mine

    def delta(self, rows: Rows, *, accepts: bool = False) -> dict[int, Said]:
        """Return what lands of a delta.

        Raises:
            Refused: it would take back a final revocation that a snapshot has confirmed.
        """
        lands = {}
        for serial, row in rows.items():
            old = self.says(serial)
            if old is None:
                lands[serial] = row
            elif old.is_final and not row.is_final:
                if accepts:
                    lands[serial] = row
                elif old.origin not in {DELTA, REVOKE}:
                    raise Refused
            elif (now := self._changed(old, row)) is not None:
                lands[serial] = now
        return lands

    @staticmethod
    def _changed(old: Said, row: Said) -> Said | None:
        if old.is_final and old.reason == KEY_COMPROMISE:
            row = row._replace(reason=KEY_COMPROMISE)
        if old.status == HELD and old.origin == HOLD and row.status not in {HELD, REVOKED}:
            return None
        if old[:3] == row[:3] or (row.as_of < old.as_of and not row.is_final):
            return None
        return row

    def revoke(self, serial: int, reason: int, now: int) -> dict[int, Said]:
        """Return what lands of a revocation."""
        if (old := self.says(serial)) is None:
            raise Refused
        if not old.is_final:
            return {serial: Said(REVOKED, now, reason, max(now, old.as_of), REVOKE)}
        if reason == KEY_COMPROMISE and old.reason != KEY_COMPROMISE:
            return {serial: Said(REVOKED, old.at, reason, max(now, old.as_of), REVOKE)}
        return {}

    def hold(self, serial: int, now: int) -> dict[int, Said]:
        """Return what lands of a hold."""
        if (old := self.says(serial)) is None or old.is_final:
            raise Refused
        return {} if old.status == HELD else {serial: Said(HELD, now, ON_HOLD, max(now, old.as_of), HOLD)}

    def release(self, serial: int, now: int) -> dict[int, Said]:
        """Return what lands of a release."""
        if (old := self.says(serial)) is None or old.is_final:
            raise Refused
        return {serial: Said(GOOD, 0, NO_REASON, max(now, old.as_of), HOLD)} if old.status == HELD else {}


def taken_back(
    head: Model, target: Model, between: Sequence[Model], *, unrevoke: bool = False, shrink: bool = False
) -> Model:
    """Return the store after a rollback from `head` to `target`.

    Args:
        head: the newest generation.
        target: which one is gone back to.
        between: later generations, the newest first.
        unrevoke: whether what runs have revoked is left to the target.
        shrink: whether what it lacks is left out.
    """
    after = Model(dict(target.shards), dict(target.overlays))
    asked: set[int] = set()
    for number, later in enumerate((head, *between)):
        for serial in later.shown.keys() - asked:
            said, was = later.says(serial), target.says(serial)
            assert said is not None
            if was is None:
                is_bad = said.status in {REVOKED, HELD}
                is_copied = is_bad or number == 0
                is_left = shrink and (said.origin == RUN or not is_bad) and (unrevoke or not said.is_final)
            elif said.status == REVOKED:
                is_copied = not (was.is_final and was.reason == KEY_COMPROMISE != said.reason)
            else:
                is_copied = said.status == HELD and not was.is_final
            if was is not None:
                is_left = unrevoke and said.origin == RUN and not (was.is_final and said.is_final)
            if is_copied and not is_left and (was is None or said[:3] != was[:3]):
                after.overlays[serial] = said
        asked |= later.shown.keys()
    return after


def true_of(entry: Said, row: Said) -> tuple[Said, bool]:
    """Return what is true where an overlay and a row of a snapshot speak, and whether the row knows all of it."""
    if entry.is_final and row.is_final:
        if entry.reason == KEY_COMPROMISE != row.reason:
            return row._replace(reason=KEY_COMPROMISE), False
        return row, True
    if entry.is_final:
        return entry, False
    if row.is_final:
        return row, True
    is_unconfirmed = entry.status == HELD and entry.origin == HOLD and row.status != HELD
    return (entry, False) if is_unconfirmed or row.as_of < entry.as_of else (row, True)
