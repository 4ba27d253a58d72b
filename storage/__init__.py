"""Signed OCSP responses in object storage: the format, the stores, the reader and the edge.

Imports nothing of `pregen`, and no signing, columnar or cloud code, so that an edge holds none.
"""
