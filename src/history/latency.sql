-- Latency histograms as stored values (src/capture/latency_histogram.hpp): merged and read by pure functions over bytea,
-- open to everybody because reports on one's own statements are made of them.

CREATE TYPE citadel.latency_bucket AS (
    lower_ms double precision,
    upper_ms double precision,
    calls bigint
);
COMMENT ON TYPE citadel.latency_bucket IS 'A row of citadel.latency_buckets().';
COMMENT ON COLUMN citadel.latency_bucket.lower_ms IS 'Runs took at least so long, milliseconds.';
COMMENT ON COLUMN citadel.latency_bucket.upper_ms IS 'And less than this; the last bucket holds what is longer, too.';

CREATE FUNCTION citadel.latency_merge(histograms bytea[]) RETURNS bytea
    AS 'MODULE_PATHNAME', 'citadel_latency_merge'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.latency_merge(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.latency_merge(bytea[]) TO PUBLIC;
COMMENT ON FUNCTION citadel.latency_merge(bytea[]) IS
    'The histogram of all runs counted in these; exact. NULL elements count as empty. Raises 22023 for bytes that are no '
    'histogram.';

CREATE FUNCTION citadel.latency_percentile(histogram bytea, p double precision) RETURNS double precision
    AS 'MODULE_PATHNAME', 'citadel_latency_percentile'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.latency_percentile(bytea, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.latency_percentile(bytea, double precision) TO PUBLIC;
COMMENT ON FUNCTION citadel.latency_percentile(bytea, double precision) IS
    'Milliseconds that a share p (0..1) of the runs does not exceed, within 7 % of the exact value from 1 microsecond to 19 '
    'hours; NULL for an empty histogram. Raises 22023 for a p outside 0..1 and for bytes that are no histogram.';

CREATE FUNCTION citadel.latency_calls(histogram bytea) RETURNS bigint
    AS 'MODULE_PATHNAME', 'citadel_latency_calls'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.latency_calls(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.latency_calls(bytea) TO PUBLIC;
COMMENT ON FUNCTION citadel.latency_calls(bytea) IS 'How many runs a histogram counts. Raises 22023 for bytes that are none.';

CREATE FUNCTION citadel.latency_buckets(histogram bytea) RETURNS SETOF citadel.latency_bucket
    AS 'MODULE_PATHNAME', 'citadel_latency_buckets'
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.latency_buckets(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.latency_buckets(bytea) TO PUBLIC;
COMMENT ON FUNCTION citadel.latency_buckets(bytea) IS
    'The buckets of a histogram that are not empty, shortest first, to draw it. Raises 22023 for bytes that are none.';
