"""Searches a second from 1, 8 and 32 clients.

ragdb is asked by pgbench, over the socket, in the transaction the service would send: role, context
and search in one round trip, prepared as its driver does. LanceDB is asked by as many threads of
this process.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

from bench.peers import Peer
from bench.search import Scenario, ask_peer
from bench.world import World

CLIENTS = (1, 8, 32)
_SCRIPTS = 60
_TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([\d.]+)", re.MULTILINE)


def measure(
    world: World, asked: list[Scenario], peers: dict[str, Peer], seconds: int,
    say: Callable[[str], None],
) -> Generator[tuple[str, dict[str, dict[str, float]]]]:  # fmt: skip
    """Hybrid searches a second, by tenant size and number of clients."""
    lancedb = peers.get("lancedb")
    for scenario in asked:
        figures: dict[str, dict[str, float]] = {}
        for clients in CLIENTS:
            rate, latency = _pgbench(world, scenario, clients, seconds)
            found = {"ragdb_qps": rate, "ragdb_ms": latency}
            if lancedb is not None:
                found["lancedb_qps"] = _threads(world, scenario, lancedb, clients, seconds)
            figures[str(clients)] = found
            say(f"{scenario.name}, {clients} clients: {rate:,.0f} searches/s")
        yield scenario.name, figures


def _pgbench(world: World, scenario: Scenario, clients: int, seconds: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        files: list[str] = []
        for number, query in enumerate(scenario.queries[:_SCRIPTS]):
            # A colon would be the start of one of pgbench's own variables.
            text = query.text.replace("'", "''").replace(":", " ").replace("\\", " ")
            path = Path(folder) / f"{number}.sql"
            path.write_text(
                "\\startpipeline\nbegin read only;\nset local role ragdb_service;\n"
                f"select ragdb.begin_context('{query.key}');\n"
                f"select * from ragdb.search('{text}', 10);\ncommit;\n\\endpipeline\n"
            )
            files += ["-f", str(path)]
        command = (
            str(world.ragdb.server.binary("pgbench")), "-n", "-M", "prepared", "-c", str(clients),
            "-j", str(min(clients, 2)), "-T", str(seconds), *files, world.ragdb.service_url,
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    rate, latency = _TPS.search(done.stdout), _LATENCY.search(done.stdout)
    if rate is None or latency is None:
        raise RuntimeError(f"pgbench said: {done.stdout}")
    return round(float(rate[1]), 1), float(latency[1])


def _threads(world: World, scenario: Scenario, peer: Peer, clients: int, seconds: int) -> float:
    counts = [0] * clients
    end = time.perf_counter() + seconds

    def ask(client: int) -> None:
        number = client
        while time.perf_counter() < end:
            query = scenario.queries[number % len(scenario.queries)]
            ask_peer(peer, world, scenario, "hybrid", query)
            counts[client] += 1
            number += 1

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return round(sum(counts) / seconds, 1)
