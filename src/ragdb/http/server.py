"""Running the service: a checked database, a server, and one address to tell."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from functools import partial

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server
from litestar import Litestar

from ragdb import __version__
from ragdb.embeddings import minilm
from ragdb.http import logs
from ragdb.http.app import create_app
from ragdb.settings import Settings, SettingsError
from ragdb.startup import require_current


def serve(
    settings: Settings, host: str, port: int, workers: int = 1, with_embeddings: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT; requests that have begun are finished.

    Never migrates: raises VersionMismatch for a database that is not of this version, RagdbError
    where there is none to ask or no model to embed with, SettingsError where none is configured or
    the address is taken.
    """
    if with_embeddings:
        minilm.require()
    if settings.database_url is None:
        raise SettingsError("RAGDB_DATABASE_URL: no database is configured. Run: ragdb init")
    require_current(settings.database_url)
    server = Server(
        "ragdb.http.app",
        address=_free_address(host, port),
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig=logs.CONFIG,
    )
    server.on_startup(partial(_announce, host, port))
    loader = partial(_load, settings, os.getpid(), with_embeddings)
    server.serve(target_loader=loader, wrap_loader=False)


def _load(settings: Settings, parent: int, with_embeddings: bool) -> Litestar:
    """The application, in a worker process that does not outlive its parent."""
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    return create_app(settings, with_embeddings)


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _free_address(host: str, port: int) -> str:
    """The IP address of a host; refuses one in use, which workers would share with its owner."""
    try:
        family, _, _, _, address = min(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SettingsError(
            f"RAGDB_HTTP_HOST, RAGDB_HTTP_PORT: cannot listen at {host}, port {port}:"
            f" {error.strerror}."
        ) from error
    return str(address[0])


def _announce(host: str, port: int) -> None:
    address = f"[{host}]" if ":" in host else host
    url = f"http://{address}:{port}"
    print(f"ragdb {__version__} serves {url} (API reference: {url}/schema)", file=sys.stderr)
