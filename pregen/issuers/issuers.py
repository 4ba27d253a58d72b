"""Issuers, and who signs for them: certificates and keys read, checked, and made ready for the templates.

An issuer is one name and one key, because that is all that a CertID can tell apart (RFC 6960, 4.1.1); it may have
several certificates. Where these write its name in several encodings (PrintableString, UTF8String), that is one name
(RFC 5280, 7.1), but not one CertID: each further one is an `Issuer` too, behind those of all sections, and answers for
the rows of the first. Everything that is wrong is found in one pass, before any work: nobody wants to repair a thousand
sections one run at a time.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import rsa

from pregen.config import SEVERAL_KEYS, Config, IssuerConfig, IssuerValidityConfig
from pregen.errors import ConfigError, Finding, Severity
from pregen.issuers.certificate_rules import Remark, issuer_remarks, responder_remarks
from pregen.issuers.certificates import Certificate, read_certificates
from pregen.issuers.issuer import Issuer, make_issuer, make_responder
from pregen.issuers.keyfiles import algorithm_for, key_source
from pregen.names import name_key
from pregen.signers import ALGORITHMS, KeySource, PublicKey, kind_of
from pregen.validity import PROFILES, Validity
from storage.key import issuer_id

# In which an issuer may be left behind: its certificate or its responder's has ended, or its key cannot be opened.
TROUBLES = frozenset(
    {"issuer.expired", "responder.expired", "key.unreadable", "key.passphrase.missing", "key.passphrase.wrong"}
)
# Who is returned with its trouble: nobody, who may by its section, or anybody, before it is known whom rows name.
Leaving = Literal["nobody", "as-configured", "anybody"]
_RSASSA_PSS = "1.2.840.113549.1.1.10"


def load_issuers(
    config: Config, now: datetime, *, leaving: Leaving = "nobody"
) -> tuple[tuple[Issuer, ...], tuple[Finding, ...]]:
    """Return the issuers in the order of the configuration, and warnings.

    Args:
        config: which there are.
        now: the current instant.
        leaving: which of those that cannot sign are returned with their trouble.

    Raises:
        ConfigError: a key or certificate cannot be used; with all findings, warnings included.
    """
    issuers, findings = inspect_issuers(config, now, leaving=leaving)
    if issuers and all(issuer.trouble for issuer in issuers):  # so there is nobody to be published without them
        issuers, findings = inspect_issuers(config, now)
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        text = f"{errors} mistake{'s' * (errors > 1)} in keys and certificates; correct {config.path} or what it names"
        raise ConfigError(text, findings)
    return issuers, findings


def inspect_issuers(
    config: Config, now: datetime, *, leaving: Leaving = "nobody"
) -> tuple[tuple[Issuer, ...], tuple[Finding, ...]]:
    """Return the issuers that can be used, and everything that is wrong with them and the others; never raises."""
    inspection = _SectionCheck(config, now, leaving)
    found = [(section, names) for section in config.issuer if (names := inspection.issuer(section))]
    inspection.note_same_ids()
    issuers = [replace(names[0], rows_of=inspection.others(section, found)) for section, names in found]
    further = [
        replace(one, rows_of=(index, *issuers[index].rows_of), is_further_name=True)
        for index, (_, names) in enumerate(found)
        for one in names[1:]
    ]
    return (*issuers, *further), tuple(inspection.findings)


def merged_section(sections: Sequence[IssuerConfig]) -> str:
    """Return the one section to write for several that are one issuer; where they disagree, the first one's words."""
    names = tuple(dict.fromkeys(name for section in sections for name in section.names))
    files = tuple(dict.fromkeys(name for section in sections for name in section.certificates))
    # A JSON text is a TOML basic string, and a list of them a TOML array.
    lines = ["[[issuer]]", f"name = {_json(names)}", f"certificate = {_json(files)}"]
    signing = "responder_certificate", "key", "key_passphrase_env", "rsa_padding", "responder_id"
    for field in (*signing, "cert_ids", "on_trouble"):
        values = [getattr(section, field) for section in sections]
        if values[0] is not None:
            lines.append(f"{field} = {_json(values[0])}" + ("  # they disagree here" if len(set(values)) > 1 else ""))
    validities = [section.validity for section in sections]
    if len(set(validities)) > 1 or validities[0] != IssuerValidityConfig():
        lines.append("[issuer.validity]" + ("  # they disagree here" if len(set(validities)) > 1 else ""))
        given = {field: getattr(validities[0], field) for field in validities[0].__struct_fields__}
        lines += [f"{field} = {_json(value)}" for field, value in given.items() if value is not None]
    return "\n".join(lines)


class _SectionCheck:
    """One pass over all sections. A key that several sections share is opened, and complained of, once."""

    def __init__(self, config: Config, now: datetime, leaving: Leaving) -> None:
        self.findings: list[Finding] = []
        self._errors = 0
        self._leaving = leaving
        self._troubles: list[Finding] = []  # of the section that is looked at
        self._config = config
        self._now = now
        self._keys: dict[KeySource, PublicKey | ConfigError] = {}
        self._refused: set[KeySource] = set()
        self._sections: dict[int, list[IssuerConfig]] = {}

    def issuer(self, section: IssuerConfig) -> tuple[Issuer, ...]:
        """Return the issuer of one section, for each encoding of its name; none if it has any error."""
        before, self._troubles = self._errors, []
        certificates = self._certificates(section)
        of_name = {one.subject: one for one in reversed(certificates)}
        names = tuple(dict.fromkeys(one.subject for one in certificates))
        for name in names:
            self._sections.setdefault(issuer_id(name, of_name[name].key_bits), []).append(section)
        delegates: Mapping[bytes, Certificate] = {}
        if section.responder_certificate is not None:
            path = self._config.resolve(section.responder_certificate)
            delegates = self._delegates(section, path, [of_name[name] for name in names])
        signer = certificates[0] if certificates else None
        if section.responder_certificate is not None:
            signer = next(iter(delegates.values()), None)
        source = key_source(self._config, section)
        key = self._key(section, source)
        if key is not None and signer is not None:
            self._check_pair(section, source, key, signer, certificates)
        elif key is None and signer is not None and self._troubles and (key := _key_of(signer)) is None:
            self._note(section, "key.unsupported", f"{signer.path}: keys of its kind cannot be used")
        if key is None or signer is None or not certificates or self._errors > before:
            return ()
        signature = algorithm_for(key, section.rsa_padding)
        validity = self._validity(section)
        return tuple(
            make_issuer(
                section,
                validity,
                tuple(one for one in certificates if one.subject == name),
                max(one.not_after for one in certificates),
                delegates.get(name),
                make_responder(section, delegates.get(name), delegates.get(name, of_name[name]), source, signature),
                self._troubles,
                may_stay_behind=self._may_stay_behind(section),
            )
            for name in names
        )

    def others(
        self, section: IssuerConfig, found: Sequence[tuple[IssuerConfig, tuple[Issuer, ...]]]
    ) -> tuple[int, ...]:
        """Return the indices of the issuers whose rows are answered for that of a section as well."""
        mine = next(names[0] for one, names in found if one is section)
        indices = {name: index for index, (other, _) in enumerate(found) for name in other.names}
        others = []
        for name in section.others:
            index = indices.get(name)
            if index is None or found[index][0] is section:
                if any(name in one.names for one in self._config.issuer if one is not section):
                    continue  # of a section that is refused anyhow
                self._note(section, "issuer.also", f"also: {name!r} is the name of no other issuer: correct it")
            elif name_key(found[index][1][0].subject) != name_key(mine.subject):
                text = (
                    f"also: {name!r} is another CA by its certificate, and a serial is unique for one CA alone (RFC "
                    "5280, 4.1.2.2): only rows of the same CA, under another key, can be answered here as well"
                )
                self._note(section, "issuer.also", text)
            else:
                others.append(index)
        return tuple(dict.fromkeys(others))

    def _validity(self, section: IssuerConfig) -> Validity:
        config = self._config.validity.changed_by(section.validity)
        return Validity(
            PROFILES[config.profile], config.lifetime_span, config.backdate_span, config.end_with_certificate
        )

    def note_same_ids(self) -> None:
        """Note sections that are one issuer, and how to write them as one."""
        for sections in self._sections.values():
            if len(sections) > 1:
                others = " and ".join(f'"{section.names[0]}"' for section in sections[1:])
                text = f"is the same name and key as {others}: write them as one section:\n{merged_section(sections)}"
                self._note(sections[0], "issuer.same-id", text)

    def _certificates(self, section: IssuerConfig) -> tuple[Certificate, ...]:
        """Return the issuer's certificates, or none if they are not one name and one key."""
        found: dict[bytes, Certificate] = {}
        for name in section.certificates:
            found |= {certificate.der: certificate for certificate in self._read(section, self._config.resolve(name))}
        certificates = tuple(found.values())
        if text := different_issuers(certificates):
            self._note(section, "issuer.different-keys", text)
            return ()
        self._remark(
            section, issuer_remarks(certificates, signs_itself=not section.responder_certificate, now=self._now)
        )
        return certificates

    def _delegates(
        self, section: IssuerConfig, path: Path, issuers: Sequence[Certificate]
    ) -> Mapping[bytes, Certificate]:
        """Return the responder's certificate for each encoding of the issuer's name; none if there is none.

        `issuers` has a certificate for each encoding. One responder may have a certificate for each of them, too.
        """
        certificates = self._read(section, path)
        if not certificates:
            return {}
        of_name = {one.issuer: one for one in certificates}
        if len({one.key_bits for one in certificates}) > 1 or len(certificates) > max(
            1, len(of_name.keys() & {issuer.subject for issuer in issuers})
        ):
            text = f"{path}: holds {len(certificates)} certificates: keep that of the responder alone, without a chain"
            if len(issuers) > 1:
                text += ", and of one key, once for each encoding of the issuer's name"
            self._note(section, "certificate.several", text)
            return {}
        is_public = self._validity(section).profile.is_public
        for one in certificates:
            issuer = next((ca for ca in issuers if ca.subject == one.issuer), issuers[0] if issuers else None)
            self._remark(section, responder_remarks(one, issuer, self._now, is_public=is_public))
        others = [ca for ca in issuers if ca.subject not in of_name]
        if others and len(issuers) > 1:
            text = (
                f"{path}: names the issuer as only {len(issuers) - len(others)} of its {len(issuers)} encodings does: "
                "clients that compare octets refuse the other answers; issue a certificate of the same key for each, "
                "and put both into this file"
            )
            self._note(section, "responder.other-encoding", text, severity="warning")
        return {ca.subject: of_name.get(ca.subject, certificates[0]) for ca in issuers} or {b"": certificates[0]}

    def _key(self, section: IssuerConfig, source: KeySource) -> PublicKey | None:
        is_first = source not in self._keys
        if is_first:
            try:
                self._keys[source] = source.public_key()
            except ConfigError as error:
                self._keys[source] = error
        key = self._keys[source]
        if isinstance(key, ConfigError):
            self._cannot_open(section, source, key)
            return None
        if is_first and (text := source.exposure()):
            self._note(section, "key.permissions", text, severity="warning")
        return key

    def _cannot_open(self, section: IssuerConfig, source: KeySource, error: ConfigError) -> None:
        """Note why a key cannot be opened: an error once, and the trouble of each issuer that may be left behind."""
        if source in self._refused:
            return
        for finding in error.findings:
            self._note(section, finding.code, finding.message)
        if not self._troubles:
            self._refused.add(source)

    def _check_pair(
        self,
        section: IssuerConfig,
        source: KeySource,
        key: PublicKey,
        signer: Certificate,
        certificates: tuple[Certificate, ...],
    ) -> None:
        if section.rsa_padding == "pss" and not isinstance(key, rsa.RSAPublicKey):
            text = f'{source.describe()}: the key is not RSA, which alone has a padding: leave rsa_padding = "pss" out'
            self._note(section, "key.padding", text)
        if signer.public_key_algorithm == _RSASSA_PSS:
            text = (
                f"{signer.path}: its public key is one for RSASSA-PSS alone, but the TLS Baseline Requirements "
                "(7.1.3.1.1) allow rsaEncryption alone: issue a certificate that has that; to sign with PSS, write "
                'rsa_padding = "pss"'
            )
            self._note(section, "key.unsupported", text)
        elif not _belongs(key, signer):
            hint = "name the key that belongs to it"
            if signer not in certificates and any(_belongs(key, certificate) for certificate in certificates):
                hint = "it is the issuer's own key: name the responder's, or leave responder_certificate out"
            self._note(
                section, "key.mismatch", f"{source.describe()}: the key does not belong to {signer.path}: {hint}"
            )

    def _read(self, section: IssuerConfig, path: Path) -> tuple[Certificate, ...]:
        try:
            return read_certificates(path)
        except ConfigError as error:
            for finding in error.findings:
                self._note(section, finding.code, finding.message)
            return ()

    def _remark(self, section: IssuerConfig, remarks: Iterable[Remark]) -> None:
        for remark in remarks:
            self._note(section, remark.code, f"{remark.path}: {remark.text}", severity=remark.severity)

    def _may_stay_behind(self, section: IssuerConfig) -> bool:
        is_configured = self._leaving == "as-configured" and section.on_trouble == "leave-behind"
        return is_configured or self._leaving == "anybody"

    def _note(self, section: IssuerConfig, code: str, text: str, *, severity: Severity = "error") -> None:
        if code in TROUBLES and self._may_stay_behind(section):
            self._troubles.append(Finding(code, "error", text))
            severity = "warning"
        self._errors += severity == "error"
        self.findings.append(Finding(code, severity, f'issuer "{section.names[0]}": {text}'))


def different_issuers(certificates: Sequence[Certificate]) -> str | None:
    """Return what to say where certificates are not one name, in any encoding, and one key; None where they are."""
    names = {name_key(one.subject) for one in certificates}
    keys = {one.key_bits for one in certificates}
    if len(names) <= 1 and len(keys) <= 1:
        return None
    files = ", ".join(dict.fromkeys(str(one.path) for one in certificates))
    if len(names) > 1:
        return f"{files}: the certificates are not one name and one key: give each issuer a section of its own"
    return (
        f"{files}: the certificates have one name, but {len(keys)} keys, each of which has answers of its own: give "
        f"each key a section of its own, with its responder; {SEVERAL_KEYS}"
    )


def _json(value: str | bool | tuple[str, ...]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _key_of(signer: Certificate) -> PublicKey | None:
    """Return the key that a certificate is about, where keys of its kind can be used."""
    try:
        key = signer.load_public_key()
    except ValueError:
        return None
    kinds = {algorithm.key for algorithm in ALGORITHMS.values()}
    return key if isinstance(key, PublicKey) and kind_of(key) in kinds else None


def _belongs(key: PublicKey, certificate: Certificate) -> bool:
    try:
        return key == certificate.load_public_key()
    except ValueError:  # a public key of a kind that no private key here can have
        return False
