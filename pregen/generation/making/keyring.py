"""The signers of a worker: keys are opened where their shards are signed."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from pregen.generation.making.plan import Plan
from pregen.issuers import Issuer
from pregen.signers import KeySource, KeyUse, Signer

OpenSigner = Callable[[str, str, Sequence[KeySource]], Signer]


class KeyRing:
    """Which signer signs which run, and with which of its keys.

    Keys of one keeper, engine and algorithm are one signer, so that rows of many issuers share a batch. Issuers of one
    algorithm may have several signers, where their keys are not of one keeper or have other engines.

    Attributes:
        signer_of: intp[runs], the index of its signer in `signers`; of a run that is carried over it says nothing.
        key_of: intp[runs], the index of its key among those of its signer.
        signers: opened in this process.
    """

    def __init__(
        self, plan: Plan, issuers: Sequence[Issuer], engines: Mapping[KeyUse, str], open_signer: OpenSigner
    ) -> None:
        """Open the keys that the runs of a plan need.

        Args:
            plan: what is signed.
            issuers: as configured.
            engines: the name of the engine that signs, of each use of a key.
            open_signer: returns a signer, given algorithm, engine and keys.
        """
        self.signer_of = np.zeros(len(plan.tables.runs), np.intp)
        self.key_of = np.zeros(len(plan.tables.runs), np.intp)
        rings: dict[tuple[str, str, Hashable], dict[KeySource, int]] = {}
        for group, run in plan.runs.items():
            use = issuers[group.issuer].responder.use
            kind = use.algorithm, engines[use], use.source.keeper
            ring = rings.setdefault(kind, {})
            self.signer_of[run] = list(rings).index(kind)
            self.key_of[run] = ring.setdefault(use.source, len(ring))
        self.signers = [open_signer(algorithm, engine, list(ring)) for (algorithm, engine, _), ring in rings.items()]
