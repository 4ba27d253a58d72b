"""What was noted while the parts of files were read, added up by file in the order of the rows.

Some sums are of the first rows alone, or keep what is common so far; so parts are not added up as they come, but one
after the other, and those that come early wait.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pregen.snapshot.column import Column
from pregen.snapshot.reading import Reading


class Readings:
    """The readings of a snapshot."""

    def __init__(self, columns: Mapping[str, Column], parts: Sequence[int]) -> None:
        """Nothing is read yet.

        Args:
            columns: where each canonical column comes from.
            parts: how many each file has.
        """
        self._columns = columns
        self._parts = parts
        self._by_file: dict[int, Reading] = {}
        self._added: dict[int, int] = {}  # parts of each file
        self._waiting: dict[tuple[int, int], Reading] = {}

    @contextmanager
    def noting(self, file: int, part: int, reading: Reading) -> Iterator[None]:
        """Count a part of a file while it is read; afterwards it is added to the parts before it."""
        self._waiting[file, part] = reading
        try:
            yield
        finally:
            self._add_up(file)

    def _add_up(self, file: int) -> None:
        while (one := self._waiting.pop((file, self._added.get(file, 0)), None)) is not None:
            self._added[file] = self._added.get(file, 0) + 1
            if file in self._by_file:
                self._by_file[file].add(one)
            else:
                self._by_file[file] = one
            if self._added[file] == self._parts[file]:
                self._by_file[file].judge_habits(self._columns)

    @property
    def rows_in(self) -> int:
        """How many rows are read so far."""
        return sum(reading.rows_in for some in (self._by_file, self._waiting) for reading in some.values())

    def by_file(self) -> list[tuple[int, Reading]]:
        """Return what was noted of each file so far, in their order."""
        return sorted(self._by_file.items(), key=lambda item: item[0])

    def values(self) -> list[Reading]:
        """Return the same without the numbers of the files."""
        return [reading for _, reading in self.by_file()]
