-- What workers can do. The handler of each kind is in src/ragdb/handlers; a kind that is taken out
-- here stays in the table until a migration deletes it, for its jobs may still be waiting.

insert into ragdb_data.job_kind (kind, queue, permission, max_attempts, all_scopes) values
  ('put_documents',   'ingestion',   'data:write', 5, false),
  ('ingest_files',    'ingestion',   'data:write', 5, false),
  ('maintain',        'maintenance', 'data:write', 3, true),
  ('delete_old_jobs', 'maintenance', 'rag:config', 3, false),
  ('rebuild',         'maintenance', 'data:write', 3, false),
  ('dedupe',          'maintenance', 'data:write', 3, false),
  ('sync_source',     'sync',        'data:write', 5, false),
  ('reseal_secrets',  'maintenance', 'data:write', 5, true),
  ('embed',           'embedding',   'data:write', 20, true)
on conflict (kind) do update
  set queue = excluded.queue,
      permission = excluded.permission,
      max_attempts = excluded.max_attempts,
      all_scopes = excluded.all_scopes
  where (job_kind.queue, job_kind.permission, job_kind.max_attempts, job_kind.all_scopes)
        is distinct from
        (excluded.queue, excluded.permission, excluded.max_attempts, excluded.all_scopes);
