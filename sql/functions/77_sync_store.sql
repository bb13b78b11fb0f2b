-- What a step of a run stores, in one transaction: documents, the items they are made of, what is
-- gone, what could not be read, and the place in the source that it came to.

create or replace function ragdb_data._note_errors(p_run_id uuid, p_errors jsonb)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
begin
  insert into ragdb_data.sync_error (org_no, run_no, scope_no, external_id, error, message)
  select v_org, r.run_no, r.scope_no, left(e.external_id, 2000),
         coalesce(e.error, 'error'), left(coalesce(e.message, ''), 2000)
    from ragdb_data.sync_run r
   cross join lateral (
     select *
       from jsonb_to_recordset(p_errors) f(external_id text, error text, message text)
      limit greatest(1000 - (select count(*) from ragdb_data.sync_error o
                              where o.org_no = v_org and o.run_no = r.run_no), 0)) e
   where r.org_no = v_org and r.id = p_run_id;
end;
$$;

comment on function ragdb_data._note_errors(uuid, jsonb) is
$$Keep what could not be read in a run; a thousand such rows are kept of each.$$;

create or replace function ragdb_data._forget_items(p_run_id uuid, p_hashes bytea[])
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_documents uuid[];
  v_gone int4;
begin
  with gone as (
    delete from ragdb_data.source_item i
     using ragdb_data.sync_run r
     where r.org_no = v_org
       and r.id = p_run_id
       and i.org_no = v_org
       and i.source_no = r.source_no
       and i.hash = any (p_hashes)
    returning i.documents)
  select array_agg(u.id), count(distinct g.nth) filter (where u.id is not null)
    into v_documents, v_gone
    from (select o.documents, row_number() over () as nth from gone o) g
    left join lateral unnest(g.documents) u(id) on true;
  perform ragdb.delete_documents(v_documents);
  return v_gone;
end;
$$;

comment on function ragdb_data._forget_items(uuid, bytea[]) is
$$Delete items of a run's source with their documents; returns how many of them had any.$$;

create or replace function ragdb.store_sync(
  p_run_id uuid,
  p_job_id uuid,
  p_items jsonb default '[]',
  p_documents jsonb default '[]',
  p_deleted text[] default '{}',
  p_errors jsonb default '[]',
  p_cursor jsonb default null,
  p_gap boolean default false,
  p_must_return boolean default false,
  p_restart boolean default false)
  returns table (seen int4, added int4, changed int4, unchanged int4, failed int4, deleted int4)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_run ragdb_data.sync_run := ragdb_data._sync_run(p_run_id, p_job_id);
  v_place record;
  v_item record;
  v_old ragdb_data.source_item;
  v_statuses text[];
  v_ids uuid[];
  v_external_ids text[];
  v_messages jsonb := '[]';
  v_leftover uuid[] := '{}';
begin
  if jsonb_array_length(p_documents) > 0 then
    select s.name, w.slug,
           case when s.scope_no = 0 then 'organization'
                when c.user_no is null then 'workspace'
                else 'private' end as visibility
      into v_place
      from ragdb_data.data_source s
      join ragdb_data.workspace w on w.org_no = v_org and w.workspace_no = s.workspace_no
      join ragdb_data.scope c on c.org_no = v_org and c.scope_no = s.scope_no
     where s.org_no = v_org and s.source_no = v_run.source_no;
    select array_agg(p.status order by p.ordinal), array_agg(p.document_id order by p.ordinal),
           array_agg(p.external_id order by p.ordinal),
           coalesce(jsonb_agg(jsonb_build_object(
             'external_id', p.external_id, 'error', p.error, 'message', p.message))
             filter (where p.error is not null), '[]')
      into v_statuses, v_ids, v_external_ids, v_messages
      from ragdb.put_documents(p_documents, v_place.name, v_place.slug, v_place.visibility) p;
  end if;

  for v_item in
    select g.external_id, g.fingerprint, g.first, g.last, coalesce(g.is_known, false) as is_known,
           coalesce(g.is_whole, true) as is_whole, coalesce(g.is_broken, false) as is_broken,
           g.keep, sha256(convert_to(g.external_id, 'UTF8')) as hash,
           v_ids[g.first : g.last] as ids, v_statuses[g.first : g.last] as statuses,
           coalesce(g.is_touched, false) as is_touched
      from jsonb_to_recordset(p_items) g(
             external_id text, fingerprint text, first int4, last int4, is_known boolean,
             is_whole boolean, is_broken boolean, is_touched boolean, keep jsonb)
     order by 1
  loop
    select i.* into v_old
      from ragdb_data.source_item i
     where i.org_no = v_org and i.source_no = v_run.source_no and i.hash = v_item.hash;
    v_item.is_broken := v_item.is_broken or 'failed' = any (v_item.statuses);
    v_item.ids := array(select distinct u from unnest(v_old.documents || v_item.ids) u
                         where u is not null order by 1);
    -- A failure leaves what was there.
    if v_item.is_whole and not v_item.is_broken then
      v_leftover := v_leftover || array(
        select d.id
          from ragdb_data.document d
         where d.org_no = v_org
           and d.id = any (v_item.ids)
           and not v_item.keep ? d.external_id);
    end if;
    insert into ragdb_data.source_item as i (
      org_no, source_no, hash, scope_no, external_id, fingerprint, run_no, documents)
    values (v_org, v_run.source_no, v_item.hash, v_run.scope_no, v_item.external_id,
            case when v_item.is_whole and not v_item.is_broken then v_item.fingerprint end,
            case when v_item.is_whole then v_run.run_no end,
            array(select u from unnest(v_item.ids) u where u <> all (v_leftover)))
    on conflict (org_no, source_no, hash) do update
       set fingerprint = excluded.fingerprint,
           run_no = coalesce(excluded.run_no, i.run_no),
           documents = excluded.documents;
    if v_item.is_whole and v_old.run_no is distinct from v_run.run_no then
      v_run.seen := v_run.seen + 1;
      if v_item.is_broken then
        v_run.failed := v_run.failed + 1;
      elsif not v_item.is_known then
        v_run.added := v_run.added + 1;
      elsif v_item.is_touched or v_item.ids && v_leftover
            or v_item.statuses && '{ingested,updated,duplicate}' then
        v_run.changed := v_run.changed + 1;
      else
        v_run.unchanged := v_run.unchanged + 1;
      end if;
    end if;
  end loop;
  perform ragdb.delete_documents(v_leftover);
  v_run.deleted := v_run.deleted + coalesce(ragdb_data._forget_items(
    p_run_id, array(select sha256(convert_to(d, 'UTF8')) from unnest(p_deleted) d)), 0);
  perform ragdb_data._note_errors(p_run_id, p_errors || v_messages);
  v_run.failed := v_run.failed
                  + (select count(*)
                       from jsonb_array_elements(p_errors) e
                      where e ->> 'external_id' is null);

  update ragdb_data.sync_run r
     set seen = v_run.seen,
         added = v_run.added,
         changed = v_run.changed,
         unchanged = v_run.unchanged,
         failed = v_run.failed,
         deleted = v_run.deleted,
         cursor = case when p_restart then p_cursor else coalesce(p_cursor, r.cursor) end,
         is_full = r.is_full or p_restart,
         has_gap = r.has_gap or p_gap,
         must_return = r.must_return or p_must_return,
         reported_at = now()
   where r.org_no = v_org and r.run_no = v_run.run_no;
  return query select v_run.seen, v_run.added, v_run.changed, v_run.unchanged, v_run.failed,
                      v_run.deleted;
end;
$$;

comment on function ragdb.store_sync(
  uuid, uuid, jsonb, jsonb, text[], jsonb, jsonb, boolean, boolean, boolean) is
$$Store a step of a run; returns what the run has come to. For workers.

p_documents: as put_documents() takes them. p_items: array of {external_id, fingerprint, first,
last: its documents among these, is_known: as changed_items() said, is_whole: with these it is
complete, keep: the external ids of all its documents, is_touched: an earlier step stored some of
them, is_broken: it could not be read}. p_deleted: external ids of items that are gone. p_errors:
array of {external_id, error, message}. p_cursor: everything before this is stored now. p_gap: a
part could not be listed, so that nothing may be swept. p_must_return: the next run has to begin
where this one did. p_restart: the run tells everything from here on.
Needs data:write. Raises PT409 run_lost, and what put_documents() raises.$$;

create or replace function ragdb.sweep_sync(
  p_run_id uuid, p_job_id uuid, p_limit int4 default 500)
  returns table (deleted int4, remaining int8, is_refused boolean)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_run ragdb_data.sync_run := ragdb_data._sync_run(p_run_id, p_job_id);
  v_unseen int8;
  v_gone int8;
  v_all int8;
  v_deleted int4;
begin
  if not v_run.is_full or v_run.has_gap then
    return query select 0, 0::int8, false;
    return;
  end if;
  select count(*) filter (where i.run_no is distinct from v_run.run_no),
         count(*) filter (where i.run_no is distinct from v_run.run_no and i.documents <> '{}'),
         count(*) filter (where i.documents <> '{}') - v_run.added
    into v_unseen, v_gone, v_all
    from ragdb_data.source_item i
   where i.org_no = v_org and i.source_no = v_run.source_no;
  -- New items do not make up for those that are gone.
  if not v_run.is_sweeping and v_gone > v_run.sweep_limit * v_all then
    update ragdb_data.sync_run r
       set must_return = true,
           error_code = 'sweep_refused',
           error = format('%s of %s items are not there any more: too many to be deleted unless '
                          'that is said to be right.', v_gone, v_all)
     where r.org_no = v_org and r.run_no = v_run.run_no;
    return query select 0, v_gone, true;
    return;
  end if;
  v_deleted := coalesce(ragdb_data._forget_items(p_run_id, array(
    select i.hash
      from ragdb_data.source_item i
     where i.org_no = v_org
       and i.source_no = v_run.source_no
       and i.run_no is distinct from v_run.run_no
     limit p_limit)), 0);
  update ragdb_data.sync_run r
     set is_sweeping = true,
         deleted = r.deleted + v_deleted,
         reported_at = now()
   where r.org_no = v_org and r.run_no = v_run.run_no;
  return query select v_deleted, greatest(v_unseen - p_limit, 0), false;
end;
$$;

comment on function ragdb.sweep_sync(uuid, uuid, int4) is
$$Delete p_limit of the items that a full run has not seen; to be called until none remain. For
workers.

is_refused: more would be deleted than the source's sweep_limit, or refresh_source(), allows, so
that nothing was. Needs data:write. Raises PT409 run_lost.$$;

