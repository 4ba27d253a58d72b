"""What `pregen demo` shows the world with: a certification authority and a snapshot, made up.

authority.py       root, issuer and responder
certificates.py    a snapshot
incident.py        a CA in the hours after a mistake with time zones (`pregen demo --incident`)
databases.py       its two databases, the sync between them, and their exports
asking.py          an edge in this process, asked about many certificates
"""

from pregen.demo.authority import make_authority
from pregen.demo.certificates import write_snapshot

__all__ = ["make_authority", "write_snapshot"]
