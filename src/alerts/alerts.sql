-- alerts: rules over figures, what they found, and what became of it.

CREATE TYPE citadel.figure_definition AS (
    figure text,
    unit text,
    description text,
    cluster_wide boolean
);
COMMENT ON TYPE citadel.figure_definition IS 'Row type of citadel.figure_definitions()';

CREATE FUNCTION citadel.figure_definitions()
RETURNS SETOF citadel.figure_definition
AS 'MODULE_PATHNAME', 'citadel_figure_definitions'
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 30 SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.figure_definitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.figure_definitions() TO pg_monitor;
COMMENT ON FUNCTION citadel.figure_definitions() IS
'The figures that rules may judge. cluster_wide: about the whole server, read by one database, that with the lowest OID among those with a scheduler. Empty when not preloaded';

-- The latest readings. Unlogged: they are read anew every citadel_opt.alert_interval.
CREATE UNLOGGED TABLE citadel.figure_value (
    figure text NOT NULL,
    subject text NOT NULL,
    value double precision NOT NULL,
    detail text,
    position integer NOT NULL,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (figure, subject)
) WITH (fillfactor = 50);
REVOKE ALL ON citadel.figure_value FROM PUBLIC;
GRANT SELECT ON citadel.figure_value TO pg_monitor;
COMMENT ON TABLE citadel.figure_value IS
'Every figure as the scheduler last read it; at most 200 subjects of each. Not readable on a standby';
COMMENT ON COLUMN citadel.figure_value.figure IS 'Name of the figure, as in citadel.figure_definitions()';
COMMENT ON COLUMN citadel.figure_value.subject IS 'What it was measured of: a role, a slot, a job, a table; at most 200 characters';
COMMENT ON COLUMN citadel.figure_value.value IS 'The reading, in the figure''s unit';
COMMENT ON COLUMN citadel.figure_value.detail IS 'What to look at, in words; NULL: nothing to add';
COMMENT ON COLUMN citadel.figure_value.position IS 'Its place among the subjects of the figure; 1: what matters most';
COMMENT ON COLUMN citadel.figure_value.read_at IS 'When it was read';

CREATE TABLE citadel.figure_failure (
    figure text PRIMARY KEY,
    failed_at timestamptz NOT NULL,
    message text NOT NULL
);
REVOKE ALL ON citadel.figure_failure FROM PUBLIC;
GRANT SELECT ON citadel.figure_failure TO pg_monitor;
COMMENT ON TABLE citadel.figure_failure IS
'Figures that could not be read the last time. Alerts over them stay as they are until they can be read again';
COMMENT ON COLUMN citadel.figure_failure.figure IS 'Name of the figure';
COMMENT ON COLUMN citadel.figure_failure.failed_at IS 'Since when it fails';
COMMENT ON COLUMN citadel.figure_failure.message IS 'The error';

CREATE TABLE citadel.alert_rule (
    rule text PRIMARY KEY CHECK (rule <> '' AND pg_catalog.length(rule) <= 63),
    description text NOT NULL DEFAULT '',
    figure text NOT NULL,
    subject_pattern text NOT NULL DEFAULT '%'
        CHECK (subject_pattern OPERATOR(pg_catalog.!~) '^([^\\]|\\.)*\\$'),
    comparison text NOT NULL DEFAULT '>' CHECK (comparison IN ('>', '>=', '<', '<=')),
    threshold double precision NOT NULL CHECK (threshold <> 'NaN'),
    unit text NOT NULL,
    clear_threshold double precision CHECK (clear_threshold <> 'NaN'),
    for_duration interval NOT NULL DEFAULT interval '0' CHECK (for_duration BETWEEN interval '0' AND interval '30 days'),
    clear_duration interval NOT NULL DEFAULT interval '0' CHECK (clear_duration BETWEEN interval '0' AND interval '30 days'),
    severity text NOT NULL DEFAULT 'warning' CHECK (severity IN ('info', 'warning', 'critical')),
    enabled boolean NOT NULL DEFAULT true,
    shipped boolean NOT NULL DEFAULT false,
    CHECK (CASE WHEN comparison IN ('>', '>=') THEN clear_threshold <= threshold ELSE clear_threshold >= threshold END)
);
REVOKE ALL ON citadel.alert_rule FROM PUBLIC;
GRANT SELECT ON citadel.alert_rule TO pg_monitor;
COMMENT ON TABLE citadel.alert_rule IS
'What is an alert. Superusers change it with INSERT and UPDATE; an INSERT of a rule that is there replaces it. Changes count at the next reading. Switch a shipped rule off rather than deleting it: a restore would bring it back';
COMMENT ON COLUMN citadel.alert_rule.rule IS 'Name of the rule';
COMMENT ON COLUMN citadel.alert_rule.description IS 'What it means and what to do';
COMMENT ON COLUMN citadel.alert_rule.figure IS 'The figure it judges, as in citadel.figure_definitions()';
COMMENT ON COLUMN citadel.alert_rule.subject_pattern IS 'Only subjects LIKE this pattern';
COMMENT ON COLUMN citadel.alert_rule.comparison IS 'An alert is what lies >, >=, < or <= threshold';
COMMENT ON COLUMN citadel.alert_rule.threshold IS 'In the figure''s unit';
COMMENT ON COLUMN citadel.alert_rule.unit IS 'The figure''s unit; a rule that names another one is not judged, see citadel.alert_rule_problem';
COMMENT ON COLUMN citadel.alert_rule.clear_threshold IS 'Hysteresis: over only when the value is no longer beyond this one; NULL: the threshold itself';
COMMENT ON COLUMN citadel.alert_rule.for_duration IS 'How long a value is beyond the threshold before it is an alert';
COMMENT ON COLUMN citadel.alert_rule.clear_duration IS 'How long it is clear before the alert is over';
COMMENT ON COLUMN citadel.alert_rule.severity IS 'info, warning or critical';
COMMENT ON COLUMN citadel.alert_rule.enabled IS 'Switched off: its open alerts are resolved';
COMMENT ON COLUMN citadel.alert_rule.shipped IS 'Came with the extension';
SELECT pg_catalog.pg_extension_config_dump('citadel.alert_rule', '');

-- A restored dump inserts its rules where CREATE EXTENSION has just inserted the shipped ones.
CREATE FUNCTION citadel.alert_rule_merge()
RETURNS trigger
AS 'MODULE_PATHNAME', 'citadel_alert_rule_merge'
LANGUAGE C SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.alert_rule_merge() FROM PUBLIC;
COMMENT ON FUNCTION citadel.alert_rule_merge() IS
'Internal: makes an insert into citadel.alert_rule replace the rule of the same name';
CREATE TRIGGER alert_rule_merge BEFORE INSERT ON citadel.alert_rule
FOR EACH ROW EXECUTE FUNCTION citadel.alert_rule_merge();

-- Breaches that have not lasted long enough yet.
CREATE UNLOGGED TABLE citadel.alert_pending (
    rule text NOT NULL,
    subject text NOT NULL,
    since timestamptz NOT NULL,
    worst_value double precision NOT NULL,
    PRIMARY KEY (rule, subject)
);
REVOKE ALL ON citadel.alert_pending FROM PUBLIC;
GRANT SELECT ON citadel.alert_pending TO pg_monitor;
COMMENT ON TABLE citadel.alert_pending IS
'Values beyond a threshold that are no alert yet, because the rule''s for_duration has not passed';
COMMENT ON COLUMN citadel.alert_pending.rule IS 'The rule';
COMMENT ON COLUMN citadel.alert_pending.subject IS 'What it is about';
COMMENT ON COLUMN citadel.alert_pending.since IS 'When it was first found beyond the threshold';
COMMENT ON COLUMN citadel.alert_pending.worst_value IS 'Furthest beyond the threshold so far';

-- Not part of a dump: alerts tell about this server.
CREATE TABLE citadel.alert (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL,
    severity text NOT NULL,
    figure text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'resolved')),
    value double precision NOT NULL,
    worst_value double precision NOT NULL,
    comparison text NOT NULL,
    threshold double precision NOT NULL,
    unit text NOT NULL,
    detail text,
    since timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    clear_since timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    note text,
    resolved_at timestamptz,
    opening_told_at timestamptz,
    end_told_at timestamptz
);
CREATE UNIQUE INDEX alert_open ON citadel.alert (rule, subject) WHERE state <> 'resolved';
CREATE INDEX alert_opened ON citadel.alert (opened_at);
CREATE INDEX alert_untold ON citadel.alert (alert_id) WHERE opening_told_at IS NULL OR (end_told_at IS NULL AND state = 'resolved');
REVOKE ALL ON citadel.alert FROM PUBLIC;
GRANT SELECT ON citadel.alert TO pg_monitor;
COMMENT ON TABLE citadel.alert IS
'Alerts, open and past; resolved ones older than citadel_opt.history_retention are removed by the maintain job';
COMMENT ON COLUMN citadel.alert.alert_id IS 'Number of the alert; citadel.acknowledge_alert() takes it';
COMMENT ON COLUMN citadel.alert.rule IS 'The rule that found it';
COMMENT ON COLUMN citadel.alert.severity IS 'info, warning or critical, as the rule said when it opened';
COMMENT ON COLUMN citadel.alert.figure IS 'The figure';
COMMENT ON COLUMN citadel.alert.subject IS 'What it is about: a role, a slot, a job, a table';
COMMENT ON COLUMN citadel.alert.state IS 'open; acknowledged: somebody knows; resolved: over';
COMMENT ON COLUMN citadel.alert.value IS 'The value when it opened; the current one is in citadel.figure_value';
COMMENT ON COLUMN citadel.alert.worst_value IS 'The value furthest beyond the threshold';
COMMENT ON COLUMN citadel.alert.comparison IS 'The rule''s comparison when it opened';
COMMENT ON COLUMN citadel.alert.threshold IS 'The rule''s threshold when it opened';
COMMENT ON COLUMN citadel.alert.unit IS 'Unit of values and threshold';
COMMENT ON COLUMN citadel.alert.detail IS 'What to look at, as it was when it opened';
COMMENT ON COLUMN citadel.alert.since IS 'When the value was first found beyond the threshold';
COMMENT ON COLUMN citadel.alert.opened_at IS 'When it had been so for the rule''s for_duration';
COMMENT ON COLUMN citadel.alert.clear_since IS 'Since when the value is back beyond the clear threshold; NULL: it is not';
COMMENT ON COLUMN citadel.alert.acknowledged_at IS 'When it was acknowledged';
COMMENT ON COLUMN citadel.alert.acknowledged_by IS 'Session user who acknowledged it';
COMMENT ON COLUMN citadel.alert.note IS 'What he wrote';
COMMENT ON COLUMN citadel.alert.resolved_at IS 'When it was over';
COMMENT ON COLUMN citadel.alert.opening_told_at IS 'When NOTIFY and the server''s log told of it; NULL: not yet, see docs/alerts.md on limits';
COMMENT ON COLUMN citadel.alert.end_told_at IS 'When they told that it was over';

CREATE TABLE citadel.alert_event (
    alert_id bigint NOT NULL,
    at timestamptz NOT NULL,
    event text NOT NULL CHECK (event IN ('opened', 'worsened', 'clearing', 'relapsed', 'acknowledged', 'resolved')),
    value double precision,
    by_role text,
    note text
);
CREATE INDEX alert_event_alert ON citadel.alert_event (alert_id, at);
REVOKE ALL ON citadel.alert_event FROM PUBLIC;
GRANT SELECT ON citadel.alert_event TO pg_monitor;
COMMENT ON TABLE citadel.alert_event IS 'What happened to each alert, and when';
COMMENT ON COLUMN citadel.alert_event.alert_id IS 'The alert';
COMMENT ON COLUMN citadel.alert_event.at IS 'When';
COMMENT ON COLUMN citadel.alert_event.event IS
'opened, worsened (by a tenth and more), clearing (back beyond the clear threshold), relapsed, acknowledged or resolved';
COMMENT ON COLUMN citadel.alert_event.value IS 'The value then; NULL: the subject was gone, or nobody measured';
COMMENT ON COLUMN citadel.alert_event.by_role IS 'Session user who acknowledged it';
COMMENT ON COLUMN citadel.alert_event.note IS 'What he wrote';

CREATE FUNCTION citadel.acknowledge_alert(alert_id bigint, note text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_acknowledge_alert'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.acknowledge_alert(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION citadel.acknowledge_alert(bigint, text) IS
'Says that somebody knows of an open alert; a further call replaces the note. It is still resolved by itself. Errors: 22004 NULL, 42704 no such alert, 55000 it is over. For superusers and those granted EXECUTE';

CREATE VIEW citadel.alert_rule_problem AS
SELECT r.rule, r.figure,
       CASE WHEN d.figure IS NULL THEN pg_catalog.format('there is no figure %s', r.figure)
            ELSE pg_catalog.format('figure %s is measured in %s, not in %s', r.figure, d.unit, r.unit) END AS problem
FROM citadel.alert_rule r
LEFT JOIN citadel.figure_definitions() d ON d.figure OPERATOR(pg_catalog.=) r.figure
WHERE r.enabled AND (d.figure IS NULL OR d.unit OPERATOR(pg_catalog.<>) r.unit)
  AND EXISTS (SELECT FROM citadel.figure_definitions());
REVOKE ALL ON citadel.alert_rule_problem FROM PUBLIC;
GRANT SELECT ON citadel.alert_rule_problem TO pg_monitor;
COMMENT ON VIEW citadel.alert_rule_problem IS 'Enabled rules that cannot be judged, and why';
COMMENT ON COLUMN citadel.alert_rule_problem.rule IS 'The rule';
COMMENT ON COLUMN citadel.alert_rule_problem.figure IS 'The figure it names';
COMMENT ON COLUMN citadel.alert_rule_problem.problem IS 'What is wrong with it';
