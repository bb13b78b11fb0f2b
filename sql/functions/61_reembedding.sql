-- A retrained embedding table comes into use. The upgrade loads it beside the old one and marks
-- every organization that has vectors as outdated; from then on its new chunks are embedded with
-- both. reembed() gives the others their new vectors, batch by batch, while searches keep to the
-- old table and the old vectors. Deleting the mark turns the organization to the new ones, all at
-- once; the old vectors are dropped after that.

create or replace function ragdb_data._vector_versions()
  returns int4[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return array(select ragdb_data._embedding_version()
               union
               select max(t.version) from ragdb_data.embedding_table_version t
               order by 1);
end;
$$;

comment on function ragdb_data._vector_versions() is
$$The versions of the embedding table that a new chunk gets a vector of: the one in use and, when
that is another, the newest.$$;


create or replace function ragdb_data._full_title(p_title text, p_heading_path text[])
  returns text
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return concat_ws(' ', p_title, array_to_string(array_remove(p_heading_path, p_title), ' '));
end;
$$;

comment on function ragdb_data._full_title(text, text[]) is
$$What is indexed as a chunk's title: its document's with the headings above it.$$;


create or replace function ragdb_data._embed_chunks(p_chunks int8[], p_version int4)
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_current int4 := ragdb_data._embedding_version();
  v_chunks int8[];
  v_scopes int4[];
  v_bodies int8[];
  v_indexed boolean[];
  v_titles text[];
  v_contents text[];
  v_embedded int8;
begin
  -- Whoever deletes one of these chunks meanwhile waits, and then finds the new vector too.
  perform from ragdb_data.chunk c
    where c.org_no = v_org and c.chunk_no = any (p_chunks)
      for key share;

  select array_agg(c.chunk_no), array_agg(c.scope_no), array_agg(c.body_no),
         array_agg(exists (select
                             from ragdb_data.chunk_vector v
                            where v.org_no = v_org
                              and v.version = v_current
                              and v.chunk_no = c.chunk_no
                              and v.is_indexed)),
         array_agg(ragdb_data._full_title(b.title, c.heading_path)), array_agg(c.content)
    into v_chunks, v_scopes, v_bodies, v_indexed, v_titles, v_contents
    from ragdb_data.chunk c
    join ragdb_data.body b on b.org_no = c.org_no and b.body_no = c.body_no
   where c.org_no = v_org
     and c.chunk_no = any (p_chunks)
     and not exists (select
                       from ragdb_data.chunk_vector v
                      where v.org_no = v_org
                        and v.version = p_version
                        and v.chunk_no = c.chunk_no);

  -- Into HNSW at once where the old vector is in it: searches need it there when they turn.
  insert into ragdb_data.chunk_vector (
    org_no, version, scope_no, chunk_no, body_no, is_indexed, embedding)
  select v_org, p_version, c.scope_no, c.chunk_no, c.body_no, c.is_indexed, e.embedding
    from unnest(v_scopes, v_chunks, v_bodies, v_indexed) with ordinality
           c(scope_no, chunk_no, body_no, is_indexed, ordinal)
    join ragdb.embed_batch(v_contents, v_titles, p_version => p_version) e
      on e.ordinal = c.ordinal
   where e.embedding is not null
      on conflict do nothing;
  get diagnostics v_embedded = row_count;
  return v_embedded;
end;
$$;

comment on function ragdb_data._embed_chunks(int8[], int4) is
$$Give chunks that have none a vector of a version; returns how many it gave.$$;


create or replace function ragdb.reembed(p_limit int4 default 10000)
  returns table (embedded int8, dropped int8, remaining int8, scopes_left int4)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_scopes int4[] := ragdb.current_scopes();
  v_newest int4;
  v_current int4;
  v_outdated ragdb_data.outdated_organization;
  v_chunks int8[];
  v_left int4 := p_limit;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    raise exception 'The limit must be 1 to 100000.'
      using errcode = 'PT422', constraint = 'invalid_limit', hint = 'The default is 10000.';
  end if;
  embedded := 0;
  dropped := 0;

  -- One at a time in an organization. Not waited for: anybody may hold an advisory lock.
  if pg_try_advisory_xact_lock(hashtextextended('ragdb.reembed', v_org)) then
    select * into v_outdated
      from ragdb_data.outdated_organization o
     where o.org_no = v_org
       for update;
    -- After the lock, which an upgrade takes too: it may have brought the next table.
    v_newest := (select max(t.version) from ragdb_data.embedding_table_version t);
    for v_place in 1 .. coalesce(cardinality(v_outdated.scopes), 0) loop
      exit when v_left = 0;
      continue when v_outdated.scopes[v_place] <> all (v_scopes);
      v_chunks := array(select c.chunk_no
                          from ragdb_data.chunk c
                         where c.org_no = v_org
                           and c.scope_no = v_outdated.scopes[v_place]
                           and c.chunk_no > v_outdated.done_to[v_place]
                         order by c.chunk_no
                         limit v_left + 1);
      -- One more than there is room for tells whether the scope is done.
      v_outdated.done_to[v_place] := case when cardinality(v_chunks) > v_left
                                       then v_chunks[v_left] end;
      v_chunks := v_chunks[: v_left];
      embedded := embedded + ragdb_data._embed_chunks(v_chunks, v_newest);
      v_left := v_left - cardinality(v_chunks);
    end loop;

    select coalesce(array_agg(u.scope_no), '{}'), coalesce(array_agg(u.done_to), '{}')
      into v_outdated.scopes, v_outdated.done_to
      from unnest(v_outdated.scopes, v_outdated.done_to) u(scope_no, done_to)
     where u.done_to is not null;
    if v_outdated.scopes = '{}' then
      -- The organization turns to the newest table.
      delete from ragdb_data.outdated_organization o where o.org_no = v_org;
      v_chunks := array(select v.chunk_no
                          from ragdb_data.chunk_vector v
                         where v.org_no = v_org and v.version < v_newest
                         order by v.version, v.chunk_no
                         limit v_left);
      -- A writer that began before the upgrade may have brought chunks with old vectors only.
      embedded := embedded + ragdb_data._embed_chunks(v_chunks, v_newest);
      delete from ragdb_data.chunk_vector v
       where v.org_no = v_org
         and v.version = any (array(select generate_series(1, v_newest - 1)))
         and v.chunk_no = any (v_chunks);
      get diagnostics dropped = row_count;
      delete from ragdb_data.model_vector v
       where v.org_no = v_org
         and v.model_no = any (array(select generate_series(1 - v_newest, -1)))
         and v.chunk_no = any (v_chunks);
    else
      update ragdb_data.outdated_organization o
         set scopes = v_outdated.scopes, done_to = v_outdated.done_to
       where o.org_no = v_org;
    end if;
  end if;

  select coalesce(max(cardinality(o.scopes)), 0) into scopes_left
    from ragdb_data.outdated_organization o
   where o.org_no = v_org;
  v_current := ragdb_data._embedding_version();
  select (select count(*)
            from ragdb_data.outdated_organization o
           cross join lateral unnest(o.scopes, o.done_to) u(scope_no, done_to)
            join ragdb_data.chunk c on c.org_no = v_org
                                   and c.scope_no = u.scope_no
                                   and c.chunk_no > u.done_to
           where o.org_no = v_org)
         + (select count(*)
              from ragdb_data.chunk_vector v
             where v.org_no = v_org and v.version < v_current)
    into remaining;
  return next;
end;
$$;

comment on function ragdb.reembed(int4) is
$$Go on with giving the chunks vectors of the newest embedding table, at most p_limit at a time.

An upgrade that brings a retrained table leaves every organization on its old table and vectors.
Call this, in transactions of its own, until it returns no remaining rows: searches use the old
vectors until every chunk of the organization has a new one, then all turn at once, and the old
vectors are dropped. Interrupted, it goes on where it was; while another session does it, it does
nothing.

embedded: vectors written; dropped: old vectors deleted; remaining: chunks to embed and old vectors
to drop in the caller's scopes; scopes_left: scopes of the organization with chunks to embed, those
hidden from the caller included, whose turn comes when somebody who sees them calls this.
Needs data:write. Raises PT422 invalid_limit.$$;
