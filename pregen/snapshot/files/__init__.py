"""The files of a snapshot: which they are, and the columns that are asked for, batch by batch.

    search.py       a path, a glob, a folder, s3://bucket/prefix: to files; found.py says what of a folder they are
    lakes.py        tables whose files are not the table: Delta Lake, Iceberg, Hudi
    partitions.py   names of folders to columns
    dated.py        the instant of files that cannot hold it
    formats.py      the first octets to a format
    sources.py      octets of this machine, and whether they have changed
    remote.py       octets of S3, in ranges; listing.py its keys
    footer.py       what the footer of Parquet says, before pyarrow is asked, which would end the process at some
    parquet.py, orc.py, ipc.py, csv.py, index_txt.py     one format each; base.py is what all of them have in common
    ipc_sizes.py    what batches of Arrow IPC take when they are unpacked, told before they are
    apart.py        readers in processes of their own, and what their end says of a file
    orc_child.py    the reader of ORC in such a process; orc_tail.py whether a file is encrypted

Descriptions of files pickle; nothing is kept open between calls, except clients of S3 within a process.
"""

from pregen.snapshot.files.apart import end_readers
from pregen.snapshot.files.base import (
    ACCEPTED_KEY,
    AS_OF_KEY,
    BATCH_ROWS,
    LISTED_KEY,
    ODD,
    ZONES_KEY,
    SnapshotFile,
    crashed,
)
from pregen.snapshot.files.dated import as_of_beside
from pregen.snapshot.files.formats import Chosen, open_file
from pregen.snapshot.files.found import INDEXES, TABLES, FoundFile, FoundFiles, Wanted
from pregen.snapshot.files.index_txt import index_txt_columns
from pregen.snapshot.files.partitions import Value, partition_values
from pregen.snapshot.files.search import find_files

SUFFIXES = TABLES.suffixes

__all__ = [
    "ACCEPTED_KEY",
    "AS_OF_KEY",
    "BATCH_ROWS",
    "INDEXES",
    "LISTED_KEY",
    "ODD",
    "SUFFIXES",
    "TABLES",
    "ZONES_KEY",
    "Chosen",
    "FoundFile",
    "FoundFiles",
    "SnapshotFile",
    "Value",
    "Wanted",
    "as_of_beside",
    "crashed",
    "end_readers",
    "find_files",
    "index_txt_columns",
    "open_file",
    "partition_values",
]
