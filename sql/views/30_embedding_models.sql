-- Embedding models, how far they are, and what they cost.

create or replace view ragdb.embedding_models
  with (security_invoker = true)
as
select e.name, e.protocol, e.model, e.dimensions, e.table_model, e.url,
       coalesce(m.is_active, false) as is_used,
       coalesce(m.serves, false) as is_searched,
       coalesce(v.embedded, 0) as embedded,
       c.chunks,
       round(100.0 * coalesce(v.embedded, 0) / nullif(c.chunks, 0), 1)::float8 as coverage,
       coalesce(q.waiting, 0) as waiting,
       now() - q.oldest as lag,
       coalesce(f.failed, 0) as failed,
       case when k.open_until > now() then 'open'
            when k.failures > 0 then 'half-open'
            else 'closed' end as circuit,
       k.open_until as circuit_until,
       k.error as last_error,
       coalesce(m.backfill, 0) > 0 as is_backfilling,
       m.since
  from (select ragdb.current_org_no() as org_no offset 0) o
 cross join ragdb_data.embedding_model e
  left join ragdb_data.organization_model m on m.org_no = o.org_no and m.model_no = e.model_no
  left join ragdb_data.embedding_circuit k on k.org_no = o.org_no and k.model_no = e.model_no
 cross join lateral (
   select count(*) as chunks
     from ragdb_data.chunk c
    where c.org_no = o.org_no) c
 cross join lateral (
   select case
            when m.model_no is null then 0
            when e.table_model is null then (
              select count(*)
                from ragdb_data.model_vector v
               where v.org_no = o.org_no and v.model_no = e.model_no)
            else (
              select count(*)
                from ragdb_data.chunk_vector v
               where v.org_no = o.org_no
                 and v.version = ragdb_data._embedding_version()
                 and v.model_no = e.model_no) end as embedded) v
 cross join lateral (
   select count(*) as waiting, min(q.queued_at) as oldest
     from ragdb_data.embedding_queue q
    where q.org_no = o.org_no and q.model_no = e.model_no) q
 cross join lateral (
   select count(*) as failed
     from ragdb_data.embedding_failure f
    where f.org_no = o.org_no and f.model_no = e.model_no) f
 where o.org_no is not null;

comment on view ragdb.embedding_models is
$$Embedding models that operators have registered, and how far each is with the caller's chunks.

table_model: the table over whose vectors it writes its own; null for a model with vectors of its
own. is_searched: see switch_embedding_model(). embedded, chunks and
coverage (per cent): of what the caller may read; waiting, lag and failed: of the organization.
lag: how long the oldest chunk has waited. circuit: open while the model is left alone after
failures, half-open when it is to be tried with one text.$$;

create or replace view ragdb.embedding_failures
  with (security_invoker = true)
as
select e.name as model, d.id as document_id, d.title, f.chunk_no as chunk_id,
       f.failure_step as error, f.created_at as failed_at
  from ragdb_data.embedding_failure f
  join ragdb_data.embedding_model e on e.model_no = f.model_no
  join ragdb_data.chunk c on c.org_no = f.org_no and c.chunk_no = f.chunk_no
 cross join lateral (
   select d.id, d.title
     from ragdb_data.document d
    where d.org_no = c.org_no and d.body_no = c.body_no
    order by d.document_no
    limit 1) d
 where f.org_no = ragdb.current_org_no();

comment on view ragdb.embedding_failures is
$$Chunks the caller may read that a model does not embed, and why; see retry_embeddings().$$;

create or replace view ragdb.embedding_costs
  with (security_invoker = true)
as
select e.name as model, u.day, u.requests, u.texts, u.cached, u.tokens,
       e.price_per_million * u.tokens / 1000000 as cost
  from ragdb_data.embedding_usage u
  join ragdb_data.embedding_model e on e.model_no = u.model_no
 where u.org_no = ragdb.current_org_no();

comment on view ragdb.embedding_costs is
$$What the organization has had of embedding models, by day (UTC), and its price as registered.

cached: chunks whose text had been embedded before, and which cost nothing.$$;
