-- After the fuzzing: what the what-if engine, the advisor and every function say about statements and arguments that
-- nobody wrote for them. Each answer is kept in feed.answer; none may be an internal error, unless the server says the same
-- about that statement alone.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE SCHEMA feed;
CREATE TABLE feed.answer (what text, input text, sqlstate text, message text, server_alone text);

-- What a statement of ours answers: '00000' or the error. Whatever it did is undone.
CREATE FUNCTION feed.try(command text, OUT code text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RAISE SQLSTATE 'FEED0';
EXCEPTION WHEN OTHERS THEN
    code := CASE SQLSTATE WHEN 'FEED0' THEN '00000' ELSE SQLSTATE END;
    message := CASE SQLSTATE WHEN 'FEED0' THEN NULL ELSE SQLERRM END;
END
$$;

-- Captured statements, in a mixture that the seed decides.
CREATE PROCEDURE feed.ask(most integer, seed bigint) LANGUAGE plpgsql AS $$
DECLARE
    s record;
    answer record;
    alone text;
    gathered text[] := '{}';
    indexes CONSTANT text[] := ARRAY['CREATE INDEX ON many.scalars (words, id)', 'CREATE INDEX ON many.nested USING gin (json_b jsonb_path_ops)',
        'CREATE INDEX ON many.nested USING gist (place)', 'CREATE INDEX ON many.parts (region, at)', 'CREATE INDEX ON many.scalars (big) WHERE flag',
        'CREATE INDEX ON citadel_tasks.hero_workflow_history (task_id)', 'CREATE INDEX ON own.things USING brin (at)', 'CREATE INDEX ON many.child (c)'];
BEGIN
    PERFORM set_config('citadel_opt.advise_planning_limit', '200ms', false);
    FOR s IN SELECT DISTINCT ON (hashint8extended(st.query_id, seed)) st.query_id, st.query, st.search_path
             FROM citadel.statement AS st
             WHERE st.query ~* '^\s*(select|with|insert|update|delete|merge)\M' AND st.user_id::regrole::text ~ '^smith_'
             ORDER BY hashint8extended(st.query_id, seed) LIMIT most
    LOOP
        -- Its names mean what they meant when it ran.
        PERFORM set_config('search_path', coalesce(s.search_path, 'pg_catalog'), false);
        answer := feed.try(format('SELECT citadel.what_if(%L, %L)', s.query, indexes));
        alone := CASE answer.code WHEN 'XX000' THEN (feed.try('PREPARE feed_alone AS ' || s.query)).code END;
        INSERT INTO feed.answer VALUES ('what_if', s.query, answer.code, answer.message, alone);
        gathered := gathered || s.query;
        IF cardinality(gathered) = 10 THEN
            answer := feed.try(format('SELECT citadel.recommend_indexes(%L, time_limit_ms => 500)', gathered));
            INSERT INTO feed.answer VALUES ('recommend_indexes', gathered::text, answer.code, answer.message);
            gathered := '{}';
        END IF;
        COMMIT;
    END LOOP;
    PERFORM set_config('search_path', '"$user", public', false);
END
$$;

-- Every function of ours, each with so many mixtures of arguments.
CREATE PROCEDURE feed.call(mixtures integer, first integer) LANGUAGE plpgsql AS $$
DECLARE
    function_name text;
    answer record;
BEGIN
    FOR function_name IN SELECT proname FROM pg_proc WHERE pronamespace = 'reach'::regnamespace AND proname LIKE '%\_\_pick'
                         -- waits as long as the argument says
                         AND proname <> 'collect__pick' ORDER BY proname
    LOOP
        FOR n IN first .. first + mixtures - 1 LOOP
            answer := feed.try(format('SELECT reach.%I(%s)', function_name, n));
            INSERT INTO feed.answer VALUES (function_name, n::text, answer.code, answer.message);
        END LOOP;
        COMMIT;
    END LOOP;
END
$$;
