"""Distinguished names for people, as RFC 4514 writes them; read by `storage.der` alone."""

from storage.der import OID, SEQUENCE, Cursor, oid_text, read

_SET, _BMP_STRING = 0x31, 0x1E
_TYPES = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}


def name_text(name: bytes) -> str:
    """Return a DER Name as text, the last part first.

    >>> name_text(bytes.fromhex("301a310b3009060355040613024e4c310b300906035504030c025231"))
    'CN=R1,C=NL'

    Raises:
        ValueError: the octets are no Name.
    """
    parts, rdns = [], Cursor(name).take(SEQUENCE)
    while not rdns.at_end():
        rdn, texts = rdns.take(_SET), []
        while not rdn.at_end():
            pair = rdn.take(SEQUENCE)
            kind = oid_text(pair.take(OID).octets)
            texts.append(f"{_TYPES.get(kind, kind)}={_value(pair.octets)}")
        parts.append("+".join(texts))
    return ",".join(reversed(parts))


def _value(element: bytes) -> str:
    tag, start, end = read(element, 0, len(element))
    encoding = "utf-16-be" if tag == _BMP_STRING else "utf-8"
    text = element[start:end].decode(encoding, "backslashreplace")
    return "".join(f"\\{letter}" if letter in ',+"\\<>;' else letter for letter in text)
