"""Which certificates a command line names: by files of certificates, or by issuer and serial number.

Certificates of issuers are read here, and no key is opened: what an urgent change has nothing to do with must not stop
it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pregen import clock
from pregen.config import Config, IssuerConfig
from pregen.errors import MAX_EXAMPLES, UsageError
from pregen.issuers import Certificate, read_certificates, serial_of, signed_with
from pregen.names import name_key
from pregen.snapshot import NO_EXPIRY, read_serials
from storage.overlay_part import NO_EXPIRY_32

STANDARD_INPUT = "-"
ROWS_AT_ONCE = 65_536
# What is wrong with a serial, by the last word of the finding's code.
_FAULTS = {
    "not-hex": "is no hex number: digits, with a sign where it is negative",
    "too-long": "has more octets than the serial number of any certificate",
    "rounded": "was rounded by a spreadsheet: take the whole number from its source",
}


class Mention(NamedTuple):
    """One word of a command line: an issuer, a serial number of the issuer before it, or a certificate's file."""

    kind: Literal["issuer", "serial", "cert"]
    text: str


@dataclass(frozen=True, slots=True)
class NamedCertificates:
    """Certificates that a command line names, by columns; each once.

    Attributes:
        sections: those of the configuration that have to do with them.
        section: int32[n], the index in `sections` of each one's issuer.
        serial: content octets.
        not_after: int64[n], seconds since 1970; `NO_EXPIRY` of those that were not given themselves.
        cas: indexes of those that are known to be CAs'.
    """

    sections: tuple[IssuerConfig, ...]
    section: NDArray[np.int32]
    serial: pa.BinaryArray
    not_after: NDArray[np.int64]
    cas: frozenset[int] = frozenset()


class _Given(NamedTuple):
    section: int
    certificate: Certificate


def read_mentions(config: Config, mentions: Sequence[Mention], read_input: Callable[[], str]) -> NamedCertificates:
    """Return the certificates that a command line names.

    Args:
        config: whose issuers these are.
        mentions: in their order.
        read_input: returns the text of standard input, one serial number a line.

    Raises:
        UsageError: nothing is named, an issuer is not configured, a serial is none, or a certificate is nobody's.
        ConfigError: a certificate's file cannot be read.
    """
    serials, files = _sorted_out(config, mentions)
    given = [_given(config, Path(name)) for name in files]
    texts = _Texts(serials, read_input)
    if not len(texts) and not given:
        raise UsageError("say which certificates: --cert FILE, or --issuer NAME and --serial HEX")
    return _columns(config, texts.read(), texts.sections, given)


def _sorted_out(config: Config, mentions: Sequence[Mention]) -> tuple[list[tuple[int, str]], list[str]]:
    """Return serials with the sections of their issuers, and files."""
    serials: list[tuple[int, str]] = []
    files: list[str] = []
    issuer: str | None = None
    is_used = True
    for kind, text in mentions:
        if kind == "cert":
            files.append(text)
        elif kind == "issuer":
            if not is_used:
                raise UsageError(f"--issuer {issuer} has no --serial behind it: say which of its certificates")
            issuer, is_used = text, False
        elif issuer is None:
            raise UsageError(f"--serial {text} has no --issuer before it: say whose certificate it is")
        else:
            is_used = True
            serials.append((_section_named(config, issuer), text))
    if not is_used:
        raise UsageError(f"--issuer {issuer} has no --serial behind it: say which of its certificates")
    return serials, files


def _section_named(config: Config, name: str) -> int:
    for index, section in enumerate(config.issuer):
        if name in section.names:
            return index
    known = ", ".join(name for section in config.issuer[:MAX_EXAMPLES] for name in section.names)
    raise UsageError(f"--issuer {name!r}: no [[issuer]] of {config.path} has that name; there are: {known}")


def _given(config: Config, path: Path) -> _Given:
    """Return a certificate, and the section of whoever has signed it."""
    found = read_certificates(path)
    if len(found) > 1:
        raise UsageError(f"--cert {path}: holds {len(found)} certificates: name a file with the one that is meant")
    [certificate] = found
    named = []
    for index, section in enumerate(config.issuer):
        for issuer in _certificates_of(config, section):
            if name_key(issuer.subject) == name_key(certificate.issuer):
                named.append(section.names[0])
                if _has_signed(issuer, certificate):
                    return _Given(index, certificate)
    if named:
        text = f"names {' or '.join(dict.fromkeys(named))} as its issuer, whose key has not signed it"
    else:
        text = "no [[issuer]] has signed it"
    raise UsageError(f"--cert {path}: {text}: name a certificate of a configured issuer, or say --issuer and --serial")


def _certificates_of(config: Config, section: IssuerConfig) -> Iterator[Certificate]:
    for name in section.certificates:
        yield from read_certificates(config.resolve(name))


def _has_signed(issuer: Certificate, certificate: Certificate) -> bool:
    try:
        return signed_with(certificate, issuer.load_public_key())
    except ValueError:  # beyond cryptography: nobody can tell
        return False


class _Texts:
    """Serials as text, the section of each, and where each stood; there may be millions, so little is kept of each."""

    def __init__(self, serials: Sequence[tuple[int, str]], read_input: Callable[[], str]) -> None:
        if sum(text == STANDARD_INPUT for _, text in serials) > 1:
            raise UsageError("--serial - can be said once: standard input has one end")
        self._texts: list[str] = []
        sections, lines = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for section, text in serials:
            words, numbers = ([text], np.zeros(1, np.int64)) if text != STANDARD_INPUT else _lines(read_input())
            self._texts += words
            sections.append(np.full(len(words), section, np.int32))
            lines.append(numbers)
        self.sections = np.concatenate(sections)
        self._lines = np.concatenate(lines)

    def __len__(self) -> int:
        return len(self._texts)

    def read(self) -> pa.BinaryArray:
        """Return all of them as content octets.

        Raises:
            UsageError: one is none.
        """
        parts = [pa.array([], pa.binary())]
        for first in range(0, len(self._texts), ROWS_AT_ONCE):
            read = read_serials(pa.array(self._texts[first : first + ROWS_AT_ONCE], pa.string()), "hex")
            for fault in read.faults:
                if len(wrong := np.flatnonzero(fault.rows)):
                    what = _FAULTS.get(fault.code.rpartition(".")[2], "is no serial number")
                    raise UsageError(f"{self._place(first + int(wrong[0]))} {what}")
            parts.append(read.values)
        return pa.concat_arrays(parts)

    def _place(self, index: int) -> str:
        line = int(self._lines[index])
        return f"{f'standard input, line {line}:' if line else '--serial'} {self._texts[index]!r}"


def _lines(text: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the words of standard input, and the number of the line of each, from 1."""
    every = list(map(str.strip, text.splitlines()))
    says = np.fromiter((bool(word) and word[0] != "#" for word in every), np.bool_, len(every))
    numbers = np.flatnonzero(says) + 1
    return (every if says.all() else [every[number - 1] for number in numbers.tolist()]), numbers


def _columns(
    config: Config, serial: pa.BinaryArray, section: NDArray[np.int32], given: Sequence[_Given]
) -> NamedCertificates:
    """Return all certificates: one that was given itself stands for its serial number, and counts once."""
    own = {(one.section, serial_of(one.certificate)): one.certificate for one in given}
    keep = np.ones(len(section), np.bool_)
    for number, octets in own:
        keep &= ~((section == number) & pc.equal(serial, pa.scalar(octets, pa.binary())).to_numpy(zero_copy_only=False))
    first = int(np.count_nonzero(keep))
    serials = pa.concat_arrays([serial.filter(pa.array(keep)), pa.array([octets for _, octets in own], pa.binary())])
    section = np.concatenate([section[keep], np.array([number for number, _ in own], np.int32)])
    ends = [min(clock.seconds(certificate.not_after), NO_EXPIRY_32 - 1) for certificate in own.values()]
    sections = _concerned(config, set(section.tolist()))
    renumbered = np.zeros(len(config.issuer), np.int32)
    for index, (number, _) in enumerate(sections):
        renumbered[number] = index
    return NamedCertificates(
        sections=tuple(one for _, one in sections),
        section=renumbered[section],
        serial=serials,
        not_after=np.concatenate([np.full(first, NO_EXPIRY, np.int64), np.array(ends, np.int64)]),
        cas=frozenset(first + at for at, certificate in enumerate(own.values()) if certificate.is_ca),
    )


def _concerned(config: Config, used: Collection[int]) -> list[tuple[int, IssuerConfig]]:
    """Return the sections that are used, and those that answer for their certificates as well, with their numbers."""
    names = {name for index in used for name in config.issuer[index].names}
    return [
        (index, section) for index, section in enumerate(config.issuer) if index in used or names & set(section.others)
    ]
