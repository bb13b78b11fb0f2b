-- Sources that are databases of others; both are read by src/ragdb/sources/database.py. A service
-- desk is a database whose tables are described in the words of tickets.
--
-- The connection string is a secret as a whole, so no key of the configuration says where it is
-- sent; but who is believed to be the server, ca says.

with kept as (
  select '{"where": {"is": "object"},
           "comments": {"is": "object", "keys": {
             "table": {"is": "text", "required": true},
             "ticket": {"is": "text", "required": true},
             "text": {"is": "text", "required": true},
             "author": {"is": "text"},
             "created": {"is": "text"},
             "where": {"is": "object"}}},
           "table": {"is": "text"},
           "query": {"is": "text"},
           "id": {"is": "text", "required": true},
           "title": {"is": "text"},
           "updated": {"is": "text"},
           "deleted": {"is": "text"},
           "metadata": {"is": "map"},
           "format": {"is": "text", "one_of": ["text", "markdown", "html"]}}'::jsonb as of_table,
         '{"ca": {"is": "text", "pattern": "-----BEGIN CERTIFICATE-----"},
           "time_zone": {"is": "text"},
           "encoding": {"is": "text"},
           "statement_seconds": {"is": "integer", "min": 1, "max": 3600},
           "overlap_seconds": {"is": "integer", "min": 0, "max": 604800},
           "full_hours": {"is": "number", "min": 0, "max": 8760}}'::jsonb as of_source)
insert into ragdb_data.source_type (type, description, config, secrets, places, always_full)
select t.type, t.description, t.config, '{url}', '{ca}', false
  from kept k
 cross join lateral (values
   ('database', 'The rows of a table or query of PostgreSQL, MySQL, MariaDB or Oracle.',
    k.of_source || k.of_table
    || '{"content": {"is": "texts"},
         "date": {"is": "text"},
         "labels": {"is": "texts"},
         "url": {"is": "text"}}'),
   ('servicedesk', 'The tickets in the database of a service desk.',
    k.of_source
    || '{"db_type": {"is": "text", "required": true,
                     "one_of": ["postgresql", "mysql", "mariadb", "oracle"]}}'
    || jsonb_build_object('tables', jsonb_build_object(
         'is', 'objects', 'required', true, 'keys',
         k.of_table
         || '{"name": {"is": "text", "pattern": "^[a-z][a-z0-9_-]{0,62}$"},
              "description": {"is": "text"},
              "category": {"is": "text"},
              "priority": {"is": "text"},
              "status": {"is": "text"}}')))
   ) t(type, description, config)
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
