-- Facts: one row per value a filter can ask for. Equality and ranges of plain text and numbers are
-- index conditions under row level security, where jsonb operators would not be.

create or replace function ragdb_data._fact_value(p_text text)
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  return case when length(p_text) > 200 then left(p_text, 200) || md5(p_text) else p_text end;

comment on function ragdb_data._fact_value(text) is
$$A value or key as facts store it: what is longer than 200 characters ends in its MD5, to fit an
index entry.$$;

create or replace function ragdb_data._metadata_facts(p_metadata jsonb)
  returns table (key text, value text)
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
  with recursive node (key, value) as (
    select 'metadata', p_metadata
    union all
    select n.key || coalesce('.' || e.key, ''), e.value
      from node n
     cross join lateral (
       select o.key, o.value
         from jsonb_each(case jsonb_typeof(n.value) when 'object' then n.value else '{}' end) o
       union all
       select null, a.value
         from jsonb_array_elements(
                case jsonb_typeof(n.value) when 'array' then n.value else '[]' end) a) e)
  select distinct n.key, n.value #>> '{}'
    from node n
   where jsonb_typeof(n.value) not in ('object', 'array', 'null')
$$;

comment on function ragdb_data._metadata_facts(jsonb) is
$$Every value in metadata with its path: {"a": {"b": [1, 2]}} is metadata.a.b = 1 and metadata.a.b =
2.$$;

create or replace function ragdb_data._write_facts(p_document_nos int8[], p_new int8[])
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_sort = off  -- see put_documents()
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_old int8[] := array(select unnest(p_document_nos) except select unnest(p_new));
begin
  if v_old <> '{}' then
    delete from ragdb_data.document_fact f
     where f.org_no = v_org and f.document_no = any (v_old);
  end if;
  insert into ragdb_data.document_fact (org_no, scope_no, document_no, key, value, number)
  select v_org, d.scope_no, d.document_no,
         ragdb_data._fact_value(f.key), ragdb_data._fact_value(f.value),
         case
           when f.key = 'date' then extract(epoch from d.dated_at)::float8
           when f.value ~ '^[+-]?\d{1,200}(\.\d+)?([eE][+-]?\d{1,2})?$' then f.value::float8
         end
    from unnest(p_document_nos) u(document_no)
   cross join lateral (
     select t.*
       from ragdb_data.document t
      where t.org_no = v_org
        and t.document_no between u.document_no and u.document_no
      order by t.document_no
      limit 1) d
    join ragdb_data.data_source s on s.org_no = v_org and s.source_no = d.source_no
   cross join lateral (
     select t.language
       from ragdb_data.body t
      where t.org_no = v_org
        and t.body_no between d.body_no and d.body_no
      order by t.body_no
      limit 1) b
   cross join lateral (
     values ('document', d.id::text), ('document', d.external_id), ('source', s.name),
            ('title', d.title), ('lang', b.language),
            ('date', to_char(d.dated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
     union all
     select 'label', l from unnest(d.labels) l
     union all
     select m.key, m.value
       from ragdb_data._metadata_facts(d.metadata) m
      where d.metadata <> '{}') f(key, value)
   where f.value is not null;
end;
$$;

comment on function ragdb_data._write_facts(int8[], int8[]) is
$$Write anew what filters can ask of these documents; p_new: those that have nothing written yet.$$;
