"""dilithium-py verifies ML-DSA signatures (FIPS 204) in pure Python: it shares no code with OpenSSL or Go."""

from dilithium_py.ml_dsa import ML_DSA_44, ML_DSA_65, ML_DSA_87

from tests.judges.parsers import MldsaPublicKey, Signed

VERIFIERS = {
    "2.16.840.1.101.3.4.3.17": ML_DSA_44,
    "2.16.840.1.101.3.4.3.18": ML_DSA_65,
    "2.16.840.1.101.3.4.3.19": ML_DSA_87,
}


def accepts(signed: Signed, key: MldsaPublicKey) -> bool:
    """Tell whether the signature is one of this key, with an empty context (RFC 9881, 3)."""
    return bool(VERIFIERS[signed.algorithm].verify(key.public_bytes_raw(), signed.message, signed.signature, ctx=b""))
