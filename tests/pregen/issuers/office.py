"""A folder with certificates, keys and a configuration that names them; what is said of it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from pregen.config import Config, load_config
from pregen.issuers import Issuer, inspect_issuers, load_issuers
from tests import pki
from tests.pki import DAY, NOW

SECOND = DAY / 86_400
Fields: TypeAlias = dict[str, str | list[str]]


@dataclass
class Office:
    """A folder with certificates, keys and a configuration that names them."""

    folder: Path

    def config(self, *sections: Fields, profile: str = "strict") -> Config:
        """Write the configuration; `profile` is the one of all issuers that have no `validity.profile`."""
        lines = [f'[publish]\nstore = "answers"\n[validity]\nprofile = "{profile}"']
        for section in sections:
            lines += ["[[issuer]]", *(f"{field} = {value!r}" for field, value in section.items())]
        path = self.folder / "pregen.toml"
        path.write_text("\n".join(lines))
        return load_config(path)

    def delegated(self, issuer: pki.Party, responder: pki.Party, **changes: str | list[str]) -> Config:
        """One issuer whose answers a responder signs."""
        pki.write_certificates(self.folder / "ca.pem", issuer)
        responder.write(self.folder, "ocsp")
        section: Fields = {
            "name": "r1",
            "certificate": "ca.pem",
            "responder_certificate": "ocsp.pem",
            "key": "ocsp.key",
        }
        return self.config(section | changes)

    def own(self, issuer: pki.Party, **changes: str | list[str]) -> Config:
        """One issuer that signs itself."""
        issuer.write(self.folder, "ca")
        section: Fields = {"name": "r1", "certificate": "ca.pem", "key": "ca.key"}
        return self.config(section | changes)


def found(config: Config, now: datetime = NOW) -> dict[str, str]:
    """Return the messages of all findings, by severity and code."""
    _, findings = inspect_issuers(config, now)
    assert len({finding.code for finding in findings}) == len(findings)
    return {f"{finding.severity} {finding.code}": finding.message for finding in findings}


def only(config: Config, now: datetime = NOW) -> Issuer:
    (issuer,), findings = load_issuers(config, now)
    assert findings == ()
    return issuer
