import socket
import subprocess
import sys

from tests.ports import A_PROCESS, free_port


def test_each_port_is_another_one_that_no_client_is_given() -> None:
    ports = [free_port() for _ in range(100)]

    assert len(set(ports)) == 100
    assert max(ports) < 32_768


def test_a_port_where_somebody_listens_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert taken.getsockname()[1] not in {free_port() for _ in range(A_PROCESS)}


def test_no_two_processes_have_a_port_in_common() -> None:
    """A server shares its port with whoever wants it, so that a test would be answered by the store of another one."""
    program = (
        "import sys; from tests.ports import *; print(*{free_port() for _ in range(A_PROCESS)}, flush=True); "
        "sys.stdin.read()"
    )
    command = (sys.executable, "-c", program)
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    ports: list[str] = []
    for process in processes:
        assert process.stdout is not None
        ports += process.stdout.readline().split()
    for process in processes:
        process.communicate()
    assert len(ports) == len(set(ports)) >= 3
    assert not set(ports) & {str(free_port()) for _ in range(A_PROCESS)}
