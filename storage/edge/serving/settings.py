"""What an operator can set of how the edge answers, in one record that goes from the command line to each worker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from storage.edge.caching import MAX_AGE_CAP_S
from storage.edge.following.refresh import PERIOD_S
from storage.edge.logs.addresses import WHOLE_ADDRESSES, ClientLogging
from storage.edge.source import STORE_DEADLINE_S
from storage.edge.watching.canary import Canary
from storage.edge.watching.readiness import State

BODY_S: Final = 10.0
"""A client that takes longer over a body is cut off."""

KEPT_REPLIES: Final = 10_000
"""Some 20 MiB a worker; those who ask mostly ask for few certificates."""

UNIX_MODE: Final = 0o660
"""Who may connect to a Unix socket: its user and its group, which is that of the proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the edge answers.

    Attributes:
        max_age_cap_s: for how long caches may keep an answer at most; 0 to a day.
        store_deadline_s: how long a request waits for the store before it gets ``tryLater``.
        unready_when_degraded: whether ``/readyz`` fails as soon as anything is not as it should be.
        refresh_s: time between looks for a new generation.
        body_s: how long a client may take to send a body.
        kept_replies: how many replies a worker keeps for who asks the same again.
        max_age_s: an as_of that is longer ago is too old; None: none is.
        canaries: certificates whose status is known.
        metrics: address at which Prometheus gets what the workers count; None: none.
        agent_port: port at which HAProxy's agent-check asks; None: none.
        log_sample: one of so many good answers is logged.
        clients: how clients are logged.
        counts_folder: where workers keep what they count; None: nobody reads it.
        unix: a Unix socket to listen at instead of an address and a port.
        unix_mode: who may connect to it, as permissions of a file.
    """

    max_age_cap_s: int = MAX_AGE_CAP_S
    store_deadline_s: float = STORE_DEADLINE_S
    unready_when_degraded: bool = False
    refresh_s: float = PERIOD_S
    body_s: float = BODY_S
    kept_replies: int = KEPT_REPLIES
    max_age_s: int | None = None
    canaries: tuple[Canary, ...] = ()
    metrics: str | None = None
    agent_port: int | None = None
    log_sample: int = 1
    clients: ClientLogging = WHOLE_ADDRESSES
    counts_folder: Path | None = None
    unix: Path | None = None
    unix_mode: int = UNIX_MODE

    @property
    def unready_states(self) -> frozenset[State]:
        """The states in which no request may come."""
        return frozenset({State.UNREADY, State.DEGRADED} if self.unready_when_degraded else {State.UNREADY})


DEFAULT: Final = Settings()
