-- What the figures of this room are read from, beside the server's own views.

CREATE TYPE citadel.disk_space_row AS (
    place text,
    total_bytes bigint,
    free_bytes bigint
);
COMMENT ON TYPE citadel.disk_space_row IS 'Row type of citadel.disk_space()';
COMMENT ON COLUMN citadel.disk_space_row.place IS
    'data directory, WAL or tablespace NAME; several may lie on one file system';
COMMENT ON COLUMN citadel.disk_space_row.total_bytes IS 'Size of the file system';
COMMENT ON COLUMN citadel.disk_space_row.free_bytes IS 'What the server may still write there';

CREATE FUNCTION citadel.disk_space() RETURNS SETOF citadel.disk_space_row
AS 'MODULE_PATHNAME', 'citadel_disk_space'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 5
SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.disk_space() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.disk_space() TO pg_monitor;
COMMENT ON FUNCTION citadel.disk_space() IS
    'Size and free bytes of the file systems of data directory, WAL and tablespaces (statvfs); one that cannot be asked is left out';

CREATE TABLE citadel.database_size (
    at timestamptz NOT NULL,
    bytes bigint NOT NULL
);
CREATE INDEX database_size_at ON citadel.database_size (at);
REVOKE ALL ON citadel.database_size FROM PUBLIC;
GRANT SELECT ON citadel.database_size TO pg_monitor;
COMMENT ON TABLE citadel.database_size IS
    'Size of this database, noted every hour; rows older than citadel_opt.history_retention are removed by the maintain job';
COMMENT ON COLUMN citadel.database_size.at IS 'When';
COMMENT ON COLUMN citadel.database_size.bytes IS 'Bytes of all its files';
