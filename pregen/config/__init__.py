"""The configuration: the TOML file (file.py) and its sections (sections.py)."""

from pregen.config.file import Config, load_config
from pregen.config.sections import (
    COLUMNS,
    REASONS,
    STATUSES,
    CertIds,
    ColumnConfig,
    IssuerConfig,
    PublishConfig,
    RsaPadding,
    RunConfig,
    S3Config,
    SnapshotConfig,
    ValidityConfig,
    parse_duration,
)

__all__ = [
    "COLUMNS",
    "REASONS",
    "STATUSES",
    "CertIds",
    "ColumnConfig",
    "Config",
    "IssuerConfig",
    "PublishConfig",
    "RsaPadding",
    "RunConfig",
    "S3Config",
    "SnapshotConfig",
    "ValidityConfig",
    "load_config",
    "parse_duration",
]
