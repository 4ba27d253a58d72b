"""The request logs of edges, read later: was this certificate asked for, when, how often, by whom, what was said?

`log_files.py` unpacks files into blocks of whole lines, `parsing.py` makes columns of these, and `log_reading.py` does
both for many files at once. `stretches.py` is what workers have counted beside what there is, and `wholeness.py` what
follows from that: what is missing. `day_files.py` and `log_import.py` make Parquet by day of it; `sought.py` says which
certificate is meant, and `asking.py` what the logs say of it.
"""

from pregen.logs.asking import AskedAnswer, AskedVerdict, ask
from pregen.logs.log_import import ImportedLogs, import_logs
from pregen.logs.sought import Sought, seek

__all__ = ["AskedAnswer", "AskedVerdict", "ImportedLogs", "Sought", "ask", "import_logs", "seek"]
