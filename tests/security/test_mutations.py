"""Every safeguard is missed when it is gone: a probe of this suite notices each mutant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from catalogue import DEFINERS, RULES
from drain_probe import DRAINED, set_out
from identity import answers_go_with_their_documents, identity_holds, operators_work
from mutants import Mutant, mutants
from privileges import dump
from probes import Looker, function_leaks, looked_at, table_leaks, view_leaks
from queue_probe import queue_works
from subjects import (
    BY_NAME,
    DRAINER,
    OPENED,
    OPERATORS_ONLY,
    WORKERS_ONLY,
    Connection,
    rolled_back,
)
from test_catalogue import definers
from test_permissions import NEEDS
from world import World, acting
from writes import Granted, door_leaks, granted, powerless_writes, write_leaks

Count = Callable[[str, int], None]

# In the order in which they are likely to notice.
READERS = ("eddy", "admin", "analyst")
CALLERS = ("owner", "other owner", "admin")

# Predicates that another one of the same function makes superfluous, and why, with how many there
# may be. Whoever changes such a function finds out here whether that still holds.
SUPERFLUOUS = {
    "ask_finish": (
        2,
        "joins what ask() has found by uuid, and its document by the number of its body",
    ),
    "ask_for_upkeep": (1, "looks whether a job waits, before it makes one of its own"),
    "check_vector_index": (4, "takes a sample, and only of indexes of more than 2,000 vectors"),
    "delete_documents": (1, "locks rows by uuid"),
    "enqueue_files": (2, "finds the job it has just made, and pieces of one's own, by uuid"),
    "finish_job": (1, "deletes by the number of a job whose lease was checked before"),
    "tick": (1, "deletes by uuid what it has found"),
    "explain_search": (1, "finds a document by uuid"),
    "get_document": (1, "joins the view of one's own by uuid"),
    "list_documents": (1, "joins the view of one's own by uuid"),
    "maintain": (3, "counts vectors, and only above 2,000, and segments to learn words of"),
    "put_documents": (9, "only locks, or joins a row that states it; so does whatever is written"),
    "_leased_job": (1, "reads how often a job was tried whose token is checked after it"),
    "replace_document": (1, "locks a row by uuid, and then reads the view of one's own"),
    "_write_facts": (2, "reads documents that were just written, and their bodies, by number"),
    "index_new_chunks": (
        3,
        "reads the body of a chunk being written by its number; a large batch is its writer's own;"
        " looks whether a language is known",
    ),
    "_documents_with": (1, "widens a text that is compared to decide on one's own fact"),
    "_filter_share": (3, "samples by the numbers of one's own segments, and tells a share"),
    "_filtered_legs": (2, "finds numbers, whose rows state the organization"),
    "forget_answers": (8, "joins by user as well, and nobody but a guest has two organizations"),
    "_open_scope": (2, "numbers of the caller's own workspace"),
    "revoke_api_key": (1, "finds a key by uuid"),
    "add_member": (1, "compares roles before one's own membership is written"),
    "_drop_orphan_bodies": (2, "finds numbers; the delete after it states the organization"),
    "_chunks_with": (2, "finds chunks whose words state the organization"),
    "_diversify": (1, "compares with the chunk chosen last, whose row of its own states it"),
    "_learn_words": (9, "makes hashes of words; no two chunks of a segment here share a new one"),
    "_suggestions": (6, "finds chunks to read, which state it; a title is read by its number"),
    "delete_synonyms": (1, "states scope, language and word; row level security stands behind"),
    "put_synonyms": (1, "states scope, language and word; row level security stands behind"),
    "check_integrity": (6, "counts what is wrong, and nothing of others is"),
    "dedupe": (1, "finds uuids for delete_documents()"),
    "delete_chunk_profile": (1, "finds a row by the number of one's own workspace"),
    "export_chunks": (1, "narrows down to documents of one's own workspace by its number"),
    "rebuild": (2, "finds numbers of texts whose rows state the organization, and counts them"),
    "_spoken_language": (3, "chooses how a query is stemmed, and tells nothing else"),
    "delete_workspace": (1, "finds uuids for delete_documents()"),
    "evaluate": (2, "compares with documents found, which are one's own; numbers of one's own set"),
    "put_judgements": (1, "finds a set by the number of one's own scope and its query's id"),
    "record_feedback": (4, "finds an answer by uuid, its documents by number, and one's own row"),
    "_judged_queries": (2, "joins what was said by one's own number to documents by number"),
    "_ranking_weights": (1, "reads weights by the numbers of one's own scopes"),
    "_stored_run": (1, "finds a run by uuid, or one's own newest"),
    "_workspace_scope": (1, "finds the scope of a workspace that is one's own row"),
    "_resolve_phrases": (2, "narrows down numbers that were found within the organization"),
    "_is_copy": (4, "joins either chunk twice, by its vector and by its words"),
    "_embed_chunks": (
        5,
        "only locks, or finds by the number of one's own chunk and its body",
    ),
    "reembed": (3, "finds numbers; what is written states it; no older table's vectors are kept"),
    "_seal": (1, "numbers a segment"),
    "_surroundings": (2, "finds where a section ends, and a text by the number of one's own body"),
    "_why_not": (2, "finds a document by the number of one's own body"),
    "_drop_postings": (1, "finds stems of numbered chunks; their postings state the organization"),
    "_index_vectors": (2, "finds numbers; the update after it states the organization"),
    "_moved_cosines": (2, "finds numbers of chunks that were found within the organization"),
    "_table_scale": (1, "looks whether a factor applies"),
    "_nearest": (1, "asks how many vectors a partition has"),
    "_purge_postings": (2, "finds numbers, and deletes what was found"),
    "_seal_scope": (3, "finds numbers; what is written states the organization"),
    "_sealed_candidates": (1, "counts segments, to guess how high the best scores are"),
    "_sealed_within": (1, "narrows numbers down that were found within the organization"),
    "_phrases_and_sentences": (
        1,
        "reads the words of chunks by their numbers, and tells two figures of each",
    ),
    "_search": (5, "finds numbers, whose rows state the organization, and narrows down"),
    "_reindex": (3, "only locks; what is deleted and inserted states it"),
    "_stale_segments": (2, "decides from numbers which of one's own segments to make anew"),
    "_workspace": (1, "joins scopes that the context lists"),
    "sources": (1, "joins the view of one's own workspaces by uuid"),
    "begin_sync": (1, "looks whether the job of one's own run is under way"),
    "changed_items": (4, "asks of an item both its number and its documents' uuids: one is enough"),
    "delete_source": (1, "finds uuids for delete_documents()"),
    "put_source": (1, "finds a schedule by a name that holds a uuid"),
    "store_sync": (3, "joins the place of one's own source by number, and documents by uuid"),
    "_forget_items": (1, "finds a run by uuid"),
    "_note_errors": (1, "counts errors, and only above a thousand"),
    "_put_setup": (1, "reads what a setup was, to tell whether it changes"),
    "_source_no": (1, "finds a number by the numbers of one's own workspace and scope"),
    "_sync_run": (1, "finds a run by uuid and by the number of one's own job"),
    "restore_table_vectors": (
        3,
        "reads its own row, the first; finds numbers; takes vectors, which no probe compares",
    ),
    "_table_only": (1, "looks whether a model of the table's space was ever used"),
    "worker on ragdb_data.source_setup": (
        1,
        "lets a worker open what it reads; tried with workers, by the tests of sources",
    ),
    "sd_connections": (1, "joins the view of one's own sources by uuid"),
    "begin_embedding": (4, "reads two rows by the number of a model, and one's own is the first"),
    "_backfill": (2, "locks its own row; vectors in place are of models that all have used alike"),
    "_store_embeddings": (2, "only locks, and counts vectors to choose where to put them"),
    "begin_query_embedding": (
        2,
        "finds by the caller's own number, and tells whether to embed a query",
    ),
    "drop_embedding_model": (1, "counts organizations, each by its own vectors"),
    "leave_embedding_model": (1, "looks whether its model serves, which here it does for both"),
    "use_embedding_model": (1, "looks whether a model serves, which here one does for both"),
    "rollback_embedding_model": (1, "looks whether there is anything to undo"),
    "_confidence": (1, "reads constants of a model, the same for everybody"),
    "_embeds": (1, "is asked about the organization of a row being written"),
    "_forget_embeddings": (3, "finds a query's vector by the number of its user and by hash"),
    "_forget_model_vectors": (1, "lists models; what is deleted states the organization"),
    "_fuse": (2, "completes cosines of chunks found, by their numbers"),
    "_query_vector": (1, "finds by the caller's own number and the hash of their query"),
    "_queue_embedding": (3, "joins the details of a job by its number"),
    "_used_model": (1, "finds a model by name, which here both use"),
    "ask_finish permission": (1, "ask(), which it calls, requires it as well"),
}


class Watch:
    """The probes of the suite, cut to what a mutant touches, on one superuser's connection."""

    def __init__(self, connection: Connection, world: World) -> None:
        self.connection = connection
        self.lookers = {
            name: Looker(connection, world, BY_NAME[name])
            for name in ("owner", "admin", "carol", "eddy", "vera", "analyst", "powerless")
        }
        # Of rows with the same number one comes first: the other organization's owner meets those
        # of this one before their own.
        self.lookers["other owner"] = Looker(connection, world.mirrored(), BY_NAME["owner"])
        self.world = world
        self.calls = {name: list(looked_at(self.lookers[name])) for name in CALLERS}
        self.drainer = Looker(connection, world, DRAINER)
        with rolled_back(connection):
            set_out(connection, world)
            self.drained = list(looked_at(self.drainer, DRAINED))
        self.grants = list(granted(connection, "ragdb_service"))
        self.privileges = dump(connection)
        self.definers = definers(connection)
        self.vital = WORKERS_ONLY | OPERATORS_ONLY
        self.vital |= {
            name
            for (name,) in connection.execute(
                "select proname from pg_proc where prosecdef and pronamespace::regnamespace::text"
                " ~ '^ragdb' or pronamespace = 'ragdb_private'::regnamespace"
            ).fetchall()
        }
        self.unharmed = frozenset(self._complaints(None))

    def notices(self, mutant: Mutant) -> str | None:
        """The first probe that complains of a mutant and did not complain before."""
        with self._mutated(mutant) as is_applied:
            if not is_applied:
                return "refused by PostgreSQL"
            return next((c for c in self._complaints(mutant) if c not in self.unharmed), None)

    @contextmanager
    def _mutated(self, mutant: Mutant) -> Iterator[bool]:
        with rolled_back(self.connection):
            try:
                # Without its organization a loop may wait for a row that never comes.
                self.connection.execute("set local statement_timeout = '2s'")
                self.connection.execute(mutant.statement.encode())
            except psycopg.Error:
                yield False
            else:
                yield True

    def _complaints(self, mutant: Mutant | None) -> Iterator[str]:
        """What the probes say, cheapest first; of everything when there is no mutant."""
        try:
            if mutant is None or mutant.tables:
                yield from self._tables(mutant)
            if mutant is None or mutant.views:
                yield from self._views(mutant)
            if mutant is None or mutant.functions:
                yield from self._functions(mutant)
            yield from self._catalogue()
        except psycopg.Error as error:
            yield f"{type(error).__name__}: {error.diag.message_primary}"

    def _tables(self, mutant: Mutant | None) -> Iterator[str]:
        tables = list(mutant.tables) if mutant else [grant.table for grant in self.grants]
        for name in READERS:
            yield from table_leaks(self.lookers[name], tables)
        grants: list[Granted] = [grant for grant in self.grants if grant.table in tables]
        for name in ("admin", "vera"):
            yield from write_leaks(self.lookers[name], grants)[0]
        yield from powerless_writes(self.lookers["powerless"], grants)[0]
        for name in ("eddy", "carol"):
            yield from door_leaks(self.lookers[name], self.world.acme.emails["eddy"])

    def _views(self, mutant: Mutant | None) -> Iterator[str]:
        views = mutant.views if mutant else ("ragdb.sources",)
        for name in ("eddy", "owner"):
            yield from view_leaks(self.lookers[name], views)

    def _functions(self, mutant: Mutant | None) -> Iterator[str]:
        # What everybody's identity rests on: the definer's functions and what they are made of.
        if mutant is None or mutant.tables or self.vital.intersection(mutant.functions):
            yield from self._people()
        if mutant is None:
            return
        names = set(mutant.functions)
        if mutant.kind == "permission not required":
            yield from self._forbidden(names)
        elif mutant.kind == "organization not stated":
            # Row level security stands behind what is stated: only the owner, whom it does not
            # bind, can tell. The definer's functions are asked as others ask them.
            is_definer = self.vital - OPENED >= names
            for caller in ("admin",) if is_definer else ("owner", "other owner"):
                calls = [call for call in self.calls[caller] if call.function.name in names]
                yield from function_leaks(self.lookers[caller], calls)
            if calls := [call for call in self.drained if call.function.name in names]:
                with rolled_back(self.connection):
                    set_out(self.connection, self.world)
                    yield from function_leaks(self.drainer, calls)

    def _people(self) -> Iterator[str]:
        if not identity_holds(self.connection, self.world):
            yield "somebody is not who they are"
        if not queue_works(self.connection, self.world):
            yield "a worker's work for one organization reaches another"
        if not operators_work(self.connection, self.world):
            yield "operators do not reach the right organization"
        if not answers_go_with_their_documents(self.connection, self.world):
            yield "an answer stays when a document it quotes goes"

    def _forbidden(self, names: set[str]) -> Iterator[str]:
        """Calls that a key without permissions gets an answer to."""
        looker = self.lookers["powerless"]
        with rolled_back(self.connection):
            looker.step_down()
            for name in sorted(names & NEEDS.keys()):
                call = next(c for c in self.calls["admin"] if c.function.name == name)
                error = looker.ask(call.statement, call.arguments).error
                if error[:1] != ("PT403",):
                    yield f"powerless: {call} is not refused: {error}"
        with rolled_back(self.connection):
            with acting(self.connection, "ragdb_service", self.world.acme.keys["carol"]):
                other = self.world.acme.emails["vera"]
                self.connection.execute("select ragdb.create_api_key('x', %s)", (other,))
            yield "a developer makes a key for somebody else"

    def _catalogue(self) -> Iterator[str]:
        for rule, query in RULES.items():
            for row in self.connection.execute(query.encode()).fetchall():
                yield f"{rule}: {row}"
        if definers(self.connection) != self.definers or len(self.definers) != len(DEFINERS):
            yield "the definer functions are not the known ones"
        if dump(self.connection) != self.privileges:
            yield "the privileges are not the committed ones"


@pytest.fixture(scope="module")
def watch(world: World) -> Iterator[Watch]:
    with world.connect() as connection:
        yield Watch(connection, world)


def test_every_mutant_is_noticed(watch: Watch, count: Count) -> None:
    tried: Counter[str] = Counter()
    unnoticed: list[Mutant] = []
    for mutant in mutants(watch.connection):
        tried[mutant.kind] += 1
        if watch.notices(mutant) is None:
            unnoticed.append(mutant)
    superfluous: Counter[str] = Counter(
        mutant.subject for mutant in unnoticed if mutant.subject in SUPERFLUOUS
    )
    for kind, number in tried.items():
        count(f"mutants, {kind}", number)
    count("mutants tried", tried.total() - superfluous.total())
    count("mutants killed", tried.total() - len(unnoticed))
    count("mutants that change nothing", superfluous.total())
    assert tried.total() > 300
    assert [str(m) for m in unnoticed if m.subject not in SUPERFLUOUS] == []
    assert {
        name: number for name, number in superfluous.items() if number > SUPERFLUOUS[name][0]
    } == {}


# Function, what is taken out of it, and what remains.
IDENTITY = (
    ("ragdb_data._context()",
     "ragdb_private.mac(v_payload, (ragdb_private.pads())[1], (ragdb_private.pads())[2])",
     "right(v_context, 64)"),
    ("ragdb_data._context()", "and u.is_active", ""),
    ("ragdb_data._context()", "l.login = session_user", "l.login = current_user"),
    ("ragdb.begin_context(text)", "v_key.revoked_at is not null", "false"),
    ("ragdb.begin_context(text)", "not v_key.is_active", "false"),
    ("ragdb.begin_context(text)", "v_key.expires_at <= now()", "false"),
    ("ragdb_private.visible_scopes(int4, int4, int4)",
     "(s.user_no is null or s.user_no = p_user_no)", "true"),
    ("ragdb_private.visible_scopes(int4, int4, int4)", "m.user_no = p_user_no", "true"),
    ("ragdb_private.visible_scopes(int4, int4, int4)",
     "(p_workspace_no is null or s.workspace_no is null or s.workspace_no = p_workspace_no)",
     "true"),
    ("ragdb_private.visible_scopes(int4, int4, int4)", "or w.is_open", "or true"),
)  # fmt: skip


@pytest.mark.parametrize(("function", "safeguard", "without"), IDENTITY)
def test_identity_checks_are_missed(
    world: World, function: str, safeguard: str, without: str, count: Count
) -> None:
    with world.connect() as connection, rolled_back(connection):
        assert identity_holds(connection, world)
        row = connection.execute(
            "select pg_get_functiondef(%s::regprocedure)", (function,)
        ).fetchone()
        assert row and safeguard in row[0], f"{function} no longer says {safeguard}"
        connection.execute(row[0].replace(safeguard, without, 1).encode())
        count("mutants tried", 1)
        count("mutants killed", 1)
        assert not identity_holds(connection, world)
