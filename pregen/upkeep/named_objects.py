"""What commits name: all that must be there for them to be served, and for the next run to go on from them."""

from typing import NamedTuple

from storage.commits import Commit
from storage.document import Document
from storage.errors import FormatError
from storage.history import read_index
from storage.manifest import Manifest, read_manifest
from storage.stores import ReadableStore
from storage.tables_document import TABLE_NAME
from storage.windows import WINDOWS_NAME


def named_directly(commit: Commit, manifest: Manifest) -> frozenset[str]:
    """Return what a commit and its manifest name, without what that names in its turn."""
    names = {commit.manifest, *(one.pack for one in manifest.searched), *(one.windows for one in manifest.searched)}
    others = commit.removals, manifest.history, manifest.overlay_keys
    return frozenset(names | {name for name in others if name is not None})


class Readable(NamedTuple):
    """What a commit names as far as that can be read, and why not all of it can be; empty: all can."""

    names: frozenset[str]
    damage: str = ""


class Naming:
    """Tells what commits name; what several of them name is read once. Threads may share it."""

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._named_by: dict[str, frozenset[str]] = {}  # windows and histories

    def of(self, commit: Commit) -> frozenset[str]:
        """Return all that a commit names.

        Raises:
            FileNotFoundError: a manifest, windows or an index of a history was removed.
            FormatError: one is damaged.
            OSError: the store does not answer.
        """
        manifest = read_manifest(self._store, commit.manifest)
        direct = named_directly(commit, manifest)
        windows = {one.windows for one in manifest.searched if WINDOWS_NAME.fullmatch(one.windows)}
        further = [self._of_windows(name) for name in windows]
        if manifest.history is not None:
            further.append(self._of_history(manifest.history))
        return direct.union(*further)

    def as_far_as_readable(self, commit: Commit) -> Readable:
        """Return what a commit names as far as its documents are there; one that was removed names nothing.

        Raises:
            OSError: the store does not answer.
        """
        try:
            return Readable(self.of(commit))
        except FileNotFoundError:
            return Readable(self._direct(commit))
        except FormatError as e:
            return Readable(self._direct(commit), str(e))

    def _direct(self, commit: Commit) -> frozenset[str]:
        try:
            return named_directly(commit, read_manifest(self._store, commit.manifest))
        except (FileNotFoundError, FormatError):
            return frozenset()

    def _of_windows(self, name: str) -> frozenset[str]:
        if name not in self._named_by:
            document = Document.parse(name, self._store.get(name))
            self._named_by[name] = frozenset({document.object_name("tables", TABLE_NAME)})
        return self._named_by[name]

    def _of_history(self, name: str) -> frozenset[str]:
        if name not in self._named_by:
            index = read_index(self._store, name)
            parts = {part.name for some in (index.parts, index.overlays, index.ended) for part in some}
            self._named_by[name] = frozenset(parts)
        return self._named_by[name]
