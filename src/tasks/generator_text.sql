-- Draws and texts of the generator. All of them are functions of a row number and a key alone.

CREATE FUNCTION citadel_tasks.draw(n bigint, key bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (pg_catalog.hashint8extended(n, key) & 9007199254740991)::double precision / 9007199254740992::double precision;
REVOKE ALL ON FUNCTION citadel_tasks.draw(bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.draw(bigint, bigint) IS
    'Uniform number in [0, 1) from 53 bits of a hash: the same for the same row number and key, and inlined';

-- Box-Muller: Box and Muller, A Note on the Generation of Random Normal Deviates (1958).
CREATE FUNCTION citadel_tasks.draw_lognormal(n bigint, key bigint, median double precision, sigma double precision)
    RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN median * pg_catalog.exp(sigma
        * pg_catalog.sqrt(-2 * pg_catalog.ln(1 - citadel_tasks.draw(n, key)))
        * pg_catalog.cos(6.283185307179586 * citadel_tasks.draw(n, key + 1)));
REVOKE ALL ON FUNCTION citadel_tasks.draw_lognormal(bigint, bigint, double precision, double precision) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.draw_lognormal(bigint, bigint, double precision, double precision) IS
    'Lognormal number with this median and this deviation of its logarithm; uses keys key and key + 1';

CREATE FUNCTION citadel_tasks.draw_zipf(n bigint, key bigint, items bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN LEAST(items, pg_catalog.floor(pg_catalog.power((items + 1)::double precision, citadel_tasks.draw(n, key)))::bigint);
REVOKE ALL ON FUNCTION citadel_tasks.draw_zipf(bigint, bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.draw_zipf(bigint, bigint, bigint) IS
    'Number from 1 to items, of which k comes about 1/k as often as 1 (Zipf with exponent 1, by inversion of the continuous law)';

-- Words fall off as 1/rank and lengths are lognormal, as in real notes. 1,024 texts of each kind are made once a call and
-- joined to the rows: making a text per row would cost more than everything else together.
CREATE FUNCTION citadel_tasks.text_pool(key bigint, OUT slot integer, OUT long_text text, OUT short_text text)
    RETURNS SETOF record LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH vocabulary AS (
        SELECT ARRAY['the', 'to', 'and', 'when', 'a', 'service', 'we', 'request', 'is', 'customer', 'in', 'after',
            'page', 'error', 'for', 'data', 'not', 'user', 'with', 'update', 'should', 'timeout', 'on', 'deploy', 'this',
            'queue', 'test', 'cache', 'report', 'before', 'index', 'migration', 'login', 'invoice', 'retry', 'release',
            'table', 'config', 'release', 'export', 'field', 'slow', 'alert', 'dashboard', 'job', 'permission', 'import',
            'payment', 'review', 'schema', 'worker', 'token', 'email', 'filter', 'version', 'backup', 'search', 'mobile',
            'layout', 'webhook', 'session', 'upload', 'currency', 'rounding', 'calendar', 'locale', 'replica', 'failover',
            'checkout', 'discount', 'supplier', 'warehouse', 'latency', 'throttle', 'duplicate', 'archive', 'partition',
            'certificate', 'rollback', 'snapshot', 'contract', 'compliance', 'audit', 'consent', 'encryption', 'gateway',
            'scheduler', 'heartbeat', 'deadlock', 'checksum', 'tenant', 'quota', 'sandbox', 'fixture', 'regression',
            'flaky', 'hydration', 'accessibility', 'keyboard', 'contrast', 'telemetry', 'backpressure'] AS words
    ),
    texts AS (
        SELECT s, k, LEAST(400, GREATEST(4, citadel_tasks.draw_lognormal(s * 2 + k, key, CASE k WHEN 0 THEN 26 ELSE 11 END,
                                                                       0.8)))::integer AS length
        FROM generate_series(0, 1023) AS s, generate_series(0, 1) AS k
    ),
    bodies AS (
        SELECT t.s, t.k, string_agg(v.words[citadel_tasks.draw_zipf((t.s * 2 + t.k) * 1000::bigint + w, key + 2,
                                                                  cardinality(v.words))], ' ' ORDER BY w) AS body
        FROM texts t CROSS JOIN vocabulary v CROSS JOIN LATERAL generate_series(1, t.length) AS w
        GROUP BY t.s, t.k
    )
    SELECT s, upper(left(max(body) FILTER (WHERE k = 0), 1)) || substr(max(body) FILTER (WHERE k = 0), 2) || '.',
           upper(left(max(body) FILTER (WHERE k = 1), 1)) || substr(max(body) FILTER (WHERE k = 1), 2) || '.'
    FROM bodies
    GROUP BY s
    ORDER BY s
$$;
REVOKE ALL ON FUNCTION citadel_tasks.text_pool(bigint) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.text_pool(bigint) IS
    '1,024 pairs of made-up texts, descriptions (median 26 words) and comments (median 11), the same for the same key';
