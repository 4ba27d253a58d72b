"""What became of the work of a cluster, for reports."""

from dataclasses import dataclass, field

from pregen.errors import Finding


@dataclass(slots=True)
class ClusterFigures:
    """What became of a cluster's work.

    Attributes:
        workers, threads: how many there were at the start.
        retried: tasks that were done again, or elsewhere, since a worker died or hung.
        warnings: of workers that did.
    """

    workers: int = 0
    threads: int = 0
    retried: int = 0
    warnings: list[Finding] = field(default_factory=list)
