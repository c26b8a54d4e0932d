"""A write-heavy one: a ledger of payments that is inserted into and updated all the time, and read now and then. Indexes on
what updates change cost the most, as these updates can no longer be heap-only."""
import random

from model import Statement, Workload

ROWS = {"quick": 60_000, "full": 400_000}
# Rounds of the mix; each runs every statement by its weight.
ROUNDS = {"quick": 2, "full": 4}

SCHEMA = """
CREATE TABLE payment (pa_id bigint PRIMARY KEY, pa_account int NOT NULL, pa_terminal int NOT NULL, pa_kind smallint NOT NULL,
    pa_state text NOT NULL, pa_amount numeric(9, 2) NOT NULL, pa_created timestamptz NOT NULL, pa_touched timestamptz NOT NULL,
    pa_attempts int NOT NULL, pa_score int NOT NULL, pa_note text NOT NULL) WITH (fillfactor = 85);
INSERT INTO payment SELECT g, 1 + floor({rows} / 20 * power(random(), 2))::int, 1 + floor(900 * power(random(), 1.6))::int,
    1 + g % 12, (ARRAY['settled', 'pending', 'failed', 'held'])[1 + floor(4 * power(random(), 5))::int],
    round((1 + 900 * power(random(), 4))::numeric, 2), timestamptz '2024-01-01' + g * interval '7 seconds',
    timestamptz '2024-01-01' + g * interval '7 seconds' + random() * interval '1 day', floor(4 * power(random(), 3))::int,
    floor(1000 * random())::int, repeat('note ', 1 + g % 9)
FROM generate_series(1, {rows}) AS g;
CREATE SEQUENCE payment_number START 100000001;
CREATE TABLE payment_log (pl_payment bigint NOT NULL, pl_at timestamptz NOT NULL, pl_what text NOT NULL, pl_by int NOT NULL);
INSERT INTO payment_log SELECT 1 + floor({rows} * random())::bigint, timestamptz '2024-01-01' + g * interval '4 seconds',
    (ARRAY['created', 'settled', 'retried', 'held'])[1 + g % 4], g % 700 FROM generate_series(1, {rows}) AS g;
CREATE FUNCTION run_statement(statement text, times int, seed int, OUT milliseconds float8) LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
BEGIN
    FOR i IN 1..times LOOP
        EXECUTE statement USING hashint4(i * 31 + seed) & 2147483647, hashint4(i * 57 + seed) & 2147483647;
    END LOOP;
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - started);
END $$;
"""

# Name, weight, statement with $1 and $2 drawn anew for each execution.
OPERATIONS = [
    ("insert", 3000, "INSERT INTO payment SELECT nextval('payment_number'), 1 + $1 % ({rows} / 20), 1 + $2 % 900, 1 + $1 % 12, 'pending', "
     "$1 % 50000 / 100.0, timestamptz '2024-04-01' + $1 % 9000000 * interval '1 second', timestamptz '2024-04-01', 0, $2 % 1000, 'note'"),
    ("log", 3000, "INSERT INTO payment_log VALUES (1 + $1 % {rows}, timestamptz '2024-04-01' + $2 % 900000 * interval '1 second', 'created', "
     "$2 % 700)"),
    ("touch", 4000, "UPDATE payment SET pa_touched = pa_touched + interval '1 minute', pa_attempts = pa_attempts + 1 WHERE pa_id = 1 + $1 % {rows}"),
    ("score", 2000, "UPDATE payment SET pa_score = $2 % 1000 WHERE pa_id = 1 + $1 % {rows}"),
    ("settle", 800, "UPDATE payment SET pa_state = 'settled', pa_touched = now() WHERE pa_id = 1 + $1 % {rows}"),
    ("delete", 200, "DELETE FROM payment WHERE pa_id = 1 + $1 % {rows}"),
    ("of_account", 60, "SELECT pa_id, pa_amount, pa_state FROM payment WHERE pa_account = 1 + $1 % ({rows} / 20) ORDER BY pa_created DESC LIMIT 20"),
    ("log_of_payment", 60, "SELECT pl_at, pl_what FROM payment_log WHERE pl_payment = 1 + $1 % {rows} ORDER BY pl_at"),
    ("terminal_day", 4, "SELECT count(*), sum(pa_amount) FROM payment WHERE pa_terminal = 1 + $1 % 900 AND pa_created >= timestamptz "
     "'2024-01-03' AND pa_created < timestamptz '2024-01-04'"),
    ("held", 3, "SELECT pa_id, pa_touched FROM payment WHERE pa_state = 'held' AND pa_score > 990 ORDER BY pa_touched LIMIT 50"),
    ("stale", 2, "SELECT pa_id FROM payment WHERE pa_touched < timestamptz '2024-01-01 06:00' AND pa_state <> 'settled'"),
    ("retries", 2, "SELECT pa_kind, count(*) FROM payment WHERE pa_attempts >= 3 AND pa_score > 900 GROUP BY pa_kind"),
    ("top_scores", 2, "SELECT pa_id, pa_score FROM payment WHERE pa_score >= 998 AND pa_kind = 1 + $1 % 12"),
    ("large", 1, "SELECT pa_id, pa_amount FROM payment WHERE pa_amount > 890 ORDER BY pa_amount DESC LIMIT 20"),
    ("by_clerk", 1, "SELECT pl_what, count(*) FROM payment_log WHERE pl_by = $1 % 700 GROUP BY pl_what"),
]


def build(cursor, size):
    cursor.execute("SELECT setseed(0.5)")
    cursor.execute(SCHEMA.format(rows=ROWS[size]))


def statements(size):
    generator = random.Random(3)
    found = []
    for name, weight, sql in OPERATIONS:
        text = sql.format(rows=ROWS[size])
        for parameter in ("$1", "$2"):
            text = text.replace(parameter, str(generator.randrange(1, 2**31)))
        found.append(Statement(name, text, float(weight)))
    return found


def mix(cursor, size):
    """Milliseconds of all reads and of all writes, as they come."""
    taken = {True: 0.0, False: 0.0}
    operations = 0
    for number in range(ROUNDS[size] * 10):
        for name, weight, sql in OPERATIONS:
            text = sql.format(rows=ROWS[size])
            # Tenths of a round; what is rarer than that comes in some of them only.
            times = weight // 10 if weight >= 10 else int(number % 10 < weight)
            if times:
                cursor.execute("SELECT run_statement(%s, %s, %s)", (text, times, number * 1000))
                taken[Statement(name, text).writes] += cursor.fetchone()[0]
                operations += times
    return {"reads": taken[False] / 1000, "writes": taken[True] / 1000, "operations": operations}


WORKLOAD = Workload("writes", "write-heavy", build, statements, mix=mix)
