"""Signed OCSP responses in object storage: the format, the stores, the reader and the edge.

key.py                     where a certificate lives: shard and bucket
pack.py                    buckets of records, writer beside reader
tables.py                  what many responses share; tables_document.py has its stored form, windows.py that of what is
                           new each night; response.py makes the DER of one from tables and a record
overlay_keys.py            which overlay has which key
manifest.py, commits.py    what a generation consists of, and which one is the truth
history.py                 what a generation leaves behind for the publisher's checks of the next one; overlay_part.py
                           has what it says of overlays, ended_part.py of revocations that have ended, sealed.py the
                           checksums of all
removals.py, markers.py    which objects go away, and which publishers are at work
freshness.py               until when the answers of a generation hold, by issuer and shard
reader.py                  a CertID becomes the DER of its response
request.py                 an OCSP request becomes a CertID; request_path.py finds it in the path of a GET
certificate.py             when certificates of issuers and responders end
der.py, certid.py, document.py    DER, CertIDs and JSON, as far as they are needed; errors.py
stores/, edge/             where objects lie; who answers requests

Imports nothing of `pregen`, and no signing, columnar or cloud code, so that an edge holds none.
"""
