-- What analysts and applications may list. All run with the caller's rights, so row level security
-- holds.

create or replace view ragdb.documents
  with (security_invoker = true)
as
select d.id as document_id, d.external_id, d.title, d.url, d.mime,
       s.name as source, w.slug as workspace,
       case
         when d.scope_no = 0 then 'organization'
         when c.user_no is null then 'workspace'
         else 'private'
       end as visibility,
       d.labels, d.metadata, b.language, d.dated_at as date,
       (select count(*)::int4
          from ragdb_data.chunk k
         where k.org_no = d.org_no and k.body_no = d.body_no) as chunks,
       d.created_at, d.updated_at
  from ragdb_data.document d
  join ragdb_data.data_source s on s.org_no = d.org_no and s.source_no = d.source_no
  left join ragdb_data.workspace w
    on w.org_no = d.org_no and w.workspace_no = d.workspace_no
  join ragdb_data.scope c on c.org_no = d.org_no and c.scope_no = d.scope_no
  join ragdb_data.body b on b.org_no = d.org_no and b.body_no = d.body_no
 where d.org_no = ragdb.current_org_no();

comment on view ragdb.documents is
$$The caller's documents, one row each. visibility: organization, workspace, or private to the
caller.$$;

create or replace view ragdb.chunks
  with (security_invoker = true)
as
select k.chunk_no as chunk_id, d.id as document_id, d.title, k.ordinal, k.heading_path, k.page,
       k.char_start, k.char_end, k.content
  from ragdb_data.chunk k
  join ragdb_data.document d on d.org_no = k.org_no and d.body_no = k.body_no
 where k.org_no = ragdb.current_org_no();

comment on view ragdb.chunks is
$$The pieces documents are searched by. content is the document's text from char_start to char_end
(characters from 0, end excluded).

A chunk that several documents share appears once for each.$$;

create or replace view ragdb.workspaces
  with (security_invoker = true)
as
select w.id as workspace_id, w.slug, w.name, w.is_open, w.language, w.created_at
  from ragdb_data.workspace w
  join ragdb_data.scope s on s.org_no = w.org_no
                         and s.workspace_no = w.workspace_no
                         and s.user_no is null
 where w.org_no = ragdb.current_org_no()
   and s.scope_no = any ((select ragdb.current_scopes())::int4[]);

comment on view ragdb.workspaces is
$$Workspaces the caller may use. is_open: every member of the organization reads it. language:
default of documents and queries.$$;

create or replace view ragdb.members
  with (security_invoker = true)
as
select u.id as user_id, u.email, m.name, m.role, u.is_active, m.created_at
  from ragdb_data.membership m
  join ragdb_data.app_user u on u.user_no = m.user_no
 where m.org_no = ragdb.current_org_no();

comment on view ragdb.members is
$$People of the caller's organization and their role in it.$$;

create or replace view ragdb.api_keys
  with (security_invoker = true)
as
select k.id as key_id, k.name, k.prefix, u.email, w.slug as workspace, k.permissions,
       k.expires_at, k.revoked_at, k.last_used_at, k.created_at
  from ragdb_data.api_key k
  join ragdb_data.app_user u on u.user_no = k.user_no
  left join ragdb_data.workspace w on w.org_no = k.org_no and w.workspace_no = k.workspace_no
 where k.org_no = ragdb.current_org_no();

comment on view ragdb.api_keys is
$$API keys of the caller's organization, never their text. permissions: null is all of the owner's
role; last_used_at: to the minute.$$;

create or replace view ragdb.answers
  with (security_invoker = true)
as
select a.id as answer_id, a.question, a.answer, a.confidence, a.model, a.fallback_used,
       a.created_at,
       (select jsonb_agg(
                 jsonb_build_object(
                   'document_id', d.id, 'title', d.title, 'quote', c.quote,
                   'start', c.char_start, 'end', c.char_end)
                 order by c.ordinal)
          from ragdb_data.answer_citation c
          join ragdb_data.document d on d.org_no = c.org_no and d.document_no = c.document_no
         where c.org_no = a.org_no and c.answer_no = a.answer_no and c.quote <> '') as citations
  from ragdb_data.answer a
 where a.org_no = ragdb.current_org_no();

comment on view ragdb.answers is
$$Questions the caller asked and the answers given. An answer goes when a document it cites is
deleted.$$;

create or replace view ragdb.judgements
  with (security_invoker = true)
as
select w.slug as workspace, q.dataset, q.query_id, q.query, j.external_id, j.grade
  from ragdb_data.judged_query q
  join ragdb_data.scope s on s.org_no = q.org_no and s.scope_no = q.scope_no
  join ragdb_data.workspace w on w.org_no = q.org_no and w.workspace_no = s.workspace_no
 cross join lateral unnest(q.external_ids, q.grades) j(external_id, grade)
 where q.org_no = ragdb.current_org_no();

comment on view ragdb.judgements is
$$Questions and the documents judged for them, as put_judgements() stored them.$$;

create or replace view ragdb.evaluations
  with (security_invoker = true)
as
select e.run_id, e.dataset, e.mode, cardinality(e.query_ids) as queries,
       (e.metrics ->> 'ndcg@10')::float8 as ndcg_10,
       (e.metrics ->> 'recall@10')::float8 as recall_10,
       (e.metrics ->> 'recall@100')::float8 as recall_100,
       (e.metrics ->> 'mrr')::float8 as mrr,
       (e.metrics ->> 'map')::float8 as map,
       e.metrics -> 'ci' as ci, e.config, e.created_at
  from ragdb_data.evaluation e
 where e.org_no = ragdb.current_org_no();

comment on view ragdb.evaluations is
$$Runs of evaluate() that the caller made, a row for each mode.$$;

create or replace view ragdb.feedback
  with (security_invoker = true)
as
select f.query, d.id as document_id, d.title, f.value, u.email, f.created_at
  from ragdb_data.feedback f
  join ragdb_data.document d on d.org_no = f.org_no and d.document_no = f.document_no
  join ragdb_data.app_user u on u.user_no = f.user_no
 where f.org_no = ragdb.current_org_no();

comment on view ragdb.feedback is
$$What was said of results: the caller's own, and everybody's for those with rag:config.$$;

create or replace view ragdb.ranking_weights
  with (security_invoker = true)
as
select w.slug as workspace, r.vector_weight, r.phrase_weight, r.sentence_weight, r.updated_at
  from ragdb_data.ranking_weight r
  join ragdb_data.scope s on s.org_no = r.org_no and s.scope_no = r.scope_no
  left join ragdb_data.workspace w on w.org_no = r.org_no and w.workspace_no = s.workspace_no
 where r.org_no = ragdb.current_org_no();

comment on view ragdb.ranking_weights is
$$Weights of the ranking that are not the default; workspace: null for the whole organization's.$$;

create or replace view ragdb.synonyms
  with (security_invoker = true)
as
select s.word, s.synonym, s.weight, s.language, w.slug as workspace
  from ragdb_data.synonym s
  join ragdb_data.scope c on c.org_no = s.org_no and c.scope_no = s.scope_no
  left join ragdb_data.workspace w on w.org_no = c.org_no and w.workspace_no = c.workspace_no
 where s.org_no = ragdb.current_org_no();

comment on view ragdb.synonyms is
$$What a search for a word finds as well, see put_synonyms(). workspace: null where it holds in the
whole organization.$$;

create or replace view ragdb.chunk_presets
  with (security_invoker = true)
as
select p.preset, p.mimes, p.profile, p.description
  from ragdb_data.chunk_preset p
 where ragdb.current_org_no() is not null;

comment on view ragdb.chunk_presets is
$$Chunk profiles that ship, by name. mimes: the media types whose documents get it by default.$$;

create or replace view ragdb.chunk_profiles
  with (security_invoker = true)
as
select w.slug as workspace, c.mime, c.profile
  from ragdb_data.chunk_profile c
  join ragdb_data.workspace w on w.org_no = c.org_no and w.workspace_no = c.workspace_no
 where c.org_no = ragdb.current_org_no();

comment on view ragdb.chunk_profiles is
$$What workspaces said of how media types are cut into chunks; else the presets hold.$$;
