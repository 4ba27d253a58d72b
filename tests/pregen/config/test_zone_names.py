"""Zones in the configuration: a misspelt one is found before anything is read."""

from pathlib import Path

import pytest

from pregen.config import load_config
from pregen.errors import ConfigError

TEXT = """
[snapshot.columns]
revoked_at = {{ name = "REVOKED", zone = "{zone}", ambiguous = "latest", nonexistent = "shift-forward" }}
[[issuer]]
name = "r1"
certificate = "issuer.pem"
key = "ocsp.key"
[publish]
store = "file:///var/lib/pregen"
"""


@pytest.mark.parametrize("zone", ["America/Denver", "US/Mountain", "UTC"])
def test_a_zone_of_the_tzdata_package_is_taken(tmp_path: Path, zone: str) -> None:
    path = tmp_path / "pregen.toml"
    path.write_text(TEXT.format(zone=zone))

    column = load_config(path).snapshot.columns["revoked_at"]

    assert not isinstance(column, str)
    assert (column.zone, column.ambiguous, column.nonexistent) == (zone, "latest", "shift-forward")


def test_an_unknown_zone_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "pregen.toml"
    path.write_text(TEXT.format(zone="America/Denvor"))

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    [finding] = [one for one in caught.value.findings if one.code != "config.missing-file"]
    assert finding.code == "config.bad-value"
    assert "snapshot.columns.revoked_at.zone: 'America/Denvor' is no time zone" in finding.message
    assert "did you mean 'America/Denver'?" in finding.message
