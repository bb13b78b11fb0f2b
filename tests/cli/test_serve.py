"""`ragdb serve`: it answers, it stops when told to."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.request
from urllib.error import URLError

import pytest
from runner import Ragdb


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("by", ["option", "variable"])
def test_serves_until_it_is_told_to_stop(installation: Ragdb, by: str) -> None:
    port = free_port()
    if by == "option":
        process = installation.start("serve", "--port", str(port))
    else:
        process = installation.having(RAGDB_HTTP_PORT=str(port)).start("serve")
    try:
        ready = f"http://127.0.0.1:{port}/health/ready"
        while True:
            assert process.poll() is None, process.communicate()
            try:
                with urllib.request.urlopen(ready) as response:
                    assert json.load(response)["status"] == "ok"
                break
            except URLError:
                time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert str(port) in said and "Traceback" not in said


def test_nothing_to_serve(empty: Ragdb) -> None:
    code, name = empty.problem("serve")
    assert (code, name) == (2, "invalid_setting")
