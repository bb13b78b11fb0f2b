-- Chunk profiles that ship, by name and by the media types they are the default of. The default of
-- everything else was chosen by the recall of marked passages within 1,500 to 12,000 characters of
-- results, see docs/benchmarks.md.

insert into ragdb_data.chunk_preset (preset, mimes, profile, description)
select p.preset, p.mimes::text[], p.profile::jsonb, p.description
  from (values
    ('markdown', '{*}',
     '{"chunker": "markdown", "size": 320, "overlap": 0, "unit": "tokens"}',
     'Along headings and paragraphs; the default'),
    ('recursive-256', '{}',
     '{"chunker": "recursive", "size": 256, "overlap": 0, "unit": "characters",
       "separators": ["\n\n", "\n", " ", ""]}',
     '256 characters at the coarsest separator, no overlap'),
    ('tokens-512', '{}',
     '{"chunker": "recursive", "size": 512, "overlap": 50, "unit": "tokens"}',
     '512 tokens that share 50 with the next'),
    ('sentences', '{}',
     '{"chunker": "sentences", "size": 5, "overlap": 1}',
     'Windows of five sentences, the last of which opens the next'),
    ('table', '{text/csv,text/tab-separated-values}',
     '{"chunker": "table", "size": 320, "unit": "tokens"}',
     'Whole rows, under the names of their columns'),
    ('python', '{text/x-python,text/x-script.python,application/x-python-code}',
     '{"chunker": "recursive", "size": 320, "overlap": 0, "unit": "tokens",
       "separators": ["\nclass ", "\nasync def ", "\ndef ", "\n    async def ", "\n    def ",
                      "\n\n", "\n", " ", ""]}',
     'Python source: classes, functions, methods'),
    ('sql', '{application/sql,text/x-sql}',
     '{"chunker": "recursive", "size": 320, "overlap": 0, "unit": "tokens",
       "separators": ["\ncreate ", "\nCREATE ", "\nalter ", "\nALTER ", ";\n", "\n\n", "\n", " ",
                      ""]}',
     'SQL scripts: statements'),
    ('code',
     '{text/javascript,application/javascript,text/x-typescript,application/typescript,text/x-c,'
     'text/x-c++,text/x-csharp,text/x-java,text/x-java-source,text/x-go,text/x-rust,text/x-kotlin,'
     'text/x-swift,text/x-php,application/x-httpd-php,text/x-ruby,application/x-sh}',
     '{"chunker": "recursive", "size": 320, "overlap": 0, "unit": "tokens",
       "separators": ["\nexport ", "\nclass ", "\ninterface ", "\nstruct ", "\nenum ", "\nimpl ",
                      "\npublic ", "\nfunction ", "\nfunc ", "\nfn ", "\ndef ", "\n}\n", "\n\n",
                      "\n", " ", ""]}',
     'Source of other languages: top-level declarations')
  ) p(preset, mimes, profile, description)
on conflict (preset) do update
  set mimes = excluded.mimes, profile = excluded.profile, description = excluded.description
  where (chunk_preset.mimes, chunk_preset.profile, chunk_preset.description)
        is distinct from (excluded.mimes, excluded.profile, excluded.description);
