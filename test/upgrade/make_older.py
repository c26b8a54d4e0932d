#!/usr/bin/env python3
"""Makes the scripts of an older version, 0.0.9, out of those of this one, for test/tap/510_upgrade.pl.

    make_older.py VERSION FOLDER     reads citadel_opt--VERSION.sql and citadel_tasks--VERSION.sql in the current folder

What 0.0.9 lacks, or has otherwise, is one of everything that a step script is ever asked to change. What the step puts
back is taken from the install script itself, statement by statement, so that this file need not follow each change there.
For each extension there are then NAME--0.0.9.sql, the step from there, a step back (so that a database with data made by
the current library can become an old one), and a step to a version that no library has yet, and back."""

import re
import sys
from pathlib import Path

OLDER, LATER = "0.0.9", "99.0.0"


def statements(script):
    """The statements of a script, without the comments and psql commands between them."""
    pieces = re.compile(r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|--[^\n]*|;|[^$'\-;]+|.", re.DOTALL)
    statement = ""
    for piece in pieces.finditer(re.sub(r"^\\.*$", "", script, flags=re.MULTILINE)):
        text = piece.group(0)
        if text.startswith("--"):
            continue
        statement += text
        if text == ";":
            yield statement.strip()
            statement = ""


SUBJECT = re.compile(
    r"CREATE (?:UNLOGGED )?(?:FUNCTION|VIEW|TABLE|TYPE) (?P<made>\w+\.\w+)"
    r"|CREATE (?:UNIQUE )?INDEX \w+ ON (?P<indexed>\w+\.\w+)"
    r"|(?:GRANT|REVOKE) [A-Z, ]+ ON (?:FUNCTION |TABLE |SEQUENCE )?(?P<granted>\w+\.\w+)"
    r"|COMMENT ON (?:FUNCTION|VIEW|TABLE|COLUMN|TYPE) (?P<described>\w+\.\w+)"
    r"|SELECT pg_catalog\.pg_extension_config_dump\('(?P<dumped>\w+\.\w+?)(?:_id_seq)?'")


def about(script, name):
    """What the install script says about one object: CREATE, indexes, privileges, comments, dumping."""
    found = []
    for statement in statements(script):
        match = SUBJECT.match(statement)
        if match and name in match.groupdict().values():
            found.append(statement)
    if not found:
        raise SystemExit(f"make_older.py: the install script says nothing about {name}")
    return "\n".join(found)


def replaced(script, name):
    return about(script, name).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace("CREATE VIEW", "CREATE OR REPLACE VIEW")


def rule(script, name):
    """One of the rules that ship, as a statement of its own."""
    for statement in statements(script):
        if statement.startswith("INSERT INTO citadel.alert_rule"):
            head, rows = statement.rstrip(";").split("VALUES", 1)
            for row in re.findall(r"\((?:'(?:[^']|'')*'|[^()'])*\)", rows):
                if row.startswith(f"('{name}'"):
                    return f"{head}VALUES {row};"
    raise SystemExit(f"make_older.py: no rule {name}")


def citadel_opt(script):
    older = """
DROP FUNCTION citadel.recommendation_report(bigint);
DROP VIEW citadel.index_usage;
ALTER EXTENSION citadel_opt DROP SEQUENCE citadel.setting_log_id_seq;
ALTER EXTENSION citadel_opt DROP TABLE citadel.setting_log;
DROP TABLE citadel.setting_log;
DROP INDEX citadel.ddl_log_at;
ALTER TABLE citadel.job_setting DROP COLUMN changed_by;
ALTER TABLE citadel.job_setting DROP CONSTRAINT job_setting_max_runtime_check;
ALTER TYPE citadel.disk_space_row DROP ATTRIBUTE free_bytes;
CREATE OR REPLACE FUNCTION citadel.percent(share double precision) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT (share * 100)::text || ' %' $$;
REVOKE ALL ON FUNCTION citadel.percent(double precision) FROM PUBLIC;
COMMENT ON FUNCTION citadel.percent(double precision) IS 'As it was before';
CREATE OR REPLACE VIEW citadel.alert_rule_problem AS SELECT rule, figure, ''::text AS problem FROM citadel.alert_rule;
DELETE FROM citadel.alert_rule WHERE rule = 'deadlocks';
CREATE FUNCTION citadel.obsolete() RETURNS integer LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT 1';
GRANT SELECT ON citadel.setting_state TO PUBLIC;
"""
    newer = "\n".join([
        about(script, "citadel.recommendation_report"), about(script, "citadel.index_usage"),
        about(script, "citadel.setting_log"),
        "CREATE INDEX ddl_log_at ON citadel.ddl_log (at);",
        "ALTER TABLE citadel.job_setting ADD COLUMN changed_by text NOT NULL DEFAULT session_user;",
        *re.findall(r"^COMMENT ON COLUMN citadel\.job_setting\.changed_by .*;$", script, re.MULTILINE),
        "ALTER TABLE citadel.job_setting ADD CHECK (max_runtime >= interval '1 second');",
        "ALTER TYPE citadel.disk_space_row ADD ATTRIBUTE free_bytes bigint;",
        *re.findall(r"^COMMENT ON COLUMN citadel\.disk_space_row\.free_bytes .*;$", script, re.MULTILINE),
        replaced(script, "citadel.percent"), replaced(script, "citadel.alert_rule_problem"),
        rule(script, "deadlocks"),
        "DROP FUNCTION citadel.obsolete();",
        "REVOKE ALL ON citadel.setting_state FROM PUBLIC;"])
    return older, newer


def citadel_tasks(script):
    older = """
DROP FUNCTION citadel_tasks.get_task_dependencies(bigint, integer);
DROP TYPE citadel_tasks.task_dependency;
ALTER TABLE citadel_tasks.hero_tasks DROP COLUMN version;
"""
    newer = "\n".join([
        about(script, "citadel_tasks.task_dependency"), about(script, "citadel_tasks.get_task_dependencies"),
        "ALTER TABLE citadel_tasks.hero_tasks ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0);",
        *re.findall(r"^COMMENT ON COLUMN citadel_tasks\.hero_tasks\.version .*;$", script, re.MULTILINE)])
    return older, newer


def main():
    version, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("citadel_opt", citadel_opt), ("citadel_tasks", citadel_tasks)):
        install = Path(f"{name}--{version}.sql").read_text(encoding="utf-8")
        older, newer = make(install)
        head = "SET LOCAL search_path = pg_catalog, pg_temp;\n"
        for steps, text in ((OLDER, install + older), (f"{version}--{OLDER}", head + older), (f"{OLDER}--{version}", head + newer),
                            (f"{version}--{LATER}", head), (f"{LATER}--{version}", head)):
            (folder / f"{name}--{steps}.sql").write_text(text, encoding="utf-8")


main()
