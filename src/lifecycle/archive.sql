-- Archives: the catalogue of what was archived and where it lies, how to read it there, and how it comes back.
--
-- The archives themselves are no part of the extension: tables and foreign tables in a schema of their own, and files.
-- DROP EXTENSION leaves them; citadel.adopt_archives() finds them again.

CREATE TABLE citadel.archive_entry (
    archive_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    policy_id bigint,
    origin_schema name NOT NULL,
    origin_name name NOT NULL,
    source_schema name NOT NULL,
    source_name name NOT NULL,
    source_oid oid,
    owner_name name NOT NULL,
    destination text NOT NULL,
    tablespace name,
    location text NOT NULL,
    relation_oid oid,
    relation_schema name,
    relation_name name,
    oids_since timestamptz NOT NULL DEFAULT pg_catalog.now(),
    lower_bound text,
    upper_bound text,
    origin_bound text,
    privileges text,
    columns jsonb NOT NULL,
    rows bigint,
    hash bytea CHECK (pg_catalog.length(hash) = 16),
    bytes bigint,
    checksum text,
    state text NOT NULL DEFAULT 'copying'
        CHECK (state IN ('copying', 'copied', 'complete', 'restoring', 'restored', 'discarded')),
    verification text NOT NULL DEFAULT 'pending' CHECK (verification IN ('pending', 'moved', 'verified', 'adopted')),
    restore_as text CHECK (restore_as IN ('partition', 'rows', 'beside')),
    target_oid oid,
    restored_oid oid,
    progress jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    verified_at timestamptz,
    restored_at timestamptz
);
CREATE INDEX archive_entry_policy ON citadel.archive_entry (policy_id);
REVOKE ALL ON citadel.archive_entry FROM PUBLIC;
REVOKE ALL ON SEQUENCE citadel.archive_entry_archive_id_seq FROM PUBLIC;
GRANT SELECT ON citadel.archive_entry TO pg_monitor;
COMMENT ON TABLE citadel.archive_entry IS
    'Catalogue of archives, one row each; everybody sees his own through citadel.archive. Rows are never removed';
COMMENT ON COLUMN citadel.archive_entry.archive_id IS 'Key';
COMMENT ON COLUMN citadel.archive_entry.policy_id IS 'The policy that made it; NULL: none';
COMMENT ON COLUMN citadel.archive_entry.origin_schema IS 'Schema of the table that the rows were a part of';
COMMENT ON COLUMN citadel.archive_entry.origin_name IS 'That table';
COMMENT ON COLUMN citadel.archive_entry.source_schema IS 'Schema of the relation that was archived: a partition, or where rows were collected';
COMMENT ON COLUMN citadel.archive_entry.source_name IS 'That relation';
COMMENT ON COLUMN citadel.archive_entry.source_oid IS 'Its OID; it is gone once a verified copy made it superfluous';
COMMENT ON COLUMN citadel.archive_entry.owner_name IS 'Its owner, who may read and restore the archive';
COMMENT ON COLUMN citadel.archive_entry.destination IS 'schema, schema:NAME, server:NAME or file:DIR';
COMMENT ON COLUMN citadel.archive_entry.tablespace IS 'Tablespace it was moved to; NULL: it stayed where it was';
COMMENT ON COLUMN citadel.archive_entry.location IS
    'Where it lies: a table, a table on the foreign server, or a folder below citadel_opt.archive_directory';
COMMENT ON COLUMN citadel.archive_entry.relation_oid IS 'Table, foreign table or view with which it is read where it lies';
COMMENT ON COLUMN citadel.archive_entry.relation_schema IS 'Its schema when it was made';
COMMENT ON COLUMN citadel.archive_entry.relation_name IS 'Its name then';
COMMENT ON COLUMN citadel.archive_entry.oids_since IS 'When the OIDs were written down; before the extension was created here: in a database from which this one was restored';
COMMENT ON COLUMN citadel.archive_entry.lower_bound IS 'Lower bound of the rows inside, inclusive; NULL: open or unknown';
COMMENT ON COLUMN citadel.archive_entry.upper_bound IS 'Upper bound of the rows inside, exclusive; NULL: open or unknown';
COMMENT ON COLUMN citadel.archive_entry.origin_bound IS 'Bounds as a partition, in SQL; NULL: it was none';
COMMENT ON COLUMN citadel.archive_entry.privileges IS 'Privileges before writers were shut out';
COMMENT ON COLUMN citadel.archive_entry.columns IS 'Columns in order: name, type, collation, not_null, generation';
COMMENT ON COLUMN citadel.archive_entry.rows IS 'Rows inside';
COMMENT ON COLUMN citadel.archive_entry.hash IS 'Order-independent hash of the content, as citadel.content_hash() computes it';
COMMENT ON COLUMN citadel.archive_entry.bytes IS 'Size of the archive''s files, in bytes; NULL for tables';
COMMENT ON COLUMN citadel.archive_entry.checksum IS 'SHA-256 of the manifest, which has the SHA-256 of each file; NULL for tables';
COMMENT ON COLUMN citadel.archive_entry.state IS
    'copying; copied (not verified yet); complete; restoring; restored (files and foreign tables stay); discarded (an unfinished copy was given up)';
COMMENT ON COLUMN citadel.archive_entry.verification IS
    'pending; moved: nothing was copied, the hash was taken before the move with writers shut out; verified: the copy was re-read from where it lies and has the rows and the hash of the source; adopted: taken over by citadel.adopt_archives()';
COMMENT ON COLUMN citadel.archive_entry.restore_as IS 'How it is restored: partition, rows or beside';
COMMENT ON COLUMN citadel.archive_entry.target_oid IS 'The table into which it is restored';
COMMENT ON COLUMN citadel.archive_entry.restored_oid IS 'The table that holds the restored rows (partition, beside), or holds them on their way';
COMMENT ON COLUMN citadel.archive_entry.progress IS 'Internal: how far a restore has come';
COMMENT ON COLUMN citadel.archive_entry.created_at IS 'When archiving began';
COMMENT ON COLUMN citadel.archive_entry.verified_at IS 'When it was complete';
COMMENT ON COLUMN citadel.archive_entry.restored_at IS 'When it was restored';
SELECT pg_catalog.pg_extension_config_dump('citadel.archive_entry', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.archive_entry_archive_id_seq', '');

-- An archive is copied, verified and restored in parts, each in a transaction of its own.
CREATE TABLE citadel.archive_part (
    archive_id bigint NOT NULL REFERENCES citadel.archive_entry ON DELETE CASCADE,
    part_no bigint NOT NULL,
    first_block bigint NOT NULL,
    end_block bigint NOT NULL,
    rows bigint NOT NULL,
    hash bytea NOT NULL CHECK (pg_catalog.length(hash) = 16),
    bytes bigint,
    sha256 text,
    verified boolean NOT NULL DEFAULT false,
    restored boolean NOT NULL DEFAULT false,
    PRIMARY KEY (archive_id, part_no)
);
REVOKE ALL ON citadel.archive_part FROM PUBLIC;
GRANT SELECT ON citadel.archive_part TO pg_monitor;
COMMENT ON TABLE citadel.archive_part IS 'Parts of archives: a stretch of the source''s blocks, and for files the data file it became';
COMMENT ON COLUMN citadel.archive_part.archive_id IS 'The archive';
COMMENT ON COLUMN citadel.archive_part.part_no IS 'Number within it, from 1';
COMMENT ON COLUMN citadel.archive_part.first_block IS 'First block of the source in it';
COMMENT ON COLUMN citadel.archive_part.end_block IS 'First block of the source after it';
COMMENT ON COLUMN citadel.archive_part.rows IS 'Rows in it';
COMMENT ON COLUMN citadel.archive_part.hash IS 'Order-independent hash of these rows';
COMMENT ON COLUMN citadel.archive_part.bytes IS 'Size of its file in bytes; NULL: no file';
COMMENT ON COLUMN citadel.archive_part.sha256 IS 'SHA-256 of its file, hexadecimal; NULL: no file';
COMMENT ON COLUMN citadel.archive_part.verified IS 'Source and copy were re-read and are the same';
COMMENT ON COLUMN citadel.archive_part.restored IS 'A restore that goes on has loaded it';
SELECT pg_catalog.pg_extension_config_dump('citadel.archive_part', '');

CREATE TYPE citadel.content_hash_result AS (rows bigint, hash text);
COMMENT ON TYPE citadel.content_hash_result IS 'A row of citadel.content_hash()';
COMMENT ON COLUMN citadel.content_hash_result.rows IS 'Rows that were hashed';
COMMENT ON COLUMN citadel.content_hash_result.hash IS 'Sum of the rows'' 128-bit hashes, 32 hexadecimal digits';

CREATE FUNCTION citadel.content_hash(relation regclass, condition text DEFAULT NULL)
RETURNS citadel.content_hash_result
AS 'MODULE_PATHNAME', 'citadel_content_hash'
LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.content_hash(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.content_hash(regclass, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.content_hash(regclass, text) IS
    'Rows of a relation and their order-independent hash, over the types'' binary form; condition is SQL over its columns, resolved in pg_catalog. Reads all rows that the caller may see. Errors: 42501 without SELECT on it, 22004 for a NULL relation';

CREATE FUNCTION citadel.read_archive(archive_id bigint) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'citadel_read_archive'
LANGUAGE C STABLE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.read_archive(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.read_archive(bigint) TO PUBLIC;
COMMENT ON FUNCTION citadel.read_archive(bigint) IS
    'Rows of an archive in files, read where it lies and checked while they are read; wants a column definition list, which the archive''s view in schema citadel_archive has. For the archive''s owner and who may SELECT from that view. Errors: 42501, 42804 for other columns, XX001 for damaged files, 58P01 for missing ones';

-- A dump carries the OIDs of the database it was taken from, where they meant other relations. There names decide: of the
-- source only while it is needed, since another relation may have got its name later.
CREATE VIEW citadel.archive_relation AS
SELECT e.archive_id, h.here, r.relation_oid,
    CASE WHEN h.here THEN e.source_oid
        WHEN e.destination LIKE 'schema%' AND e.relation_oid IS NOT NULL THEN r.relation_oid
        WHEN e.state = 'copying' OR EXISTS (SELECT FROM citadel.lifecycle_operation AS o
                                            WHERE o.archive_id = e.archive_id AND o.kind = 'expire' AND o.finished_at IS NULL) THEN
            (SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
             WHERE n.nspname = e.source_schema AND c.relname = e.source_name AND c.relkind = 'r') END AS source_oid,
    CASE WHEN h.here THEN e.target_oid END AS target_oid,
    CASE WHEN h.here THEN e.restored_oid END AS restored_oid
FROM citadel.archive_entry AS e
CROSS JOIN LATERAL (SELECT e.oids_since >= coalesce((SELECT i.installed_at FROM citadel.installation AS i), '-infinity') AS here) AS h
CROSS JOIN LATERAL (SELECT CASE WHEN h.here THEN e.relation_oid WHEN e.relation_oid IS NOT NULL THEN
    (SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = e.relation_schema AND c.relname = e.relation_name AND c.relkind IN ('r', 'f', 'v')) END AS relation_oid) AS r;
REVOKE ALL ON citadel.archive_relation FROM PUBLIC;
GRANT SELECT ON citadel.archive_relation TO pg_monitor;
COMMENT ON VIEW citadel.archive_relation IS 'The relations of archives in this database, also after a dump was restored; NULL: none, or unknown here';
COMMENT ON COLUMN citadel.archive_relation.archive_id IS 'The archive';
COMMENT ON COLUMN citadel.archive_relation.here IS 'The OIDs in archive_entry are those of this database; false: of the one that the dump was taken from';
COMMENT ON COLUMN citadel.archive_relation.relation_oid IS 'Table, foreign table or view with which it is read';
COMMENT ON COLUMN citadel.archive_relation.source_oid IS 'The relation that was archived';
COMMENT ON COLUMN citadel.archive_relation.target_oid IS 'The table into which it is restored';
COMMENT ON COLUMN citadel.archive_relation.restored_oid IS 'The table that holds the restored rows';

CREATE VIEW citadel.archive WITH (security_barrier) AS
SELECT e.archive_id, e.policy_id, e.origin_schema, e.origin_name, e.source_schema, e.source_name, e.owner_name,
    e.destination, e.location, e.lower_bound, e.upper_bound, e.rows, pg_catalog.encode(e.hash, 'hex') AS hash, e.bytes,
    e.state, e.verification,
    (SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = r.relation_oid) AS read_from,
    (SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = CASE WHEN e.restore_as = 'rows' THEN r.target_oid ELSE r.restored_oid END
          AND e.state = 'restored') AS restored_to,
    e.created_at, e.verified_at, e.restored_at
FROM citadel.archive_entry AS e JOIN citadel.archive_relation AS r USING (archive_id)
WHERE pg_catalog.pg_has_role('pg_monitor', 'USAGE')
   OR EXISTS (SELECT FROM pg_catalog.pg_roles AS o
              WHERE o.rolname = e.owner_name AND pg_catalog.pg_has_role(o.oid, 'USAGE'));
REVOKE ALL ON citadel.archive FROM PUBLIC;
GRANT SELECT ON citadel.archive TO PUBLIC;
COMMENT ON VIEW citadel.archive IS 'Archives: one''s own, and all of them for pg_monitor';
COMMENT ON COLUMN citadel.archive.archive_id IS 'Key; citadel.restore_archive() takes it';
COMMENT ON COLUMN citadel.archive.policy_id IS 'The policy that made it; NULL: none';
COMMENT ON COLUMN citadel.archive.origin_schema IS 'Schema of the table that the rows were a part of';
COMMENT ON COLUMN citadel.archive.origin_name IS 'That table';
COMMENT ON COLUMN citadel.archive.source_schema IS 'Schema of the relation that was archived';
COMMENT ON COLUMN citadel.archive.source_name IS 'That relation: a partition, or where rows were collected';
COMMENT ON COLUMN citadel.archive.owner_name IS 'Its owner';
COMMENT ON COLUMN citadel.archive.destination IS 'schema, schema:NAME, server:NAME or file:DIR';
COMMENT ON COLUMN citadel.archive.location IS 'Table, table on the foreign server, or folder below citadel_opt.archive_directory';
COMMENT ON COLUMN citadel.archive.lower_bound IS 'Lower bound of the rows inside, inclusive; NULL: open or unknown';
COMMENT ON COLUMN citadel.archive.upper_bound IS 'Upper bound of the rows inside, exclusive; NULL: open or unknown';
COMMENT ON COLUMN citadel.archive.rows IS 'Rows inside; NULL until all are copied';
COMMENT ON COLUMN citadel.archive.hash IS 'Order-independent hash of the rows, as citadel.content_hash() computes it';
COMMENT ON COLUMN citadel.archive.bytes IS 'Size of its files in bytes; NULL for tables';
COMMENT ON COLUMN citadel.archive.state IS 'copying, copied, complete, restoring, restored or discarded';
COMMENT ON COLUMN citadel.archive.verification IS 'pending; moved (nothing was copied); verified (the copy was re-read and equals the source); adopted';
COMMENT ON COLUMN citadel.archive.read_from IS 'Table, foreign table or view with which it is read where it lies';
COMMENT ON COLUMN citadel.archive.restored_to IS 'Table that it was restored to';
COMMENT ON COLUMN citadel.archive.created_at IS 'When archiving began';
COMMENT ON COLUMN citadel.archive.verified_at IS 'When it was complete';
COMMENT ON COLUMN citadel.archive.restored_at IS 'When it was restored';

CREATE FUNCTION citadel.archive_begin(relation regclass, destination text, tablespace text DEFAULT NULL,
    partition_bound text DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME', 'citadel_archive_begin'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.archive_begin(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION citadel.archive_begin(regclass, text, text, text) IS
    'Internal, for superusers: enters a detached table, in which nobody writes any more, into the catalogue of archives as one to be archived; returns archive_id. Go on with citadel.archive_step(). Nothing drops the table. Errors: 55000 with the reason when its owner cannot archive there, 42809 for what is no plain table, 22023 for what is no destination';

CREATE FUNCTION citadel.archive_step(archive_id bigint, step text) RETURNS text
AS 'MODULE_PATHNAME', 'citadel_archive_step'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.archive_step(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION citadel.archive_step(bigint, text) IS
    'Internal, for superusers: one bounded piece of a step of archiving, as the lifecycle job takes them: copy, verify and restore return more or done, compare (source and archive) same or different, discard gives an unfinished copy or restore up. Commit between two. Errors: 42704, 55000 in the wrong state, XX001 when copy and source differ';

CREATE FUNCTION citadel.archive_restore_begin(archive_id bigint, target regclass, restore_as text) RETURNS void
AS 'MODULE_PATHNAME', 'citadel_archive_restore_begin'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.archive_restore_begin(bigint, regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION citadel.archive_restore_begin(bigint, regclass, text) IS
    'Internal, for superusers: notes that an archive is to be restored; go on with citadel.archive_step(archive_id, ''restore'')';

CREATE PROCEDURE citadel.restore_archive(archive_id bigint, target regclass DEFAULT NULL, restore_as text DEFAULT NULL,
    timeout interval DEFAULT interval '1 day')
AS 'MODULE_PATHNAME', 'citadel_restore_archive'
LANGUAGE C;
REVOKE ALL ON PROCEDURE citadel.restore_archive(bigint, regclass, text, interval) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE citadel.restore_archive(bigint, regclass, text, interval) TO PUBLIC;
COMMENT ON PROCEDURE citadel.restore_archive(bigint, regclass, text, interval) IS
    'Brings an archive back and waits for that: as a partition of the target with the bounds it had, as rows of the target, or beside (no target) as a table of its own; by default as a partition where that can be. Compared with the archive''s hash before it is done. For the archive''s owner, who must own the target too. Files and foreign tables stay where they lie; a table that was moved is moved back. Errors: 25001 inside a transaction block, 42501, 42704, 42804 for other columns, 55000 in the wrong state or when it has not ended in time (it goes on), and those of the job';

CREATE TYPE citadel.adopted_archive AS (archive_id bigint, location text);
COMMENT ON TYPE citadel.adopted_archive IS 'A row of citadel.adopt_archives()';
COMMENT ON COLUMN citadel.adopted_archive.archive_id IS 'Key in citadel.archive';
COMMENT ON COLUMN citadel.adopted_archive.location IS 'Table, foreign table, or folder below citadel_opt.archive_directory';

CREATE FUNCTION citadel.adopt_archives() RETURNS SETOF citadel.adopted_archive
AS 'MODULE_PATHNAME', 'citadel_adopt_archives'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.adopt_archives() FROM PUBLIC;
COMMENT ON FUNCTION citadel.adopt_archives() IS
    'For superusers: enters archives that a dropped and re-created extension (or another database) left into the catalogue again: tables and foreign tables that carry the mark of an archive, and folders with a manifest below citadel_opt.archive_directory, whose views it makes anew. Returns what was adopted. Their verification is adopted: what the mark says was not compared with a source. What is in the catalogue already, or not whole, is left alone with a NOTICE';
