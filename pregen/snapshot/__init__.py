"""The snapshot: files in, validated status batches out.

A snapshot is one or more files (Parquet, ORC, Arrow IPC, CSV, index.txt; CRLs) that say, for one instant `as_of`, which
certificates exist and which of them are revoked. Reading goes

    opening.py    what is looked at before the first row: which files (choosing.py), their columns, and for which
                  instant they are right (as_of.py)
    files/        which files, and their record batches with the needed columns alone
    column.py     where each column comes from, as the configuration says it
    columns.py    which column a file has and lacks, and column_types.py, whether its type can be read; schemas.py for
                  all files together
    layouts.py    views, dictionaries, runs and extension types to the few types that are read
    serials.py, codes.py, times/     one column each: Arrow array in, numpy or Arrow array and `Fault`s out (octets.py
                  looks at many values' octets at once)
    crls/         revocations, where they come from CRLs and the files only say what was issued
    intake.py     one record batch to one `StatusBatch` (batch.py), bad rows left out: rows.py is how far they are
                  judged, judged_rows.py judges each column by itself, exclusion.py says which rows are left out on
                  purpose, reading.py what is noted of a part of a file (readings.py adds that up by file), and
                  suspicions.py what of whole columns
    profile_rules.py    what the profile of an issuer demands of its rows
    habits/       what whole columns tell: another encoding, unit or order than declared, rounded numbers, stand-ins
    findings.py   bad rows to `Finding`s: counted by kind, with examples, and where they are (location.py)
    remnants.py   revocation data in rows that are not revoked: when it is too much
    snapshot.py   the whole: its rows from the first to the last

so that whatever is wrong with a file stops the run at once, and whatever is wrong with rows is found in one pass.
"""

from pregen.snapshot.batch import (
    CA,
    END_ENTITY,
    NO_EXPIRY,
    NO_ISSUANCE,
    NO_REASON,
    NOT_LATE,
    OWN_ZONE,
    Late,
    RowStatus,
    StatusBatch,
    Withheld,
)
from pregen.snapshot.codes import PRECERTIFICATE
from pregen.snapshot.crls.crl import Crl, read_crls
from pregen.snapshot.crls.crl_entries import CrlEntries
from pregen.snapshot.crls.lists import RevocationList
from pregen.snapshot.crls.rules import CrlIssuer
from pregen.snapshot.files import ACCEPTED_KEY, AS_OF_KEY, LISTED_KEY, ZONES_KEY
from pregen.snapshot.location import Location
from pregen.snapshot.opening import open_snapshot
from pregen.snapshot.reading import Reading
from pregen.snapshot.remnants import IN_COLUMNS
from pregen.snapshot.serials import read_serials
from pregen.snapshot.snapshot import Snapshot
from storage.certid import MAX_SERIAL_BYTES

__all__ = [
    "ACCEPTED_KEY",
    "AS_OF_KEY",
    "CA",
    "END_ENTITY",
    "IN_COLUMNS",
    "LISTED_KEY",
    "MAX_SERIAL_BYTES",
    "NOT_LATE",
    "NO_EXPIRY",
    "NO_ISSUANCE",
    "NO_REASON",
    "OWN_ZONE",
    "PRECERTIFICATE",
    "ZONES_KEY",
    "Crl",
    "CrlEntries",
    "CrlIssuer",
    "Late",
    "Location",
    "Reading",
    "RevocationList",
    "RowStatus",
    "Snapshot",
    "StatusBatch",
    "Withheld",
    "open_snapshot",
    "read_crls",
    "read_serials",
]
