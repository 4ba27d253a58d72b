"""What was revoked under one name or key of a CA, and would be good again under another by a rollback.

A serial number is unique for a CA (RFC 5280, 4.1.2.2), and a client may ask by any name and key that the CA has had. An
earlier generation may answer under one that has no such answer any more, since it was dropped or left behind. What was
revoked meanwhile under those that stayed is then good to some again, and nothing can be copied under this one.

Of what is revoked only the keys are remembered that it would have under the other names and keys, 8 octets each; where
the later generation has revoked them too, as usual, nothing is read again. What is left is compared by its serial. That
one of a million is overlooked, since its key is also that of another of a million, has odds of one to ten million.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import RememberedStatus
from pregen.identities import identity_of
from pregen.names import name_key
from pregen.overlays.entries import NO_ENTRIES, Entries, Origin, concatenated, newest, paired, under, without
from pregen.snapshot.rows import Mask
from pregen.upkeep.comparing import Compared
from pregen.upkeep.views import Viewer
from storage.certid import HASH_OIDS
from storage.reader import Generation
from storage.tables import StoredIssuer

_HASH = HASH_OIDS["sha256"]
_BAD = (RememberedStatus.REVOKED, RememberedStatus.ON_HOLD)


class FurtherKeys:
    """Finds, range after range, what an earlier generation says is good, and later ones under another name or key not.

    Args:
        target: the generation that is gone back to.
        later: the newest, and then those between, the newest first.
    """

    def __init__(self, target: Viewer, later: Sequence[Viewer]) -> None:
        self._between = tuple(later[1:])
        self._wanted: list[NDArray[np.uint64]] = []
        self._settled: list[NDArray[np.uint64]] = []
        self._labels: dict[int, str] = {}
        self._others: dict[int, tuple[int, ...]] = {}
        self._left = NO_ENTRIES
        self.look_at(target, later[0])

    @property
    def has_any(self) -> bool:
        """Whether the earlier generation answers under further names and keys of a CA at all."""
        return bool(self._others)

    def look_at(self, target: Viewer, newest: Viewer) -> None:
        """Compare these from now on: the earlier generation with what was copied, and a head that overtook another."""
        self._target, self._newest = target, newest
        answered = _issuers_of(target.generation)
        self._labels = {number: one.label for number, one in answered.items()}
        issuers: dict[int, StoredIssuer] = {}
        for viewer in (newest, *self._between):
            issuers = _issuers_of(viewer.generation) | issuers
        self._others = others_of(issuers, answered)

    def label(self, issuer_id: int) -> str:
        """Return what messages call a name and key of the earlier generation."""
        return self._labels[issuer_id]

    def add(self, compared: Compared) -> None:
        """Remember what is revoked or on hold in one range."""
        watched = np.fromiter({one for others in self._others.values() for one in others}, np.uint64)
        for one in compared.copied:
            entries = one.view.entries
            bad = entries.take(_is_bad(entries))
            self._settled.append(bad.keys[np.isin(bad.issuers, watched)])
            for issuer_id in np.unique(bad.issuers).tolist():
                own = bad.of_issuers([issuer_id])
                self._wanted += [under(own, other).keys for other in self._others.get(issuer_id, ())]

    def freed(self) -> Entries:
        """Return what would be good again, once all ranges were added: as it was revoked, under the name and key that.

        Of what several names and keys have revoked, the words that no run has confirmed come first.

        Raises:
            FileNotFoundError, FormatError: a part of a generation is missing or damaged.
            OSError: the store does not answer.
        """
        nothing = [np.empty(0, np.uint64)]
        keys = np.setdiff1d(np.concatenate(nothing + self._wanted), np.concatenate(nothing + self._settled))
        if not len(keys):
            return NO_ENTRIES
        watched = {one for others in self._others.values() for one in others}
        good = concatenated(_good(self._target, keys, watched))
        good = without(good, _said_of(self._newest, good))  # what it says itself is not the rollback's doing
        found: list[Entries] = []
        for later, others in self._others.items():
            for own in others:
                found += [under(one, own) for one in self._revoked(under(good.of_issuers([own]), later))]
        urgent = [one.take(one.origin != Origin.RUN) for one in found]
        return newest([*urgent, *found])

    def leave(self, freed: Entries) -> Entries:
        """Leave some of it to the earlier generation; return what was not left to it already."""
        more = without(freed, self._left)
        self._left = newest([self._left, more])
        return more

    def _revoked(self, asked: Entries) -> Iterator[Entries]:
        """Yield which certificates the last generation that had them says are revoked or on hold."""
        for viewer in (self._newest, *self._between):
            said = _said_of(viewer, asked)
            yield said.take(_is_bad(said))
            asked = without(asked, said)


def others_of(later: dict[int, StoredIssuer], answered: dict[int, StoredIssuer]) -> dict[int, tuple[int, ...]]:
    """Return, by the id of each issuer of later generations, which of those answered for are the same CA otherwise."""
    alike: dict[object, list[int]] = {}  # so that of a thousand issuers each is compared with few
    of_answered = {number: _traits(one) for number, one in answered.items()}
    for number, traits in of_answered.items():
        for trait in traits[0] | traits[1]:
            alike.setdefault(trait, []).append(number)
    found = {}
    for number, issuer in later.items():
        traits = _traits(issuer)
        some = {other for trait in traits[0] | traits[1] for other in alike.get(trait, ()) if other != number}
        if others := sorted(other for other in some if _is_one_ca(traits, of_answered[other])):
            found[number] = tuple(others)
    return found


def _traits(issuer: StoredIssuer) -> tuple[frozenset[object], frozenset[object]]:
    """Return what an issuer shares with others of its CA: its names, and what it is called."""
    names: set[object] = set()
    for der in issuer.certificates:
        try:
            names.add(name_key(identity_of(der).subject))
        except ValueError:
            continue
    return frozenset(names), frozenset({*issuer.names, issuer.name_hashes[_HASH]})


def _is_one_ca(
    one: tuple[frozenset[object], frozenset[object]], other: tuple[frozenset[object], frozenset[object]]
) -> bool:
    """Whether both have one name, in whatever encoding; without certificates, what they are called counts."""
    at = 0 if one[0] and other[0] else 1
    return not one[at].isdisjoint(other[at])


def _issuers_of(generation: Generation) -> dict[int, StoredIssuer]:
    return {one.issuer_id: one for loaded in generation.tables.values() for one in loaded.tables.issuers}


def _is_bad(entries: Entries) -> Mask:
    found: Mask = np.isin(entries.status, _BAD)
    return found


def _good(target: Viewer, keys: NDArray[np.uint64], issuers: set[int]) -> Iterator[Entries]:
    """Yield what an earlier generation says is good, of some keys and issuers."""
    for low, high in _ranges(target, keys):
        entries = target.view(low, high).entries.of_issuers(issuers)
        yield entries.take(np.isin(entries.keys, keys) & (entries.status == RememberedStatus.GOOD))


def _said_of(viewer: Viewer, asked: Entries) -> Entries:
    """Return what a generation says of some certificates, those that it has."""
    said = [NO_ENTRIES]
    for low, high in _ranges(viewer, asked.keys):
        entries = viewer.view(low, high).entries
        said.append(entries.take(np.sort(paired(entries, asked)[0])))
    return concatenated(said)


def _ranges(viewer: Viewer, keys: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a generation's shards in which some keys lie, which ascend."""
    shards = viewer.generation.manifest.shards
    bounds = [*(shard.low for shard in shards), *(shard.high for shard in shards[-1:])]
    at = np.searchsorted(keys >> np.uint64(32), np.array(bounds, np.uint64))
    yield from (span for span, (start, end) in zip(pairwise(bounds), pairwise(at.tolist()), strict=True) if start < end)
