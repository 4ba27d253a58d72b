"""What `pregen demo` shows the world with: a certification authority and a snapshot, made up.

authority.py       root, issuer and responder
certificates.py    a snapshot
"""

from pregen.demo.authority import make_authority
from pregen.demo.certificates import write_snapshot

__all__ = ["make_authority", "write_snapshot"]
