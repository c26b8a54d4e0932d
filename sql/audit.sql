-- The audit log: linked, append-only for everybody, and what verify_audit_log() finds.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
SELECT count(*) AS entries FROM citadel.audit_log;
SELECT entries, head, first_broken FROM citadel.verify_audit_log();

-- Entries, as the rooms above append them.
INSERT INTO citadel.audit_pending (at, actor, action, outcome, subject_schema, subject_name, row_count, reason, detail)
SELECT '2026-01-01 00:00:00.000001+00'::timestamptz + i * interval '1 day', 'somebody', 'probe', 'done', 'public', 'Odd "name"', i,
    CASE WHEN i % 2 = 0 THEN 'even' END, jsonb_build_object('number', i)
FROM generate_series(1, 2500) AS i;
SELECT entries, split_part(head, ':', 1) AS last, length(head), first_broken, problem FROM citadel.verify_audit_log();
SELECT count(*) AS pending FROM citadel.audit_pending;
SELECT seq, actor, action, outcome, row_count, reason, detail, length(hash) FROM citadel.audit_log ORDER BY seq DESC LIMIT 2;
-- The first entry has nothing before it; each other the hash of the one before it.
SELECT encode(previous_hash, 'hex') ~ '^0{64}$' AS starts_with_zeros FROM citadel.audit_entry WHERE seq = 1;
SELECT count(*) AS unlinked FROM citadel.audit_entry AS e JOIN citadel.audit_entry AS b ON b.seq = e.seq - 1 WHERE e.previous_hash <> b.hash;

-- The hash can be computed by anybody who knows the format (docs/audit.md).
CREATE FUNCTION pg_temp.field(value text) RETURNS bytea LANGUAGE sql AS
    $$ SELECT CASE WHEN value IS NULL THEN '\xffffffff'::bytea ELSE int4send(octet_length(value)) || convert_to(value, 'UTF8') END $$;
SELECT count(*) AS same, count(*) FILTER (WHERE hash <> sha256(convert_to('citadel_opt audit 1', 'UTF8') || '\x00'::bytea
    || pg_temp.field(seq::text) || pg_temp.field(((extract(epoch FROM at) * 1000000)::bigint)::text) || pg_temp.field(actor)
    || pg_temp.field(action) || pg_temp.field(outcome) || pg_temp.field(subject_oid::text) || pg_temp.field(subject_schema)
    || pg_temp.field(subject_name) || pg_temp.field(policy_id::text) || pg_temp.field(policy_version::text)
    || pg_temp.field(lower_bound) || pg_temp.field(upper_bound) || pg_temp.field(row_count::text) || pg_temp.field(checksum)
    || pg_temp.field(lsn::text) || pg_temp.field(reason) || pg_temp.field(detail::text)
    || pg_temp.field(encode(previous_hash, 'hex')))) AS different
FROM citadel.audit_entry;

-- Nobody edits it: a superuser neither, nor with triggers of ordinary sessions off.
UPDATE citadel.audit_entry SET reason = 'forged' WHERE seq = 7;
DELETE FROM citadel.audit_entry WHERE false;
TRUNCATE citadel.audit_entry;
UPDATE citadel.audit_pending SET reason = 'forged';
DELETE FROM citadel.audit_pending;
TRUNCATE citadel.audit_pending, citadel.audit_entry;
DELETE FROM citadel.audit_seal;
SET session_replication_role = replica;
DELETE FROM citadel.audit_entry WHERE seq = 7;
RESET session_replication_role;

-- A head to remember.
SELECT head AS head_2500 FROM citadel.verify_audit_log() \gset
SELECT seq || ':' || hash AS head_1200 FROM citadel.audit_log WHERE seq = 1200 \gset
SELECT first_broken, problem FROM citadel.verify_audit_log(:'head_2500');
SELECT first_broken, problem FROM citadel.verify_audit_log(:'head_1200');
SELECT first_broken, problem FROM citadel.verify_audit_log(upper(split_part(:'head_1200', ':', 2)));
SELECT first_broken, problem FROM citadel.verify_audit_log('1200:' || repeat('a', 64));
SELECT first_broken, problem FROM citadel.verify_audit_log(repeat('a', 64));
SELECT * FROM citadel.verify_audit_log('something else');

-- The tools of a forger who knows the format: first .. last with a forged first entry, each linked to the one before.
CREATE FUNCTION pg_temp.hash_of(e citadel.audit_entry) RETURNS bytea LANGUAGE sql AS
    $$ SELECT sha256(convert_to('citadel_opt audit 1', 'UTF8') || '\x00'::bytea
    || pg_temp.field(e.seq::text) || pg_temp.field(((extract(epoch FROM e.at) * 1000000)::bigint)::text) || pg_temp.field(e.actor)
    || pg_temp.field(e.action) || pg_temp.field(e.outcome) || pg_temp.field(e.subject_oid::text) || pg_temp.field(e.subject_schema)
    || pg_temp.field(e.subject_name) || pg_temp.field(e.policy_id::text) || pg_temp.field(e.policy_version::text)
    || pg_temp.field(e.lower_bound) || pg_temp.field(e.upper_bound) || pg_temp.field(e.row_count::text) || pg_temp.field(e.checksum)
    || pg_temp.field(e.lsn::text) || pg_temp.field(e.reason) || pg_temp.field(e.detail::text)
    || pg_temp.field(encode(e.previous_hash, 'hex'))) $$;
CREATE PROCEDURE pg_temp.forge(first bigint, last bigint) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE citadel.audit_entry SET reason = 'forged' WHERE seq = first;
    FOR i IN first .. last LOOP
        UPDATE citadel.audit_entry AS e SET previous_hash = coalesce((SELECT b.hash FROM citadel.audit_entry AS b WHERE b.seq = i - 1), e.previous_hash)
        WHERE e.seq = i;
        UPDATE citadel.audit_entry AS e SET hash = pg_temp.hash_of(e) WHERE e.seq = i;
    END LOOP;
END $$;

-- Whoever switches the trigger off can edit; that is found.
BEGIN;
ALTER TABLE citadel.audit_entry DISABLE TRIGGER audit_guard;
SAVEPOINT edit;
UPDATE citadel.audit_entry SET row_count = 8 WHERE seq = 7;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
ROLLBACK TO edit;
UPDATE citadel.audit_entry SET at = at + interval '1 microsecond' WHERE seq = 2500;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
ROLLBACK TO edit;
UPDATE citadel.audit_entry SET detail = detail || '{"x": 1}' WHERE seq = 1001;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
ROLLBACK TO edit;
DELETE FROM citadel.audit_entry WHERE seq = 1000;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
ROLLBACK TO edit;
DELETE FROM citadel.audit_entry WHERE seq = 1;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
ROLLBACK TO edit;
-- A forger who knows the format. One entry whose own hash is right again: the next one does not follow it.
CALL pg_temp.forge(7, 7);
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
ROLLBACK TO edit;
-- A stretch of them; from one on to the end, which only a head from outside tells; a stretch removed and the rest linked anew.
CALL pg_temp.forge(7, 1500);
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
ROLLBACK TO edit;
CALL pg_temp.forge(1150, 2500);
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_1200');
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_2500');
ROLLBACK TO edit;
DELETE FROM citadel.audit_entry WHERE seq BETWEEN 1000 AND 1099;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
UPDATE citadel.audit_entry SET seq = seq - 100 WHERE seq >= 1100;
CALL pg_temp.forge(1000, 2400);
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_1200');
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_2500');
ROLLBACK TO edit;
-- Cut off at the end, or wholly computed anew: found with a head from outside only.
DELETE FROM citadel.audit_entry WHERE seq > 2400;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_2500');
ROLLBACK TO edit;
INSERT INTO citadel.audit_pending (at, actor, action, outcome, reason)
    SELECT at, actor, action, outcome, 'forged' FROM citadel.audit_entry WHERE seq <= 1500 ORDER BY seq;
TRUNCATE citadel.audit_entry;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_1200');
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(split_part(:'head_1200', ':', 2));
ROLLBACK;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_2500');

-- Sealing: the start goes, its head stays, the log says so.
SELECT citadel.seal_audit_log('2026-04-11 00:00:00+00') AS removed;
SELECT first_seq, last_seq, first_at, last_at, sealed_by = session_user AS by_me FROM citadel.audit_seal;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_2500');
SELECT entries, first_broken, problem FROM citadel.verify_audit_log((SELECT last_seq || ':' || encode(head, 'hex') FROM citadel.audit_seal));
SELECT entries, first_broken, problem FROM citadel.verify_audit_log('50:' || repeat('a', 64));
SELECT seq, action, lower_bound, upper_bound, row_count, checksum = (SELECT encode(head, 'hex') FROM citadel.audit_seal) AS head_recorded
FROM citadel.audit_log WHERE action = 'seal_audit_log';
SELECT citadel.seal_audit_log('2026-04-11 00:00:00+00') AS removed_again;
-- The last entry always stays.
SELECT citadel.seal_audit_log('infinity') AS removed;
SELECT entries, first_broken, problem FROM citadel.verify_audit_log(:'head_2500');
SELECT count(*) AS seals, min(first_seq), max(last_seq) FROM citadel.audit_seal;
-- A stretch that was removed by hand and given a seal.
BEGIN;
INSERT INTO citadel.audit_pending (at, actor, action, outcome) VALUES (now(), 'somebody', 'probe', 'done'), (now(), 'somebody', 'probe', 'done');
SELECT first_broken FROM citadel.verify_audit_log();
ALTER TABLE citadel.audit_entry DISABLE TRIGGER audit_guard;
INSERT INTO citadel.audit_seal (first_seq, last_seq, first_at, last_at, head, sealed_at, sealed_by)
    SELECT min(seq), max(seq) - 1, now(), now(), (SELECT previous_hash FROM citadel.audit_entry ORDER BY seq DESC LIMIT 1), now(), 'somebody' FROM citadel.audit_entry;
DELETE FROM citadel.audit_entry WHERE seq <= (SELECT max(last_seq) FROM citadel.audit_seal);
SELECT entries, first_broken, problem FROM citadel.verify_audit_log();
ROLLBACK;
-- Not while it is broken.
BEGIN;
ALTER TABLE citadel.audit_entry DISABLE TRIGGER audit_guard;
UPDATE citadel.audit_entry SET reason = 'forged';
SELECT citadel.seal_audit_log('infinity');
ROLLBACK;

-- Where nothing can be written it only verifies.
BEGIN READ ONLY;
SELECT first_broken, problem FROM citadel.verify_audit_log();
COMMIT;

-- Who may: monitors read and verify, details are for those who may read all data.
CREATE ROLE regress_audit_watcher IN ROLE pg_monitor;
CREATE ROLE regress_audit_nobody;
SET ROLE regress_audit_watcher;
SELECT count(*) > 0 AS reads, count(detail) AS details FROM citadel.audit_log;
SELECT first_broken FROM citadel.verify_audit_log();
SELECT citadel.seal_audit_log('infinity');
INSERT INTO citadel.audit_pending (at, actor, action, outcome) VALUES (now(), 'me', 'forged', 'done');
RESET ROLE;
GRANT pg_read_all_data TO regress_audit_watcher;
SET ROLE regress_audit_watcher;
SELECT count(detail) > 0 AS details FROM citadel.audit_log;
SET ROLE regress_audit_nobody;
SELECT count(*) FROM citadel.audit_log;
SELECT * FROM citadel.verify_audit_log();
RESET ROLE;
DROP ROLE regress_audit_watcher, regress_audit_nobody;
