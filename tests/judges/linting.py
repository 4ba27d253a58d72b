"""pkilint reads a response, by the validators of its program `lint_ocsp_response`."""

from functools import cache

from pkilint import loader, pkix
from pkilint.pkix import extension, name, ocsp
from pkilint.validation import ValidatorContainer


@cache
def _validators() -> ValidatorContainer:
    decoders = [
        ocsp.create_response_decoder(),
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ]
    return ocsp.create_pkix_ocsp_response_validator_container(decoders, [])


def lint(der: bytes) -> list[str]:
    """Return all findings, of whatever severity, each as `SEVERITY code`.

    Raises:
        ValueError: not a response at all.
    """
    document = loader.RFC6960OCSPResponseDocumentLoader().load_der_document(der, "response")
    results = _validators().validate(document.root)
    return [
        f"{found.finding.severity.name} {found.finding.code}"
        for result in results
        for found in result.finding_descriptions
    ]
