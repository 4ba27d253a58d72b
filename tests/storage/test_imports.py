import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is wanted, but an edge does not have it", name=name)
        return None

sys.meta_path.insert(0, Blocked())
import storage
names = ["storage", *(module.name for module in pkgutil.walk_packages(storage.__path__, "storage."))]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(*names)
"""
BLOCKED = ("pregen", "pyarrow", "numpy", "asn1crypto", "cryptography", "boto3", "botocore", "multiprocess")


def import_all_of_storage(*blocked: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(blocked=set(blocked))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_storage_needs_no_signing_columnar_or_cloud_code() -> None:
    ended = import_all_of_storage(*BLOCKED)

    assert ended.returncode == 0, ended.stderr
    assert {"storage.reader", "storage.pack", "storage.stores.s3", "storage.edge.serving.server"} <= set(
        ended.stdout.split()
    )


def test_the_block_itself_works() -> None:
    ended = import_all_of_storage("xxhash")

    assert ended.returncode == 1
    assert "xxhash is wanted" in ended.stderr


def test_all_but_the_server_itself_needs_no_granian() -> None:
    program = "import sys; sys.modules['granian'] = None; import storage.edge, storage.edge.__main__"

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
