"""What signs, for whom, and where it goes: the means of whatever publishes, be it a run or an urgent change."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from pregen.config import Config
from pregen.errors import Finding
from pregen.gates.author import Author
from pregen.generation.rows.endings import Endings
from pregen.issuers import Issuer
from pregen.signers import ALGORITHMS, Choice, KeyUse
from pregen.validity import ValidityWindow
from storage.manifest import LeftBehind
from storage.stores import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningOptions:
    """What the command line says to whatever signs; it wins over the configuration.

    Attributes:
        now: sign as if it were this instant.
        engine: that signs.
        workers: how many processes may work at once.
        author: who is behind it, and what for; None: nobody says.
    """

    now: datetime | None = None
    engine: str | None = None
    workers: int | None = None
    author: Author | None = None

    def shared(self) -> dict[str, Any]:
        """Return these by name: for the options of another that signs, which has more of its own."""
        return {one.name: getattr(self, one.name) for one in fields(SigningOptions)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What was looked at, and found right, before anything is signed.

    Attributes:
        config: of the CA.
        issuers: those that it has to do with, and their further names. Those that cannot sign are among them, as the
            current generation has them.
        windows: one for each of them; of those that cannot sign, one that no answer gets.
        choices: the engines that sign.
        workers: how many processes may work at once.
        open_store: opens the store, in whichever process calls it.
        store: opened here.
        started: when it began, or when ``--now`` says that it did.
        left_behind: those of the issuers that cannot sign.
        warnings: so far.
        cluster: address of the scheduler whose workers do the work; None: this machine does it.
        engine_may_differ: whether a worker of another machine that cannot have these engines takes others.
    """

    config: Config
    issuers: tuple[Issuer, ...]
    windows: tuple[ValidityWindow, ...]
    choices: dict[KeyUse, Choice]
    workers: int
    open_store: Callable[[], Store]
    store: Store
    started: datetime
    left_behind: tuple[LeftBehind, ...]
    warnings: tuple[Finding, ...]
    cluster: str | None = None
    engine_may_differ: bool = False

    def shared(self) -> dict[str, Any]:
        """Return the fields of all that has means, by name: for another that has the same, and more of its own."""
        return {one.name: getattr(self, one.name) for one in fields(Means)}

    @property
    def engine_of(self) -> dict[KeyUse, str]:
        """The name of the engine that signs with each key."""
        return {use: choice.engine for use, choice in self.choices.items()}

    @property
    def engines(self) -> dict[str, str]:
        """Names of the engines that sign, by algorithm."""
        names: dict[str, set[str]] = {}
        for use, choice in self.choices.items():
            names.setdefault(use.algorithm, set()).add(choice.engine)
        return {algorithm: ", ".join(sorted(names[algorithm])) for algorithm in sorted(names)}

    @property
    def rates(self) -> dict[str, dict[str, float]]:
        """Signatures a second that engines were chosen by, by algorithm and engine; without those that were named."""
        rates: dict[str, dict[str, float]] = {}
        for use, choice in sorted(self.choices.items(), key=lambda one: one[0].algorithm):
            if choice.rates:
                rates.setdefault(use.algorithm, {}).update(choice.rates)
        return rates

    @property
    def endings(self) -> Endings | None:
        """Which certificates get a window that ends with them; None: none do."""
        return Endings.of([issuer.validity for issuer in self.issuers], self.windows)

    @property
    def able(self) -> list[tuple[Issuer, ValidityWindow]]:
        """The issuers that can sign, and the window of each."""
        return [one for one in zip(self.issuers, self.windows, strict=True) if not one[0].trouble]

    @property
    def public_windows(self) -> tuple[ValidityWindow, ...]:
        """Windows of the issuers under public profiles; none: all are under `lab`."""
        return tuple(window for issuer, window in self.able if issuer.validity.profile.is_public)

    @property
    def times(self) -> dict[str, datetime]:
        """The earliest thisUpdate, nextUpdate and refresh_by of all windows, by their names."""
        names = ("this_update", "next_update", "refresh_by")
        return {name: min(getattr(window, name) for _, window in self.able) for name in names}

    @property
    def profiles(self) -> str:
        """Names of the profiles that windows were checked against, in the order of the issuers."""
        return ", ".join(dict.fromkeys(issuer.validity.profile.name for issuer, _ in self.able))


def choose_engines(issuers: tuple[Issuer, ...], wanted: str) -> dict[KeyUse, Choice]:
    """Return the engine of each key that the issuers use, after it has opened it."""
    uses = dict.fromkeys(issuer.responder.use for issuer in issuers if not issuer.trouble)
    return {use: use.source.choose(wanted, ALGORITHMS[use.algorithm]) for use in uses}


def worker_count(config: Config, wanted: int | None) -> int:
    """Return how many processes may work at once: as the command line says, or the configuration, or the CPUs."""
    return (config.run.workers if wanted is None else wanted) or len(os.sched_getaffinity(0))
