-- What sources can be, and what each needs to know. The driver of each type is in
-- src/ragdb/sources; ragdb_data._check_config() explains the form of `config`.

insert into ragdb_data.source_type (type, description, config, secrets, places, always_full) values
  ('file', 'A folder on the server, read again and again.',
   '{"path": {"is": "text", "required": true, "pattern": "^/"},
     "include": {"is": "texts"},
     "exclude": {"is": "texts"}}',
   '{}', '{}', true),
  ('api', 'A list of records, as JSON over HTTP.',
   '{"url": {"is": "text", "required": true, "pattern": "^https?://[^/]"},
     "params": {"is": "map"},
     "headers": {"is": "map"},
     "items": {"is": "text"},
     "fields": {"is": "object", "required": true, "keys": {
       "external_id": {"is": "text", "required": true},
       "title": {"is": "text"},
       "content": {"is": "text"},
       "file": {"is": "text"},
       "url": {"is": "text"},
       "modified": {"is": "text"},
       "deleted": {"is": "text"},
       "metadata": {"is": "map"}}},
     "format": {"is": "text", "one_of": ["text", "markdown", "html"]},
     "auth": {"is": "object", "keys": {
       "type": {"is": "text", "required": true,
                "one_of": ["none", "bearer", "basic", "header", "oauth2"]},
       "user": {"is": "text"},
       "header": {"is": "text", "pattern": "^[A-Za-z0-9-]+$"},
       "token_url": {"is": "text", "pattern": "^https?://[^/]"},
       "client_id": {"is": "text"},
       "scope": {"is": "text"}}},
     "pagination": {"is": "object", "keys": {
       "type": {"is": "text", "required": true,
                "one_of": ["none", "page", "offset", "cursor", "link", "next"]},
       "param": {"is": "text"},
       "first": {"is": "integer", "min": 0},
       "size": {"is": "integer", "min": 1, "max": 100000},
       "size_param": {"is": "text"},
       "path": {"is": "text"}}},
     "since": {"is": "object", "keys": {
       "param": {"is": "text", "required": true},
       "overlap": {"is": "number", "min": 0}}}}',
   '{token,password,value,client_secret}', '{url,headers,auth,fields}', false),
  ('sharepoint', 'Document libraries of SharePoint or OneDrive, by Microsoft Graph.',
   '{"tenant_id": {"is": "text", "required": true, "pattern": "^[A-Za-z0-9.-]+$"},
     "client_id": {"is": "text", "required": true},
     "site": {"is": "text"},
     "drives": {"is": "texts"},
     "include": {"is": "texts"},
     "exclude": {"is": "texts"},
     "graph_url": {"is": "text", "pattern": "^https?://[^/]"},
     "login_url": {"is": "text", "pattern": "^https?://[^/]"}}',
   '{client_secret}', '{tenant_id,graph_url,login_url}', false)
on conflict (type) do update
  set description = excluded.description,
      config = excluded.config,
      secrets = excluded.secrets,
      places = excluded.places,
      always_full = excluded.always_full
  where (source_type.description, source_type.config, source_type.secrets, source_type.places,
         source_type.always_full)
        is distinct from
        (excluded.description, excluded.config, excluded.secrets, excluded.places,
         excluded.always_full);
