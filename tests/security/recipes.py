"""What each argument of the API is called with: a value of one's own, and values of others.

Arguments are known by name, so that a new function is covered as soon as it is created, and one
with an argument that is not known here fails the suite.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import psycopg
from routines import Call, Function
from sourced import SEALED_ALIKE
from subjects import Subject
from world import COMMON, Item, World

QUESTION = "How often do keys rotate?"

# Not asked with values of others:
EXEMPT = frozenset({
    # An account is one in all organizations. What adding it shows has a test of its own.
    ("add_member", "p_email"),
})  # fmt: skip


class NoRecipe(AssertionError):
    """A function has an argument that this module does not know."""


class Recipes:
    """Values for one subject."""

    def __init__(self, connection: psycopg.Connection[Any], world: World, subject: Subject) -> None:
        self.world, self.subject = world, subject
        acme, globex = world.acme, world.globex
        candidates = [
            globex.items[0], acme.items_of("acme/closed")[0], acme.items_of("acme/carol")[0],
            globex.items_of("globex/carol")[0],
        ]  # fmt: skip
        self.others = [item for item in candidates if item.domain not in subject.sees]
        # The second one: no answer quotes it, so that deleting it takes nothing from others.
        self.own = acme.items[1]
        row = connection.execute(
            """
            select ragdb_data._terms('english', %s), ragdb.embed(%s)::text,
                   (select workspace_no from ragdb_data.workspace
                     where org_no = %s and slug = 'default'),
                   array(select workspace_no from ragdb_data.workspace
                          where not is_open or org_no <> %s),
                   (select id from ragdb_data.workspace where org_no = %s and slug = 'default'),
                   array(select id from ragdb_data.workspace where not is_open or org_no <> %s)
            """,
            (QUESTION, QUESTION, *[acme.org_no] * 4),
        ).fetchone()
        assert row
        self.terms, self.embedding, self.workspace_no, self.workspace_nos = row[:4]
        self.workspace_id, self.workspace_ids = row[4:]
        models = connection.execute(
            "select m::text, m.model_no from ragdb_data.embedding_model m order by m.model_no"
        ).fetchall()
        self.models, self.model_nos = [model for model, _ in models], [no for _, no in models]
        [(self.hashes,)] = connection.execute(
            "select array_agg(encode(t.sha256, 'hex')) from unnest(%s::int8[]) u(chunk_no)"
            " join ragdb_data._embedding_texts(%s, %s, '') t using (chunk_no)",
            (self.own.chunk_nos, acme.org_no, self.own.chunk_nos),
        ).fetchall()
        rows = connection.execute(
            "select s::text, s.source_no from ragdb_data.data_source s where s.id = any (%s)"
            " order by s.org_no <> %s",
            ([party.ids["source"] for party in (acme, globex)], acme.org_no),
        ).fetchall()
        self.source_rows, self.source_nos = (
            (own, [foreign]) for own, foreign in zip(*rows, strict=True)
        )
        self.known = self._known()

    def calls(self, function: Function) -> Iterator[Call]:
        """With defaults only, with everything one's own, and with each argument somebody else's."""
        base = {name: self._own(function, name, type_) for name, type_, _ in function.arguments}
        types = {name: type_ for name, type_, _ in function.arguments}

        def call(values: dict[str, Any]) -> Call:
            return Call(
                function, tuple((name, types[name], value) for name, value in values.items())
            )

        yield call(base)
        if any(has_default for _, _, has_default in function.arguments):
            yield self.plainest(function)
        if not function.is_pure:
            for name, type_ in types.items():
                for value in self._foreign(function, name, type_):
                    yield call({**base, name: value})
            for values in self._together(function.name):
                yield call({**base, **values})

    def plainest(self, function: Function) -> Call:
        """The call with defaults wherever there are any."""
        values = (
            (name, type_, self._own(function, name, type_))
            for name, type_, has_default in function.arguments
            if not has_default
        )
        return Call(function, tuple(values))

    def _own(self, function: Function, name: str, type_: str) -> Any:
        for key in (f"{function.name} {name}", f"{name} {type_}", name):
            if key in self.known:
                return self.known[key][0]
        if function.is_pure:
            return _plain(type_)
        raise NoRecipe(f"{function.name}: no recipe for the argument {name} {type_}")

    def _together(self, function: str) -> list[dict[str, Any]]:
        """Arguments that matter together: names and texts that both organizations have."""
        ids = self.world.acme.ids
        shared = {"p_source": "default", "p_workspace": "default", "p_visibility": "workspace"}
        texts = {"common": COMMON + " Changed.", "one": COMMON + " Changed too.", "new": COMMON}
        puts = [
            {"external_id": name, "title": "Common", "content": text}
            for name, text in texts.items()
        ]
        changed = (
            {
                **self.world.acme.items[2].fields,
                "p_content": COMMON,
                "p_workspace": "default",
                "p_visibility": "organization",
            }
            if self.subject.bypasses_policies
            else {}
        )
        # Some of whose numbers are those of the other organization's documents.
        everybody = (
            [item.id for party in (self.world.acme, self.world.globex) for item in party.items]
            if self.subject.bypasses_policies
            else []
        )
        cited = [self.world.acme.items[0].id] if self.subject.bypasses_policies else []
        question = {"p_question": "Which text is said twice?", "p_limit": 3, "p_filters": None}
        return {
            "put_documents": [{**shared, "p_documents": json.dumps([put])} for put in puts],
            "put_document": [
                {
                    **shared, "p_external_id": put["external_id"], "p_title": "Common",
                    "p_content": put["content"], "p_chunking": None,
                }
                for put in puts
            ] + [changed],
            "delete_documents": [
                {"p_document_ids": [id_]} for id_ in (ids["common"], ids.get("one"), *cited) if id_
            ],
            # Whoever configures the organization deletes others' jobs with what they said.
            "delete_old_jobs": [{"p_older_than": "0"} for _ in cited],
            "get_original": [{"p_document_id": id_} for id_ in everybody],
            "keep_original": [
                {"p_document_id": id_, "p_name": n, "p_mime": "text/plain", "p_content": b"Common"}
                for id_ in everybody
                for n in ("common.txt", "other.txt")
            ],
            "trim_parts": [
                {**shared, "p_external_ids": [name], "p_parts": [2]} for name in texts
            ],
            "search": [{"p_query": "said twice", "p_filters": None}],
            "ask": [question],
            "ask_finish": [{**question, "p_generated": None}],
            "_passages": [question],
            "_chunks_with": [
                {"p_terms": self.terms[1:3], "p_scopes": [*range(6)]},
                {"p_terms": self.terms[2:3], "p_scopes": [*range(6)]},
            ],
            "_phrase_terms": [{"p_phrase": "keys rotate"}],
            "_resolve_phrases": [
                {
                    "p_phrases": phrases, "p_required": None, "p_excluded": excluded,
                    "p_chunks": None, "p_bodies": None,
                }
                for phrases, excluded in ((["keys rotate"], None), (None, ["vault"]))
            ] + [
                {
                    "p_phrases": None, "p_required": None, "p_excluded": ["vault"],
                    "p_chunks": None, "p_bodies": None, "p_few": 0,
                }
            ],
            "_surroundings": [{"p_chunk_no": n, "p_section": False} for n in range(1, 30)],
            "_why_not": [{"p_filters": '{"label": "none"}', "p_workspace": None}],
            "_diversify": [{"p_chunks": [*range(1, 30)], "p_scores": [1.0] * 29}],
            "_fuse_queries": [
                {"p_ranked": ranked([*range(1, 30)]), "p_query_nos": [1] * 29}
            ],
            "put_synonyms": [
                {"p_word": "keys", "p_synonyms": ["passkeys"], "p_workspace": None}
            ],
            "delete_synonyms": [{"p_word": "keys", "p_synonyms": None, "p_workspace": None}],
            "suggest": [{"p_query": "vualt of kyes in the valut rotaet nynety"}],
            "corrected_query": [{"p_query": "vualt of kyes in the valut rotaet nynety"}],
            "_suggestions": [
                {"p_query": "vualt of kyes rotaet nynety", "p_scopes": [*range(6)]}
            ],
            "_fuse": [{"p_sealed_chunks": [*range(1, 30)]}],
            "_sealed_among": [{"p_chunks": [*range(1, 30)]}],
            "_rewrite_body": [{"p_body_no": self.world.acme.items[0].body_no} for _ in cited],
            "_seal": [{"p_chunks": [*range(1, 30)]}],
            "_nearest": [{"p_matching": 20_000, "p_depth": 3}],
            "_documents_where": [
                {"p_key": key, "p_operator": operator, "p_operand": operand}
                for key, operator, operand in (
                    ("title", "exists", "true"), ("title", "contains", '"COMMON"'),
                    ("title", "gt", '"A"'), ("title", "eq", '"Common"'),
                    ("title", "ne", '"Common"'),
                    ("date", "gte", '"2020-01-01"'), ("metadata.area.name", "eq", "7"),
                )
            ],
            "_documents_with": [
                {"p_key": "title", "p_operator": "exists", "p_among": None},
                {"p_key": "title", "p_operator": "any", "p_values": ["Common"], "p_among": None},
                {"p_key": "title", "p_operator": "gt", "p_values": ["A"], "p_among": None},
                {"p_key": "title", "p_operator": "contains", "p_part": "common", "p_among": None},
                {"p_key": "date", "p_operator": "gte", "p_number": 0, "p_among": None},
                {"p_key": "date", "p_operator": "gte", "p_number": 0, "p_among": [*range(1, 30)]},
            ],
            "_documents_except": [{"p_among": None}],
            "_matching_documents": [{"p_among": None}],
            "_filtered": [{"p_filters": "{}"}],
            "put_source": [{"p_name": ids["source_name"], "p_cron": c} for c in (None, "@daily")],
            "enqueue_job": [{"p_kind": "put_documents", "p_idempotency_key": "twice"}],
            "list_jobs": [{"p_limit": 1, "p_after": None, "p_status": None, "p_kind": None}],
            "reseal_source": [
                {"p_source_id": ids["desk"], "p_old_secrets": SEALED_ALIKE}
            ],
            "begin_sync": [{"p_source_id": ids["stale"]} for _ in cited],
            "_sync_run": [
                {"p_run_id": ids["stale_run"], "p_job_id": ids["stale_job"]} for _ in cited
            ],
            "store_sync": [{
                "p_documents": json.dumps([{"external_id": "common", "content": "Common."}]),
                "p_items": '[{"external_id": "common", "fingerprint": "3", "first": 1, "last": 1,'
                           ' "keep": ["common"]}]',
            }],
            "_forget_items": [{"p_hashes": [sha256(b"common").digest()]}],
            "_filter_share": [{"p_filters": "{}"}],
            "_filtered_legs": [{"p_filters": "{}"}],
            "_search": [{"p_query": "said twice", "p_filters": None}],
        }.get(function, [])  # fmt: skip

    def _foreign(self, function: Function, name: str, type_: str) -> list[Any]:
        if (function.name, name) in EXEMPT:
            return []
        for key in (f"{function.name} {name}", f"{name} {type_}", name):
            if key in self.known:
                return self.known[key][1]
        return []

    def _of_others(self, field: str) -> list[Any]:
        return [item.fields[field] for item in self.others]

    def _filters(self, item: Item) -> list[str]:
        metadata = next(iter(json.loads(item.fields["p_metadata"])))
        return [
            json.dumps(made)
            for made in (
                {"document": item.id},
                {"not": {"document": item.fields["p_external_id"]}},
                {"title": {"contains": item.fields["p_title"].split()[1].upper()}},
                {f"metadata.{metadata}": {"exists": True}},
                {
                    "or": [
                        {"source": item.fields["p_source"]},
                        {"label": item.fields["p_labels"][0]},
                    ]
                },
                {"title": {"gte": "V"}, "metadata.area.name": {"ne": 8}},
            )
        ]

    def _known(self) -> dict[str, tuple[Any, list[Any]]]:
        world, own, others = self.world, self.own, self.others
        acme, globex = world.acme, world.globex
        asked = [item.fields["p_content"].removeprefix(COMMON) for item in others]
        workspaces = [globex.closed, globex.ids["closed"]]
        if "acme/closed" not in self.subject.sees:
            workspaces += [acme.closed, acme.ids["closed"]]
        filters = [made for item in others for made in self._filters(item)]
        question = (QUESTION, asked)
        ids = (own.id, [item.id for item in others])
        source = (own.fields["p_source"], self._of_others("p_source"))
        content = (own.fields["p_content"], self._of_others("p_content"))
        chunks = (own.chunk_nos, [item.chunk_nos for item in others])
        return {
            "p_query": question,
            "p_question": question,
            "p_text": (own.fields["p_content"] + " [1]", [text + " [1]" for text in asked]),
            "p_generated": (f"{COMMON} [1]", [f"{text} [1]" for text in asked]),
            "p_content": content,
            "p_filters": ('{"label": "policy"}', filters),
            "p_filter": ('{"label": "policy"}', filters),
            "p_key": ("document", ["title", "source"]),
            "p_operator": ("eq", ["ne", "exists"]),
            "p_operand": (json.dumps(own.id), [json.dumps(item.id) for item in others]),
            "p_mode": ("hybrid", ["keyword", "vector"]),
            "p_workspace": ("default", workspaces),
            "p_workspace_no": (self.workspace_no, self.workspace_nos),
            "p_workspace_id": (self.workspace_id, self.workspace_ids),
            "_matching_documents p_depth": (1, []),
            "p_document_id": ids,
            "p_document_ids": ([own.id], [[item.id for item in others]]),
            "p_source": source,
            "p_name": source,
            **self._about_models(),
            "p_external_id": (own.fields["p_external_id"], self._of_others("p_external_id")),
            "p_documents jsonb": (
                json.dumps([_document(own)]), [json.dumps([_document(item)]) for item in others]
            ),
            "p_document": (json.dumps(_document(own)), []),
            "keep_original p_content": (b"%PDF", []),
            "p_external_ids": (
                [own.fields["p_external_id"]], [[name] for name in self._of_others("p_external_id")]
            ),
            "p_parts": ([2], []),
            "p_documents bigint[]": ([own.document_no], [[item.document_no] for item in others]),
            "p_among": ([own.document_no], [[item.document_no for item in others]]),
            "p_document_nos": ([own.document_no], [[item.document_no for item in others]]),
            "_write_facts p_new": ([], []),
            "p_body_nos": ([own.body_no], [[item.body_no for item in others]]),
            "p_body_no": (own.body_no, [item.body_no for item in others]),
            "p_chunk_ids": chunks,
            "p_chunks": (None, chunks[1]),
            "_seal p_chunks": chunks,
            "_embed_chunks p_chunks": chunks,
            "p_vector_chunks": chunks,
            "p_seeds": chunks,
            "_phrases_and_sentences p_chunks": chunks,
            "p_pairs": ([self.terms[0] << 32 | self.terms[1]], []),
            "p_pair_idfs": ([2.0], []),
            "p_greatest": (1.0, []),
            "p_org_no": (acme.org_no, [] if self.subject.bypasses_policies else [globex.org_no]),
            "p_scopes": ([0, 1], [list(range(50))]),
            "p_email": (acme.emails["vera"], [globex.emails["carol"]]),
            "p_key_id": (acme.ids["key"], [globex.ids["key"]]),
            "p_slug": ("made-here", [globex.slug, globex.closed]),
            "p_org": (acme.slug, []),
            "p_visibility": ("workspace", ["private", "organization"]),
            "p_credential": ("rdb_of_nobody", []),
            "p_permission": ("rag:read", ["*"]),
            "p_permissions": (["rag:read"], []),
            "p_role": ("viewer", ["admin"]),
            "p_language": ("english", []),
            "p_terms": (self.terms, []),
            "p_embedding": (self.embedding, []),
            "p_cosines": ([0.5] * len(own.chunk_nos), []),
            "p_vector_weight": (1.0, []),
            "p_phrase_weight": (0.25, []),
            "p_sentence_weight": (0.3, []),
            "p_sealed_terms": (self.terms, []),
            "p_sealed_dfs": ([1.0] * len(self.terms), []),
            "p_sealed_chunks": chunks,
            "p_scope_no": (own.scope_no, [item.scope_no for item in others]),
            "p_bodies": (None, [[item.body_no] for item in others]),
            "p_matching": (5, [20_000]),
            "p_share": (0.5, []),
            "p_least": (1, []),
            "p_values": ([own.fields["p_title"]], [[t] for t in self._of_others("p_title")]),
            "p_number": (None, []),
            "p_part": (None, []),
            "p_depth": (100, []),
            "p_vector_depth": (100, []),
            "p_has_all_vectors": (False, [True]),
            "p_has_models": (False, [True]),
            "p_stems": (self.terms, []),
            "p_idfs": ([1.0] * len(self.terms), []),
            "p_weights": ([1.0] * len(self.terms), []),
            "p_priors": ([1.0] * len(self.terms), []),
            "p_idf_total": (9.0, []),
            "p_idf_sums": ([9.0] * len(own.chunk_nos), []),
            "p_idf_maxima": ([1.0] * len(own.chunk_nos), []),
            "p_sealed": chunks,
            "p_wanted": chunks,
            "p_kind": ("maintain", ["put_documents"]),
            "p_payload": ('{"documents": []}', []),
            "p_queue": ("sync", []),
            "p_priority": (3, []),
            "p_run_at": ("2100-01-01", []),
            "p_idempotency_key": ("mine", [globex.ids["idempotency"]]),
            "p_upload_id": (
                acme.ids["upload/admin"],
                [globex.ids["upload/admin"], acme.ids["upload/carol"]],
            ),
            "get_upload p_piece": (0, []),
            "put_upload p_piece": (1, []),
            "put_upload p_content": (b"Common", []),
            "enqueue_files p_payload": (
                _files(acme.ids["upload/admin"]),
                [_files(globex.ids["upload/admin"]), _files(acme.ids["upload/carol"])],
            ),
            "p_job_id": (acme.ids["job"], [globex.ids["job"]]),
            "p_source_id": (acme.ids["source"], [globex.ids["source"]]),
            "p_run_id": (acme.ids["run"], [globex.ids["run"]]),
            **{
                f"{name} p_job_id": (acme.ids["sync_job"], [globex.ids["sync_job"]])
                for name in (
                    "begin_sync", "changed_items", "store_sync", "sweep_sync", "end_sync",
                    "_sync_run",
                )
            },
            "p_full": (False, [True]),
            "p_sweep_limit": (1.0, []),
            "p_type": ("file", []),
            "put_sd_connection p_name": ("made here", self._of_others("p_source")),
            "p_db_type": ("mysql", []),
            "p_table_mappings": ('[{"table": "made here", "id": "id"}]', []),
            "p_connection_string": (b"sealed" * 8, []),
            "put_sd_connection p_options": ('{"encoding": "latin-1"}', []),
            "p_sync_schedule": ("0 4 * * *", []),
            "put_source p_name": ("made here", self._of_others("p_source")),
            "_put_setup p_config": ('{"path": "/srv/made-here"}', []),
            "put_source p_config": ('{"path": "/srv/made-here"}', []),
            "p_secrets": (b"sealed" * 8, []),
            "_secret_places p_config": ('{"url": "https://made-here.test"}', []),
            "p_keys": ('{"path": {"is": "text"}}', []),
            "_check_config p_value": ('{"path": "/srv"}', []),
            "p_path": ("", []),
            "p_items": (
                '[{"external_id": "made here", "fingerprint": "1"}]',
                [json.dumps([{"external_id": "common", "fingerprint": f}]) for f in "12"],
            ),
            "store_sync p_documents": ("[]", []),
            "p_deleted": (["made here"], [["common"]]),
            "p_source ragdb_data.data_source": self.source_rows,
            "p_source_no": self.source_nos,
            "p_kept": (1, [0]),
            "p_errors": ('[{"external_id": "made here", "error": "x", "message": "y"}]', []),
            "p_cursor": ('{"page": 2}', []),
            "p_gap": (False, []),
            "p_must_return": (False, []),
            "p_restart": (False, [True]),
            "p_error": (None, []),
            "p_message": (None, []),
            "p_old_secrets": (b"sealed" * 8, []),
            "p_new_secrets": (b"sealed" * 8, []),
            "p_hashes": ([b"0" * 32], []),
            "list_jobs p_after": (acme.ids["job"], [globex.ids["job"]]),
            "p_status": ("queued", ["failed"]),
            "p_older_than": ("100 years", []),
            "p_cron": ("30 2 * * *", []),
            "p_time_zone": ("Europe/Berlin", []),
            "p_after bigint": (0, []),
            "delete_workspace p_workspace": (list(acme.workspaces)[1], workspaces),
            "p_records": ('[{"id": "mine", "content": "Chunks are carried over."}]', []),
            "p_after timestamp with time zone": ("2026-01-01", []),
            "p_is_enabled": (True, []),
            "put_schedule p_name": ("nightly", [globex.ids["schedule"]]),
            "delete_schedule p_name": ("nightly", [globex.ids["schedule"]]),
            "p_tail": (5, []),
            "p_leave": (0, []),
            "p_waiting": (0, []),
            "p_queries text[]": (["rotate keys"], [[text] for text in asked]),
            "p_queries integer": (1, []),
            "p_correct": (True, []),
            "p_diversity": (0.3, []),
            "p_per_document": (1, []),
            "p_distinct": (True, []),
            "p_boosts": ('{"recency": {}, "labels": {"policy": 0.3}}', []),
            "p_min_score": (0.1, []),
            "p_neighbours": (1, []),
            "p_section": (True, []),
            "p_chunk": (own.chunk_nos[0], [item.chunk_nos[0] for item in others]),
            "p_chunk_no": (own.chunk_nos[0], [item.chunk_nos[0] for item in others]),
            "p_chunk_nos": chunks,
            "p_shown": chunks,
            "p_passages": chunks,
            "p_ranked": (ranked(own.chunk_nos), [ranked(item.chunk_nos) for item in others]),
            "p_query_nos": ([1] * len(own.chunk_nos), []),
            "p_window": (50, []),
            "p_few": (1000, []),
            "p_word": ("vault", [word for text in asked for word in text.split()[-1:]]),
            "p_synonyms": (["cellar"], [[word] for t in asked for word in t.split()[-1:]]),
            "p_weight": (0.5, []),
            "p_both_ways": (True, []),
            "p_phrase": ("keys rotate", asked),
            "p_phrases": (["keys rotate"], [[text] for text in asked]),
            "p_required": (None, [[text] for text in asked]),
            "p_excluded": (None, [[text] for text in asked]),
            "p_term_weights": (None, []),
            "explain_search p_document": ids,
            "list_documents p_after": (None, ["d1", "dffffff"]),
            "p_n": (5, []),
            "p_length": (20, []),
            "p_dead": ([], []),
            "list_sync_runs p_limit": (5, [1]),
            "p_limit": (5, [1000]),
            "p_sample": (5, [1]),
            "p_offset": (0, [1]),
            "p_explain": (True, []),
            "p_is_open": (True, [False]),
            "p_contents": ([own.fields["p_content"]], []),
            "p_scores": ([1.0], []),
            "p_model": ("a-model", []),
            "p_title": (own.fields["p_title"], self._of_others("p_title")),
            "p_url": (own.fields["p_url"], []),
            "p_mime": ("text/plain", []),
            "p_metadata": (own.fields["p_metadata"], self._of_others("p_metadata")),
            "p_labels": (own.fields["p_labels"], self._of_others("p_labels")),
            "p_date": (own.fields["p_date"], []),
            "p_profile": ('"sentences"', []),
            "p_profiles": ('{"*": {}}', []),
            "p_chunking": ('{"size": 64}', []),
            "p_expires_at": ("2100-01-01", []),
            "p_ordinal": (1, []),
            "p_heading_path": (["Keys"], []),
            "p_sha256": (b"\0" * 32, []),
            "p_dataset": ("said", []),
            "p_judgements": (json.dumps([_judged(own)]), []),
            "p_config jsonb": ('{"modes": ["keyword"], "shared": true}', []),
            "p_value": (1, [-1]),
            "p_answer_id": (None, []),
            "p_run": ("last", []),
            "p_apply": (False, []),
            "p_queries": ([QUESTION, "vault"], []),
            "p_grades": (json.dumps([{"one": 1}, {"two": 1}]), []),
            "p_words": (["vault", "key"], []),
            "_word_scores p_words": ('[{"word": "keys", "idf": 1.5}, {"word": "vault"}]', []),
            "p_version": (1, [2]),
            "p_texts": (["vault", "key"], []),
            "p_titles": (["A", "B"], []),
            "p_title_weight": (0.3, []),
            "p_login": ("never_made", []),
            "p_password": ("secret", []),
            "p_slug text": ("made-here", [globex.slug, globex.closed]),
            "p_admin_email": ("somebody@example.test", []),
            "p_admin_name": ("Somebody", []),
        }  # fmt: skip

    def _about_models(self) -> dict[str, tuple[Any, list[Any]]]:
        """Embedding models are everybody's; whose chunks they embed is not."""
        own, others = self.own, self.others
        named = (
            "use_embedding_model", "leave_embedding_model", "retry_embeddings", "begin_embedding",
            "switch_embedding_model", "drop_embedding_model", "_used_model",
        )  # fmt: skip
        asked = ("finish_embedding", "fail_embedding", "finish_query_embedding",
                 "fail_query_embedding")  # fmt: skip
        chunks = (own.chunk_nos, [item.chunk_nos for item in others])
        vectors = ["[1,0,0,0,0,0,0,0]"] * len(own.chunk_nos)
        return {
            **{f"{name} p_name": ("small", ["second"]) for name in named},
            **{f"{name} p_name": ("small", []) for name in asked},
            "finish_embedding p_chunks": chunks,
            "fail_embedding p_chunks": chunks,
            "_embedding_texts p_chunks": chunks,
            "_store_embeddings p_chunks": chunks,
            "_forget_model_vectors p_chunks": chunks,
            "p_hashes text[]": (self.hashes, []),
            "p_hashes bytea[]": ([bytes.fromhex(h) for h in self.hashes], []),
            "p_embeddings text[]": (vectors, []),
            "p_embeddings public.halfvec[]": (vectors, []),
            "finish_query_embedding p_queries": (["vault"] * len(own.chunk_nos), []),
            "begin_query_embedding p_queries": (["vault"], []),
            "begin_query_embedding p_model": (None, ["small"]),
            "p_error": ("broken", []),
            "p_is_text": (True, [False]),
            "p_seconds": (1.0, []),
            "fail_embedding p_seconds": (None, [1.0]),
            "fail_embedding p_error": ("broken", []),
            "p_requests": (1, []),
            "p_tokens": (1, []),
            "p_texts bigint": (1, []),
            "p_cached": (1, []),
            "p_prefix": ("", []),
            "p_model_no": (self.model_nos[0], self.model_nos[1:]),
            **{f"{name} p_model_no": (None, self.model_nos[:1])
               for name in ("_fuse", "_rerank", "_moved_cosines")},
            "p_model ragdb_data.embedding_model": (self.models[0], self.models[1:]),
            "p_protocol": ("openai", []),
            "p_dimensions": (8, []),
            "p_table": (None, []),
            "p_api_key_name": (None, []),
            "p_options": ("{}", []),
            "register_embedding_model p_name": ("third", ["small"]),
            "register_embedding_model p_url": ("http://127.0.0.1:1", []),
            "_nearest_of_model p_embedding": ("[1,0,0,0,0,0,0,0]", []),
            # The table's own vectors, and what a model of its space has written over; the last is
            # there for those alone who drain.
            **{f"{name} p_model_no": (-1, self.model_nos[:1])
               for name in ("_nearest_of_table", "_table_vectors")},
            "_keep_table_vectors p_chunks": chunks,
            "_table_vectors p_chunks": chunks,
            "restore_table_vectors p_name": ("third", ["small"]),
        }  # fmt: skip


def _judged(item: Item) -> dict[str, Any]:
    return {"query_id": "1", "query": QUESTION, "documents": {item.fields["p_external_id"]: 1}}


def ranked(chunk_nos: list[int]) -> str:
    """Chunks as the later stages of the ranking pass them on."""
    rows = ",".join(f'"({chunk_no},1,,,,,,,,,,)"' for chunk_no in chunk_nos)
    return "{" + rows + "}"


def _document(item: Item) -> dict[str, Any]:
    fields = {name.removeprefix("p_"): value for name, value in item.fields.items()}
    del fields["source"]
    return fields | {"metadata": json.loads(fields["metadata"])}


def _plain(type_: str) -> Any:
    """Any value of a type, for functions that read nothing."""
    if type_.endswith("[]"):
        return [_plain(type_.removesuffix("[]"))]
    plain = {"text": "Vault keys [1]", "jsonb": "{}", "uuid": "0" * 32, "boolean": False}
    return plain.get(type_, 1)


def _files(upload: str) -> str:
    return json.dumps({"files": [{"upload": upload, "name": "common.txt", "size": 6}]})
