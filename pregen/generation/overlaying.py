"""What stays in overlays is signed, stored and read back as shards are, and becomes the one overlay of a generation."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pregen.errors import GateError, PublishError, VerificationError, explained
from pregen.generation.making.shard import ShardSigner, SignedShard, SigningJob, SignTask
from pregen.generation.rows.truth import Staying, staying_between
from pregen.generation.work.workers import Pool
from pregen.overlays import Entries
from pregen.overlays.records import overlay_columns
from storage.overlay_part import OverlayPart, encode_overlay_part
from storage.sealed import SEALED_ID_BYTES


@dataclass(frozen=True, slots=True)
class StayingTask:
    """One pack of an overlay to sign: its rows, and the same as entries."""

    sign: SignTask
    entries: Entries

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"overlay, {self.sign.label}"


@dataclass(frozen=True, slots=True)
class StayingPack:
    """A pack of an overlay that is stored and read back, and what is remembered of it."""

    signed: SignedShard
    part: OverlayPart


class StayingSigner:
    """Signs packs of an overlay in one worker process."""

    def __init__(self, job: SigningJob) -> None:
        self._store = job.open_store()
        self._signer = ShardSigner(job)

    def __call__(self, task: StayingTask) -> StayingPack:
        """Sign, store and read back one pack, and put what is remembered of it.

        Raises:
            GateError: an issuer that is left behind has said so, and its records cannot be kept.
            SigningError: an engine could not sign.
            VerificationError: what was stored is not what was meant.
            PublishError: the store did not take it, or did not return it.
        """
        signed, entries = self._signer(task.sign), task.entries
        if signed.left_out.groups:
            count = sum(signed.left_out.groups.values())
            raise GateError(
                f"{task.label}: {count:,} urgent changes of issuers that are left behind "
                "cannot be kept, since no record of theirs can be carried over; nothing was published: mend what keeps "
                "these issuers from signing"
            )
        if signed.shard.rows != len(entries):
            raise VerificationError(
                f"{task.label}: {signed.shard.rows:,} certificates were read back where {len(entries):,} belong: "
                "nothing was published; please report this"
            )
        shard = replace(signed.shard, as_of=int(entries.as_of.min()))
        part, octets = encode_overlay_part(os.urandom(SEALED_ID_BYTES), shard.pack, overlay_columns(entries))
        try:
            self._store.put(part.name, octets)
        except OSError as e:
            raise PublishError(f"{task.label}: {explained(e)}; nothing was published") from e
        return StayingPack(replace(signed, shard=shard), part)


def sign_staying(
    job: SigningJob, tasks: Sequence[SignTask], staying: Sequence[Staying], pool: Pool
) -> list[StayingPack]:
    """Return the packs of what stays, in the order of their keys.

    Args:
        job: as of the shards.
        tasks: one for each range of keys.
        staying: the parts of what stays.
        pool: who signs.

    Raises:
        SigningError, VerificationError, PublishError, WorkerError: nothing was published.
    """
    waiting = (StayingTask(one, staying_between(staying, one.file.low, one.file.high).entries) for one in tasks)
    packs = list(pool.map(StayingSigner, replace(job, remembers=False), waiting)) if tasks else []
    return sorted(packs, key=lambda one: one.signed.number)
