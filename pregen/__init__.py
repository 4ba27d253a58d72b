"""Sign all OCSP responses ahead of time, in bulk, and publish them to object storage."""

__version__ = "0.1.0"
