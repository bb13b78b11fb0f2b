"""install.sh in a copy of the project: packages, database, documents, an answer; then all again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A short directory that any user may enter."""
    place = Path(tempfile.mkdtemp(prefix="ragdb-", dir="/var/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def checkout(place: Path) -> Path:
    copied = shutil.ignore_patterns(".venv", ".git", ".*_cache", "__pycache__", "tests")
    return Path(shutil.copytree(ROOT, place / "checkout", ignore=copied))


def environ(home: Path, **variables: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "RAGDB_")) and name not in ("DATABASE_URL", "VIRTUAL_ENV")
    }
    return kept | {"RAGDB_HOME": str(home)} | variables


def install(
    checkout: Path, home: Path, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "install.sh", *arguments], env=environ(home, **variables), cwd="/",
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def ragdb(checkout: Path, home: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [checkout / ".venv" / "bin" / "ragdb", *arguments, "--json"], env=environ(home),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_from_nothing_to_an_answer_and_again(checkout: Path, place: Path) -> None:
    home = place / "home"
    notes = place / "notes"
    notes.mkdir()
    (notes / "lemons.txt").write_text("Lemons grow on trees in warm countries.")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")

    dry = install(checkout, home, "--dry-run", notes)
    assert dry.returncode == 0 and "would run:" in dry.stderr
    assert not home.exists() and not (checkout / ".venv").exists()

    first = install(checkout, home, notes)
    assert first.returncode == 0, first.stderr
    assert "broken.pdf" in first.stderr  # reported, and no reason to stop
    question = re.search(r"Asking: (.*)", first.stderr)
    assert question
    answer = ragdb(checkout, home, "ask", question[1])
    assert answer["found"] and answer["citations"]
    for citation in answer["citations"]:
        text = ragdb(checkout, home, "doc", "show", citation["document_id"])["content"]
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert citation["document_id"] in first.stdout
    shown = answer["answer"].strip()
    assert shown in first.stdout
    closing = re.search(r"answered in \d+ s\. Next:\n\n((?:  .+\n){3})", first.stdout)
    assert closing
    assert ragdb(checkout, home, "search", "lemons")["results"]

    before = state(checkout, home)
    second = install(checkout, home, notes)
    assert second.returncode == 0, second.stderr
    assert "Nothing to change." in second.stderr
    assert re.sub(r"\d+", "", second.stdout).endswith(re.sub(r"\d+", "", closing[0]))
    assert shown in second.stdout
    assert state(checkout, home) == before

    removed = install(checkout, home, "--uninstall")
    assert removed.returncode == 0 and str(home) in removed.stderr
    assert not (checkout / ".venv").exists()
    assert (home / "data").is_dir() and (home / "credentials").is_file()
    assert not (home / "data" / "postmaster.pid").exists()


def state(checkout: Path, home: Path) -> tuple[object, ...]:
    """What a second run must leave as it is."""
    packages = sorted(path.name for path in (checkout / ".venv").glob("lib/*/site-packages/*"))
    return (
        packages,
        (home / "credentials").read_bytes(),
        ragdb(checkout, home, "doc", "list", "--limit", "1000"),
        ragdb(checkout, home, "key", "list")["keys"][0]["key_id"],
        ragdb(checkout, home, "status")["server"]["pid"],
    )


def test_packages_without_a_network(checkout: Path, place: Path) -> None:
    """With a package instead of all, and one of an extra: the command's help needs no other."""
    small = Path(shutil.copytree(checkout, place / "small"))
    lock = (small / "requirements.lock").read_text()
    only = re.search(r"^click==.*?(?=^\S)", lock, re.MULTILINE | re.DOTALL)
    assert only
    (small / "requirements.lock").write_text(only[0])
    lock = (small / "requirements-databases.lock").read_text()
    extra = re.search(r"^pymysql==.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert extra
    (small / "requirements-databases.lock").write_text(only[0] + extra[0])
    wheels = place / "wheels"
    environment = place / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    download = [environment / "bin" / "pip", "download", "--quiet", "--dest", wheels]
    locks = ["-r", small / "requirements.lock", "-r", small / "requirements-databases.lock"]
    for wanted in (locks, ["hatchling==1.33.0", "editables"]):
        subprocess.run([*download, *wanted], check=True, capture_output=True)

    # A proxy that is not there stands for a network that is not there.
    offline = {"RAGDB_WHEELHOUSE": str(wheels), "HTTPS_PROXY": "http://127.0.0.1:9"}
    extra = ("--packages-only", "--extra=databases")
    done = install(small, place / "nowhere", *extra, **offline)
    assert done.returncode == 0, done.stderr
    subprocess.run([small / ".venv" / "bin" / "python", "-c", "import pymysql"], check=True)
    said = subprocess.run(
        [small / ".venv" / "bin" / "ragdb", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("ragdb ")
    stamp = small / ".venv" / "requirements.sha256"
    before = stamp.stat().st_mtime_ns
    assert install(small, place / "nowhere", "--packages-only", **offline).returncode == 0
    assert stamp.stat().st_mtime_ns == before
    assert not (place / "nowhere").exists()


def test_extras_are_asked_for_once(checkout: Path, place: Path) -> None:
    nowhere = place / "nowhere"
    packages = ("--packages-only", "--extra")
    for wrong, said in (("oracle", "There is no extra oracle."), ("", "no extra without a name")):
        done = install(checkout, nowhere, *packages, wrong)
        assert done.returncode == 1 and said in done.stderr
        assert "hint: One of: databases local" in done.stderr
    assert install(checkout, nowhere, *packages).returncode == 2

    with_extra = [*packages, "databases"]
    dry = install(checkout, nowhere, "--dry-run", *with_extra)
    assert ", with databases, into" in dry.stderr and not (checkout / ".venv").exists()
    done = install(checkout, nowhere, *with_extra)
    assert done.returncode == 0, done.stderr
    python = checkout / ".venv" / "bin" / "python"
    drivers = [python, "-c", "import pymysql, oracledb"]
    subprocess.run(drivers, check=True)
    # An upgrade installs them too. (Packages may be links into a cache: none is written to.)
    for folder in (checkout / ".venv").glob("lib/*/site-packages/pymysql*"):
        shutil.rmtree(folder)
    again = install(checkout, nowhere, "--packages-only")
    assert again.returncode == 0, again.stderr
    subprocess.run(drivers, check=True)
    assert ", with databases, into" in install(checkout, nowhere, "--dry-run").stderr
    assert install(checkout, nowhere, "--uninstall").returncode == 0
    assert ", with" not in install(checkout, nowhere, "--dry-run").stderr


def test_no_python_that_fits(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "env"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    old = programs / "python3"
    old.write_text("#!/bin/bash\nexit 1\n")
    old.chmod(0o755)
    done = install(checkout, tmp_path / "home", PATH=str(programs))
    assert done.returncode == 1
    assert "error: No Python from 3.11 to 3.13 was found." in done.stderr
    assert "hint: Install one" in done.stderr


def test_unknown_option(checkout: Path, tmp_path: Path) -> None:
    done = install(checkout, tmp_path / "home", "--everything")
    assert done.returncode == 2 and "unknown option --everything" in done.stderr
    assert install(checkout, tmp_path / "home", "--help").stdout.startswith("Usage:")


@pytest.mark.parametrize("extra", ["", "databases", "local"])
def test_requirements_are_those_of_the_lock(extra: str) -> None:
    """They are what uv.lock says: the same packages, versions and hashes."""
    lock = f"requirements-{extra}.lock" if extra else "requirements.lock"
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    by_name = {package["name"]: package for package in packages}
    needed: set[str] = set()
    waiting = [("ragdb", ""), ("ragdb", extra)]
    while waiting:
        name, part = waiting.pop()
        package = by_name[name]
        wanted = package.get("optional-dependencies", {}).get(part, [])
        if name not in needed:
            needed.add(name)
            wanted = [*wanted, *package.get("dependencies", [])]
        for dependency in wanted:
            new = [(dependency["name"], part) for part in ("", *dependency.get("extra", []))]
            waiting += [pair for pair in new if pair[0] not in needed or pair[1]]
    # Of some there is one version for each of several Pythons.
    expected = {
        f"{package['name']}=={package['version']}": {
            file["hash"] for file in (*package.get("wheels", []), package.get("sdist")) if file
        }
        for package in packages
        if package["name"] in needed - {"ragdb"}
    }
    exported: dict[str, set[str]] = {}
    for block in re.split(r"\n(?=[^\s#])", (ROOT / lock).read_text()):
        if found := re.match(r"([^\s;]+==[^\s;]+)", block):
            exported[found[1]] = set(re.findall(r"--hash=(\S+)", block))
    assert exported == expected, (
        f"Run: uv export --frozen --no-dev {extra and f'--extra {extra} '}--no-emit-project"
        f" --no-annotate --format requirements-txt -o {lock}"
    )


def test_compose_file() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = compose["services"]
    volumes = {mount.partition(":")[0] for s in services.values() for mount in s["volumes"]}
    assert volumes == set(compose["volumes"])
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        if "build" in service:
            dockerfile = ROOT / service["build"]["context"] / service["build"]["dockerfile"]
            copied = re.findall(r"^COPY (.+) \S+$", dockerfile.read_text(), re.MULTILINE)
            assert copied
            for name in " ".join(copied).split():
                assert (ROOT / name).exists(), name
