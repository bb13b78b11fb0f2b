"""The documentation says what is so: its commands run, its references are complete and current.

The language of a fence says what becomes of a block:

    sh       is run by bash, in a directory that holds README.md and docs
    sql      is run by `ragdb psql`, and every statement of it returns rows
    console  shows commands after `$` and, trimmed with `…`, what they print; see `console` below
    text     is no command of ours: a table, a configuration file, a placeholder to fill in
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import psycopg
import pytest
from runner import PROGRAM, Ragdb, fresh_home

from ragdb import settings

ROOT = Path(__file__).parents[2]
QUESTION = "How does ragdb keep organizations apart?"
THIRD_PARTY = ("src/ragdb/static/swagger-ui", "uv.lock")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    place: str
    language: str
    text: str


@pytest.fixture(scope="module")
def home() -> Iterator[Ragdb]:
    with fresh_home() as ragdb:
        yield ragdb


@pytest.fixture(scope="module")
def screen(home: Ragdb) -> str:
    """What `./install.sh` shows: it says which commands it would run, and here they are run.

    Getting the packages is left out; test_install_sh does that.
    """
    dry = subprocess.run(
        [ROOT / "install.sh", "--dry-run"], env=home.variables, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    shown: list[str] = []
    for line in dry.stderr.splitlines():
        if line.startswith("==> "):
            shown.append(line)
        elif line.startswith("would run:") and "/bin/ragdb" in line:
            done = home.run(*shlex.split(line)[3:])
            assert done.returncode == 0, done.stderr
            shown += [done.stdout, done.stderr]
    closing = (ROOT / "install.sh").read_text().rpartition("<<TEXT")[2]
    return "\n".join([*shown, closing.replace("$SECONDS", "9")])


@pytest.fixture(scope="module")
def checkout(screen: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader types: a directory of their own with the files that the blocks name."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "README.md", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    return folder


def pages() -> list[Path]:
    """Every page that somebody is to read; tests/data is for machines."""
    data = ROOT / "tests" / "data"
    return sorted(p for p in project_files() if p.suffix == ".md" and not p.is_relative_to(data))


def project_files() -> Iterator[Path]:
    """What belongs to the project: no other's files, nothing hidden, nothing built."""
    for folder, folders, files in os.walk(ROOT):
        inside = os.path.relpath(folder, ROOT)
        folders[:] = [
            name
            for name in folders
            if (not name.startswith(".") or name == ".ci")
            and name not in ("__pycache__", "node_modules", "dist")
            and os.path.normpath(os.path.join(inside, name)) not in THIRD_PARTY
        ]
        for name in files:
            if os.path.normpath(os.path.join(inside, name)) not in THIRD_PARTY:
                yield Path(folder, name)


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}", found[1], found[2])
        for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/configuration.md",
                                  "docs/operations.md", "docs/servicedesk.md"])  # fmt: skip
def test_commands_run(home: Ragdb, screen: str, checkout: Path, page: str) -> None:
    for block in blocks(ROOT / page):
        match block.language:
            case "sh":
                run_shell(home, block, checkout)
            case "sql":
                run_sql(home, block)
            case "console":
                compare(block, screen)
            case language:
                assert language == "text", f"{block.place}: a fence of no known language"


def run_shell(home: Ragdb, block: Block, checkout: Path) -> None:
    """Run a block as it is, but on a free port; what it left running ends with it."""
    if "curl" in block.text and shutil.which("curl") is None:
        return  # the same requests are made by tests/http
    script = block.text.replace("127.0.0.1:8000", f"127.0.0.1:{(port := free_port())}")
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    ended = "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{ended}\n{script}"],
        env=home.having(PATH=path, RAGDB_HTTP_PORT=str(port)).variables,
        cwd=checkout, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{block.place}\n{done.stdout}{done.stderr}"


def run_sql(home: Ragdb, block: Block) -> None:
    options = ("--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", "-")
    done = home.run("psql", *options, input=block.text.encode())
    assert done.returncode == 0, f"{block.place}\n{done.stderr}"
    assert re.search(r"^\(\d+ rows?\)$", done.stdout, re.MULTILINE), block.place
    assert "(0 rows)" not in done.stdout, f"{block.place}\n{done.stdout}"


def compare(block: Block, screen: str) -> None:
    """A recorded session is true: what is shown appears in this order, whatever the numbers."""
    command, _, shown = block.text.removeprefix("$ ").partition("\n")
    program = shlex.split(command)[0]
    assert program in ("./install.sh", "tests/run"), f"{block.place}: nothing tests {program}"
    assert os.access(ROOT / program, os.X_OK)
    pattern = re.escape(" ".join(shown.split())).replace("…", ".*")
    pattern = re.sub(r"\d+(\\\.\d+)?", r"\\d+(\\.\\d+)?", pattern)
    assert re.search(pattern, " ".join(screen.split())), f"{block.place}\n{screen}"


def test_the_documentation_answers_the_question_that_the_installation_asks(
    home: Ragdb, screen: str
) -> None:
    answer = home.json("ask", QUESTION)
    assert answer["answer"].startswith("ragdb keeps organizations apart with row-level security")
    assert answer["citations"][0]["title"] == "Architecture"
    assert answer["confidence"] > 0.9


@pytest.mark.parametrize(("tool", "page"), [("document_sql.py", "docs/sql.md"),
                                            ("document_cli.py", "docs/cli.md")])  # fmt: skip
def test_references_are_complete_and_current(
    home: Ragdb, screen: str, tool: str, page: str
) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / tool], env=home.variables, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (ROOT / page).read_text() == done.stdout, f"Run: python tools/{tool} > {page}"


def test_comments_on_functions_begin_with_a_summary(home: Ragdb, screen: str) -> None:
    url = settings.load(home.home, {}).database_url
    assert url
    with psycopg.connect(url) as connection:
        summaries = connection.execute(
            "select p.proname, split_part(obj_description(p.oid, 'pg_proc'), e'\\n', 1)"
            "  from pg_proc p where p.pronamespace = 'ragdb'::regnamespace"
            "   and not starts_with(p.proname, '_')"
        ).fetchall()
    assert summaries
    assert [(name, said) for name, said in summaries if not said or len(said) > 100] == []


def test_what_json_holds_is_described(home: Ragdb, screen: str, tmp_path: Path) -> None:
    (tmp_path / "lemons.txt").write_text("Lemons grow on trees.")
    added = home.json("add", tmp_path / "lemons.txt")
    found = home.json("search", "lemons")
    answer = home.json("ask", "Where do lemons grow?")
    failed = home.json("doc", "show", "00000000-0000-0000-0000-000000000000", code=4)
    documented = set(re.findall(r"\w+", (ROOT / "docs" / "cli.md").read_text()))
    for shape in (added, added["files"][0], found, answer, answer["citations"][0], failed["error"]):
        assert shape.keys() <= documented


def test_every_setting_is_described_with_its_default(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))
    defaults = settings.load(tmp_path, {})
    names = {f"RAGDB_{field.name.upper()}": field.name for field in fields(settings.Settings)}
    del names["RAGDB_SOURCES"]
    assert rows.keys() == names.keys()
    for variable, stated in rows.items():
        if stated.startswith("`"):
            assert stated.strip("`") == str(getattr(defaults, names[variable]))

    code = [*(ROOT / "src").rglob("*.py"), *(ROOT / "cli").rglob("*.py"), ROOT / "install.sh"]
    used = set(re.findall(r"\bRAGDB_[A-Z_]+\b", "\n".join(path.read_text() for path in code)))
    described = set(re.findall(r"\b(?:RAGDB_|PG|DATABASE_)[A-Z_]+\b", text))
    assert used <= described
    (tmp_path / "secret").write_text("value")
    for variable in described - used:
        value = str(tmp_path / "secret") if variable.endswith("_FILE") else "value"
        assert variable in settings.load(tmp_path, {variable: value}).sources.values()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert linked.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(linked), target


def anchors(page: Path) -> set[str]:
    """Names under which the headings of a page can be linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_file_speaks_of_the_machine_it_was_written_on() -> None:
    private = re.compile(
        rb"/(?:[w]ork|[r]oot|home/[a-z]\w*|Users/[A-Z]\w*)/"  # somebody's directories
        rb"|[e]xtra-index-url|\[\[tool\.uv\.index|[p]ypi\.org/simple|files\.[p]ythonhosted\.org"
        rb"|https?://[\w.-]+\.(?:internal|intranet|corp|lan)\b"
    )
    found = {
        str(path.relative_to(ROOT)): match[0]
        for path in project_files()
        if (match := private.search(path.read_bytes()))
    }
    assert found == {}
