"""Files of the request log as blocks of whole lines, whatever packs them: gzip, Zstandard or nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import pyarrow as pa
import xxhash

BLOCK_BYTES: Final = 4 << 20
_PACKED_BYTES = 1 << 13  # taken at once of what is packed: so much is lost where it is broken off
_SHOWN_BYTES = 200
_Compression: TypeAlias = Literal["gzip", "zstd"]
_MAGIC: dict[bytes, _Compression] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
}  # RFC 1952, 2.3.1; RFC 8878, 3.1.1


class _Unpacked(Protocol):
    def read(self, size: int, /) -> bytes: ...


class LineBlock(NamedTuple):
    """Whole lines of a file, each with its end, and the number of the first one, from 1 on."""

    octets: bytes
    first_line: int


class LogFile:
    """One file of a log, read once.

    What a file is packed with is told by its first octets, for logrotate names it as it likes.

    Attributes:
        path: of the file.
        lines: how many have been read.
        taken_bytes: octets of the file that were taken for them, packed as they are.
        broken_off: why the file could not be read to its end; None: it could.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.taken_bytes = 0
        self.broken_off: str | None = None
        self._digest = xxhash.xxh3_128()

    @property
    def digest(self) -> str:
        """What tells the unpacked content, as far as it has been read, from that of other files."""
        return self._digest.hexdigest()

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[LineBlock]:
        """Yield all lines; of one that is longer than a block, the beginning.

        Raises:
            OSError: the file cannot be opened.
        """
        rest, is_too_long = b"", False
        for octets in self._octets(block_bytes):
            self._digest.update(octets)
            begin, cut = 0, octets.rfind(b"\n") + 1
            if is_too_long:
                if not cut:
                    continue
                begin, is_too_long = octets.index(b"\n") + 1, False
            if cut > begin:
                yield self._block(rest + octets[begin:cut])
                rest = b""
            rest += octets[max(begin, cut) :]
            if len(rest) >= block_bytes:
                yield self._block(rest[:_SHOWN_BYTES] + b"...\n")
                rest, is_too_long = b"", True
        if rest:
            yield self._block(rest + b"\n")

    def _block(self, octets: bytes) -> LineBlock:
        block = LineBlock(octets, self.lines + 1)
        self.lines += octets.count(b"\n")
        return block

    def _octets(self, block_bytes: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            magic = file.peek(4)[:4]
            kind = next((kind for begins, kind in _MAGIC.items() if magic.startswith(begins)), None)
            if kind is None:
                while octets := file.read(block_bytes):
                    self.taken_bytes += len(octets)
                    yield octets
                return
            with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), kind) as unpacked:
                for octets in self._unpacked(unpacked, block_bytes):
                    self.taken_bytes = file.tell()
                    yield octets

    def _unpacked(self, unpacked: _Unpacked, block_bytes: int) -> Iterator[bytes]:
        """Yield what a packed file holds, up to where it is broken off."""
        size, parts = 0, list[bytes]()
        while True:
            try:
                octets = unpacked.read(_PACKED_BYTES)
            except (OSError, pa.ArrowException) as error:
                self.broken_off = str(error)
                octets = b""
            parts.append(octets)
            size += len(octets)
            if not octets or size >= block_bytes:
                if size:
                    yield b"".join(parts)
                size, parts = 0, []
            if not octets:
                return
