"""nginx in the foreground, as one process that any user may start, with all its files in one folder."""

from pathlib import Path

from tests.judges.programs import judge

_FRAME = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {blocks}
}}
"""


def nginx_command(folder: Path, blocks: str) -> list[str]:
    """Write a configuration with these blocks of ``http`` and return the command that serves it."""
    file = folder / "nginx.conf"
    file.write_text(_FRAME.format(folder=folder, blocks=blocks))
    return [judge("nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(file)]
