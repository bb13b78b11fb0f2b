-- Files that come with a job. They arrive piece by piece, each in a transaction of its own, and
-- belong to nothing until the job is enqueued; what never came so far is forgotten after a day.

create or replace function ragdb.put_upload(p_upload_id uuid, p_piece int4, p_content bytea)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
begin
  if p_upload_id is null or coalesce(p_piece, -1) < 0
     or coalesce(length(p_content), 0) not between 1 and 4000000 then
    raise exception 'A piece of a file has a number from 0 on, and 1 to 4,000,000 bytes.'
      using errcode = 'PT422',
            constraint = 'invalid_upload',
            hint = 'An empty file has no pieces.';
  end if;
  insert into ragdb_data.upload (org_no, id, piece_no, user_no, content)
  values (v_org, p_upload_id, p_piece, ragdb.current_user_no(), p_content);
end;
$$;

comment on function ragdb.put_upload(uuid, int4, bytea) is
$$Leave a piece of a file for a job that is about to be enqueued: see enqueue_files().

p_upload_id: a new uuid for each file. p_piece: 0, 1, 2 and so on.
Needs data:write. Raises PT422 invalid_upload, PT409 upload_pkey for a piece that is there.$$;

create or replace function ragdb.get_upload(p_upload_id uuid, p_piece int4)
  returns bytea
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
begin
  return (select u.content
            from ragdb_data.upload u
           where u.org_no = v_org and u.id = p_upload_id and u.piece_no = p_piece);
end;
$$;

comment on function ragdb.get_upload(uuid, int4) is
$$A piece of a file of one's own that waits for a job; null behind the last. Needs data:write.$$;

create or replace function ragdb.enqueue_files(
  p_payload jsonb, p_idempotency_key text default null)
  returns table (job_id uuid, status text, is_new boolean)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_ids uuid[];
  v_job record;
begin
  if jsonb_typeof(p_payload -> 'files') is distinct from 'array' then
    raise exception 'p_payload names no files.'
      using errcode = 'PT422',
            constraint = 'invalid_payload',
            hint = '{"files": [{"upload": "<uuid>", "name": "report.pdf", "size": 4711}]}';
  end if;
  v_ids := array(select (f.file ->> 'upload')::uuid
                   from jsonb_array_elements(p_payload -> 'files') f(file));
  select * into v_job
    from ragdb.enqueue_job('ingest_files', p_payload, p_idempotency_key => p_idempotency_key);
  if v_job.is_new then
    update ragdb_data.upload u
       set job_no = j.job_no
      from ragdb_data.job j
     where j.org_no = v_org and j.id = v_job.job_id
       and u.org_no = v_org and u.id = any (v_ids) and u.job_no is null;
  else
    delete from ragdb_data.upload u
     where u.org_no = v_org and u.id = any (v_ids) and u.job_no is null;
  end if;
  return query select v_job.job_id, v_job.status, v_job.is_new;
end;
$$;

comment on function ragdb.enqueue_files(jsonb, text) is
$$Have a worker read files whose pieces put_upload() has left, and store their documents.

p_payload: files, an array of {"upload", "name", "size"}, and where they go: source, workspace,
visibility, language, labels, metadata, keep_original. p_idempotency_key: as enqueue_job() has it.
The files go when the job has succeeded.
Needs data:write. Raises PT422 invalid_payload or invalid_idempotency_key, PT409
idempotency_key_reused.$$;
