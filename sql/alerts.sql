-- Alerts: rules, what they refuse, acknowledging, and one alert from its opening to its end. Durations, hysteresis and
-- limits are tested by test/unit/alerts_test.cpp and test/tap/800_alerts.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;

-- Every shipped rule judges a figure that is there, in its unit.
SELECT count(*) >= 20 AS shipped, bool_and(enabled) AS enabled, bool_and(description <> '') AS described FROM citadel.alert_rule WHERE shipped;
SELECT * FROM citadel.alert_rule_problem;
SELECT count(*) >= 20 AS figures, bool_and(unit <> '' AND description <> '') AS described FROM citadel.figure_definitions();

-- Rules that cannot be meant.
\set VERBOSITY terse
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit) VALUES ('', 'deadlocks', 1, '1/min');
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit) VALUES (repeat('x', 64), 'deadlocks', 1, '1/min');
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit) VALUES ('bad', 'deadlocks', 'NaN', '1/min');
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, comparison) VALUES ('bad', 'deadlocks', 1, '1/min', '=');
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, clear_threshold) VALUES ('bad', 'deadlocks', 1, '1/min', 2);
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, clear_threshold, comparison) VALUES ('bad', 'deadlocks', 1, '1/min', 0.5, '<');
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, for_duration) VALUES ('bad', 'deadlocks', 1, '1/min', '-1 s');
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, severity) VALUES ('bad', 'deadlocks', 1, '1/min', 'loud');
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, subject_pattern) VALUES ('bad', 'deadlocks', 1, '1/min', E'a\\');
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, subject_pattern) VALUES ('fine', 'deadlocks', 1, '1/min', E'a\\\\');
-- An insert of a rule that is there replaces it, as a restored dump does.
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, enabled) VALUES ('fine', 'deadlocks', 7, '1/min', false);
SELECT threshold, subject_pattern, enabled FROM citadel.alert_rule WHERE rule = 'fine';
-- Rules over what nobody measures, or in another unit, are said.
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit) VALUES ('fine', 'deadlocks', 7, 'ms'), ('typo', 'deadlock', 7, '1/min');
SELECT * FROM citadel.alert_rule_problem ORDER BY rule;
DELETE FROM citadel.alert_rule WHERE NOT shipped;
\set VERBOSITY default

-- Acknowledging what is not there.
SELECT citadel.acknowledge_alert(NULL);
SELECT citadel.acknowledge_alert(-1, 'what');

-- One alert, about a job whose name is fixed: any job has at least -1 failures.
CREATE FUNCTION pg_temp.wait_for(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    held boolean;
BEGIN
    FOR i IN 1 .. 600 LOOP
        EXECUTE 'SELECT ' || condition INTO held;
        IF held THEN RETURN true; END IF;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RETURN false;
END $$;
ALTER SYSTEM SET citadel_opt.alert_interval = '1s';
SELECT pg_reload_conf();
INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, subject_pattern, severity)
VALUES (E'hostile "rule"\n''; DROP TABLE citadel.alert; --', 'job_failures', -1, 'count', 'mainta_n', 'critical');
SELECT pg_temp.wait_for($$EXISTS (SELECT FROM citadel.alert WHERE rule LIKE 'hostile%' AND opening_told_at IS NOT NULL)$$);
SELECT figure, subject, state, severity, comparison, threshold, unit FROM citadel.alert WHERE rule LIKE 'hostile%';
SELECT citadel.acknowledge_alert(alert_id, 'I know') FROM citadel.alert WHERE rule LIKE 'hostile%';
SELECT citadel.acknowledge_alert(alert_id, repeat('x', 10001)) FROM citadel.alert WHERE rule LIKE 'hostile%';
SELECT state, acknowledged_by = session_user AS mine, note FROM citadel.alert WHERE rule LIKE 'hostile%';
-- Switched off: it is over, without a second alert.
UPDATE citadel.alert_rule SET enabled = false WHERE rule LIKE 'hostile%';
SELECT pg_temp.wait_for($$EXISTS (SELECT FROM citadel.alert WHERE rule LIKE 'hostile%' AND end_told_at IS NOT NULL)$$);
SELECT state, note, resolved_at >= opened_at AS in_order FROM citadel.alert WHERE rule LIKE 'hostile%';
SELECT e.event, e.value, e.note FROM citadel.alert_event e JOIN citadel.alert a USING (alert_id) WHERE a.rule LIKE 'hostile%' ORDER BY e.at;
\set VERBOSITY sqlstate
SELECT citadel.acknowledge_alert(alert_id) FROM citadel.alert WHERE rule LIKE 'hostile%';
\set VERBOSITY default
DELETE FROM citadel.alert_rule WHERE NOT shipped;

-- What is not open to others.
CREATE ROLE regress_alert_monitor IN ROLE pg_monitor;
SET ROLE regress_alert_monitor;
SELECT count(*) > 0 AS sees FROM citadel.alert;
SELECT count(*) > 0 AS sees FROM citadel.figure_value;
SELECT count(*) > 0 AS sees FROM citadel.disk_space() WHERE free_bytes BETWEEN 0 AND total_bytes;
SELECT citadel.acknowledge_alert(1);
UPDATE citadel.alert_rule SET threshold = 0;
RESET ROLE;
DROP ROLE regress_alert_monitor;
ALTER SYSTEM RESET citadel_opt.alert_interval;
SELECT pg_reload_conf();
