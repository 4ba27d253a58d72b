"""All lines of several files, parsed by as many threads as there are CPUs, in the order of the files.

So much is known of a file when it has been read: how many lines it has, which are broken, and what its workers have
counted. Only some blocks are in memory at a time, however large the files are.
"""

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pyarrow as pa

from pregen.errors import MAX_EXAMPLES, Finding, InputError
from pregen.logs.log_files import LineBlock, LogFile
from pregen.logs.parsing import BrokenLine, Parsed, parse
from pregen.logs.stretches import WorkerStretch, joined
from pregen.progress import Progress


@dataclass(slots=True, kw_only=True)
class FileFacts:
    """What is known of one file of the log.

    Attributes:
        name: as it was given.
        digest: what tells its unpacked content from that of others.
        lines: how many it has.
        requests: how many of them are about requests.
        broken: how many are no lines of the log.
        examples: the first of these.
        lost_lines: how many lines the edge says it has lost.
        broken_off: why it could not be read to its end; None: it could.
        nameless: times of the first and the last request line that does not say which worker wrote it, in
            milliseconds since 1970; None: there is none.
        stretches: what each worker has written into it.
    """

    name: str
    digest: str = ""
    lines: int = 0
    requests: int = 0
    broken: int = 0
    examples: list[BrokenLine] = field(default_factory=list)
    lost_lines: int = 0
    broken_off: str | None = None
    nameless: tuple[int, int] | None = None
    stretches: dict[str, WorkerStretch] = field(default_factory=dict)

    def note(self, parsed: Parsed) -> None:
        """Note what the next lines of the file say."""
        self.requests += parsed.requests.num_rows
        self.broken += len(parsed.broken)
        self.examples += parsed.examples[: MAX_EXAMPLES - len(self.examples)]
        self.lost_lines += parsed.lost_lines
        if parsed.nameless is not None:
            both = (*parsed.nameless, *(self.nameless or ()))
            self.nameless = (min(both), max(both))
        self.stretches = joined([*self.stretches.values(), *parsed.stretches.values()])

    def members(self) -> dict[str, object]:
        """Return what is known as members of a JSON object."""
        return {
            "name": self.name,
            "digest": self.digest,
            "lines": self.lines,
            "requests": self.requests,
            "broken": self.broken,
            "lost_lines": self.lost_lines,
            "broken_off": self.broken_off,
            "nameless": None if self.nameless is None else list(self.nameless),
            "workers": [stretch.members() for stretch in self.stretches.values()],
        }

    @classmethod
    def of_members(cls, members: Mapping[str, object]) -> Self:
        """Return what `members` has written.

        Raises:
            KeyError, TypeError, ValueError: it has not.
        """
        workers, nameless, off = members["workers"], members["nameless"], members["broken_off"]
        if not isinstance(workers, list):
            raise TypeError("workers must be a list")
        return cls(
            name=str(members["name"]),
            digest=str(members["digest"]),
            lines=int(str(members["lines"])),
            requests=int(str(members["requests"])),
            broken=int(str(members["broken"])),
            lost_lines=int(str(members["lost_lines"])),
            broken_off=None if off is None else str(off),
            nameless=(int(nameless[0]), int(nameless[1])) if isinstance(nameless, list) else None,
            stretches={one.worker: one for one in map(WorkerStretch.of_members, workers)},
        )


class LogReading:
    """One pass over files of the log.

    Attributes:
        files: what is known of those that have been read, in their order.
    """

    def __init__(self, paths: Sequence[Path], progress: Progress) -> None:
        self.files: list[FileFacts] = []
        self._paths = paths
        self._progress = progress

    def tables(self) -> Iterator[pa.Table]:
        """Yield the request lines of all files, in their order.

        Raises:
            InputError: a file is no request log, or the same as another one.
            OSError: a file cannot be read.
        """
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        waiting: deque[tuple[FileFacts, Future[Parsed]]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="parse") as pool:
            try:
                for facts, block in self._blocks():
                    waiting.append((facts, pool.submit(parse, block, MAX_EXAMPLES)))
                    if len(waiting) > threads:
                        yield self._noted(*waiting.popleft())
                while waiting:
                    yield self._noted(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)
        self._refuse_strangers()

    def findings(self) -> tuple[Finding, ...]:
        """Return what is odd about the files, as warnings."""
        broken = [f"{one.name}, line {at.number}: {at.text}" for one in self.files for at in one.examples]
        off = [f"{one.name}, after line {one.lines}: {one.broken_off}" for one in self.files if one.broken_off]
        found = []
        if count := sum(one.broken for one in self.files):
            text = "lines are none of the request log, and are left out; a worker's counters tell whether requests lack"
            found.append(Finding("logs.line.broken", "warning", text, count, tuple(broken[:MAX_EXAMPLES])))
        if off:
            text = "files are damaged or broken off; their lines up to there are taken: fetch them anew if you can"
            found.append(Finding("logs.file.broken-off", "warning", text, len(off), tuple(off[:MAX_EXAMPLES])))
        return tuple(found)

    def _blocks(self) -> Iterator[tuple[FileFacts, LineBlock]]:
        done, total = 0, sum(path.stat().st_size for path in self._paths)
        for path in self._paths:
            file, facts = LogFile(path), FileFacts(name=str(path))
            self.files.append(facts)
            for block in file.blocks():
                yield facts, block
                taken = done + file.taken_bytes
                self._progress("read", taken, max(taken, total))  # a log may grow while it is read
            done += file.taken_bytes
            facts.digest, facts.lines, facts.broken_off = file.digest, file.lines, file.broken_off
            self._refuse_twice(facts)

    def _noted(self, facts: FileFacts, future: "Future[Parsed]") -> pa.Table:
        parsed = future.result()
        facts.note(parsed)
        return parsed.requests

    def _refuse_twice(self, facts: FileFacts) -> None:
        for other in self.files[:-1]:
            if facts.lines and other.digest == facts.digest:
                text = f"{facts.name} says the same as {other.name}: every request would count twice; name one of them"
                raise InputError(text, [Finding("logs.file.twice", "error", text)])

    def _refuse_strangers(self) -> None:
        for facts in self.files:
            if facts.broken and not (facts.requests or facts.stretches or facts.lost_lines):
                shown = tuple(f"line {one.number}: {one.text}" for one in facts.examples)
                text = f"{facts.name} is no request log: none of its {facts.lines:,} lines is what an edge writes"
                finding = Finding("logs.file.not-a-log", "error", text, facts.broken, shown)
                raise InputError(f"{facts.name} cannot be taken for a request log", [finding])
