"""The configuration: the TOML file, its sections, what they say about a column, and what all sections share.

They are file.py, sections.py (with gates.py and upkeep.py), columns.py and section.py; allowed.py says what a field
may hold. The docstrings of the sections are the tables of docs/configuration.md (`python -m tests.pregen.config.page`
writes them).
"""

from pregen.config.columns import CERTIFICATE_KINDS, COLUMNS, STATUS_WORDS, TIME_COLUMNS, ColumnConfig
from pregen.config.file import Config, load_config
from pregen.config.gates import GatesConfig, GrowthLimit, Limit
from pregen.config.section import parse_duration
from pregen.config.sections import (
    SEVERAL_KEYS,
    AnchorConfig,
    CertIds,
    ClusterConfig,
    IssuerConfig,
    IssuerValidityConfig,
    PublishConfig,
    RsaPadding,
    RunConfig,
    S3Config,
    SnapshotConfig,
    ValidityConfig,
)
from pregen.config.upkeep import KeepConfig, RefreshConfig

__all__ = [
    "CERTIFICATE_KINDS",
    "COLUMNS",
    "SEVERAL_KEYS",
    "STATUS_WORDS",
    "TIME_COLUMNS",
    "AnchorConfig",
    "CertIds",
    "ClusterConfig",
    "ColumnConfig",
    "Config",
    "GatesConfig",
    "GrowthLimit",
    "IssuerConfig",
    "IssuerValidityConfig",
    "KeepConfig",
    "Limit",
    "PublishConfig",
    "RefreshConfig",
    "RsaPadding",
    "RunConfig",
    "S3Config",
    "SnapshotConfig",
    "ValidityConfig",
    "load_config",
    "parse_duration",
]
