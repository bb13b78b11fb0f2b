-- Roles of a member and what each may do ('*' is everything), and this database's own signing key.

insert into ragdb_data.role (role, permissions) values
  ('admin',     '{*,user:manage}'),
  ('developer',
   '{rag:read,rag:write,rag:config,data:read,data:write,api:manage,query:read,query:write}'),
  ('analyst',   '{rag:read,data:read,query:write,query:read}'),
  ('editor',    '{rag:read,rag:write,data:read,data:write,query:read,query:write}'),
  ('viewer',    '{rag:read,query:read}'),
  ('reader',    '{rag:read,query:read}')
on conflict (role) do update set permissions = excluded.permissions
  where role.permissions <> excluded.permissions;

insert into ragdb_private.context_key (inner_pad, outer_pad)
select string_agg(set_byte('\x00', 0, get_byte(k.bytes, i) # 54), ''::bytea order by i),
       string_agg(set_byte('\x00', 0, get_byte(k.bytes, i) # 92), ''::bytea order by i)
  from (select sha256(uuid_send(gen_random_uuid())
                      || uuid_send(gen_random_uuid())
                      || uuid_send(gen_random_uuid()))
               || decode(repeat('00', 32), 'hex') as bytes) k,
       generate_series(0, 63) i
on conflict do nothing;
