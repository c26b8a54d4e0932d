#include "advisor/findings_pg.hpp"

#include "advisor/column_sample_pg.hpp"

#include "pg/guard.hpp"
#include "pg/spi.hpp"
#include "pg/text.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

extern "C" {
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
}

namespace citadel::advisor {

namespace {

// Which statements something concerns, and what share of the load they are.
struct Concerned {
    std::set<std::size_t> statements;
    void write_to(std::vector<std::size_t>& of, double& load_share, const std::vector<double>& load) const {
        double all = 0.0;
        for (const double one : load)
            all += one;
        of.assign(statements.begin(), statements.end());
        std::stable_sort(of.begin(), of.end(), [&](std::size_t a, std::size_t b) { return load[a] > load[b]; });
        load_share = 0.0;
        for (const std::size_t s : of)
            load_share += all > 0.0 ? load[s] / all : 1.0 / static_cast<double>(load.size());
    }
};

class Gatherer {
  public:
    Gatherer(const std::vector<WorkloadStatement>& workload, const Advice& advice)
        : workload_(workload), advice_(advice) {
        for (const WorkloadStatement& statement : workload)
            load_.push_back(statement.load_ms);
    }

    std::vector<Finding> gather() {
        statistics();
        correlations();
        wrapped_columns();
        statements();
        storage();
        withheld();
        std::stable_sort(found_.begin(), found_.end(),
                         [](const Finding& a, const Finding& b) { return a.load_share > b.load_share; });
        return std::move(found_);
    }

  private:
    void keep(std::optional<Finding> finding) {
        if (finding)
            found_.push_back(std::move(*finding));
    }
    void statistics();
    void correlations();
    void wrapped_columns();
    void statements();
    void storage();
    void withheld();

    const std::vector<WorkloadStatement>& workload_;
    const Advice& advice_;
    std::vector<double> load_;
    std::vector<Finding> found_;
};

void Gatherer::statistics() {
    std::map<RelationId, Concerned> tables;
    for (const ExaminedStatement& examined : advice_.examined_statements)
        for (const RelationUse& use : examined.relations)
            tables[use.relation].statements.insert(examined.statement);
    std::string oids = "{";
    for (const auto& [relation, concerned] : tables)
        oids += (oids.size() > 1 ? "," : "") + std::to_string(relation);
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        WITH leaf AS (
            SELECT t.root, pg_catalog.sum(greatest(c.reltuples, pg_catalog.pg_stat_get_live_tuples(c.oid)))::float8 AS rows,
                   pg_catalog.sum(pg_catalog.pg_stat_get_mod_since_analyze(c.oid))::float8 AS modified
            FROM citadel.partition_tree($1) t JOIN pg_catalog.pg_class c ON c.oid = t.relation WHERE t.kind <> 'p' GROUP BY 1
        )
        SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind = 'p',
               EXISTS (SELECT FROM pg_catalog.pg_statistic s
                       WHERE s.starelid = c.oid AND s.stainherit = (c.relkind = 'p')),
               coalesce(l.rows, 0), greatest(c.reltuples, 0)::float8, coalesce(l.modified, 0),
               coalesce(pg_catalog.to_char(greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
                   pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)), 'YYYY-MM-DD HH24:MI'), '')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN leaf l ON l.root = c.oid
        WHERE c.oid = ANY ($1) ORDER BY 2)",
                                    {pg::arg_as(OIDARRAYOID, oids + "}")});
    for (std::size_t i = 0; i < rows.size(); ++i) {
        StatisticsFacts facts;
        facts.relation = rows.oid(i, 0);
        facts.name = rows.text(i, 1);
        facts.partitioned = rows.boolean(i, 2);
        facts.has_statistics = rows.boolean(i, 3);
        facts.rows = rows.float8(i, 4);
        facts.rows_at_analyze = rows.float8(i, 5);
        facts.modified = facts.partitioned ? 0.0 : rows.float8(i, 6);
        facts.analyzed = rows.text(i, 7);
        tables[facts.relation].write_to(facts.of, facts.load_share, load_);
        keep(judge(facts));
    }
}

void Gatherer::correlations() {
    std::map<ColumnPair, Concerned> pairs;
    for (const ExaminedStatement& examined : advice_.examined_statements)
        for (const RelationUse& use : examined.relations) {
            std::set<ColumnNumber> columns;
            for (const Clause& clause : use.clauses)
                if (clause.column > 0 && (clause.kind == ClauseKind::equality || clause.kind == ClauseKind::any_of))
                    columns.insert(clause.column);
            for (auto a = columns.begin(); a != columns.end(); ++a)
                for (auto b = std::next(a); b != columns.end(); ++b)
                    pairs[{use.relation, *a, *b}].statements.insert(examined.statement);
        }
    // The heaviest first; each costs one bounded sample.
    struct Wanted {
        ColumnPair pair;
        std::vector<std::size_t> of;
        double load_share;
    };
    std::vector<Wanted> wanted;
    for (const auto& [pair, concerned] : pairs) {
        Wanted one{pair, {}, 0.0};
        concerned.write_to(one.of, one.load_share, load_);
        wanted.push_back(std::move(one));
    }
    std::stable_sort(wanted.begin(), wanted.end(),
                     [](const Wanted& a, const Wanted& b) { return a.load_share > b.load_share; });
    constexpr std::size_t most_samples = 40;
    wanted.resize(std::min(wanted.size(), most_samples));
    for (Wanted& one : wanted)
        if (std::optional<CorrelationFacts> facts = sample_pair(one.pair)) {
            facts->of = std::move(one.of);
            facts->load_share = one.load_share;
            keep(judge(*facts));
        }
}

void Gatherer::wrapped_columns() {
    struct Found {
        ClauseNote note;
        Concerned concerned;
    };
    // One for each column, wrapping and operator. Of the expressions the one that tells most: a statement planned with
    // unknown values has more parameters in it than the same with known ones.
    using What = std::tuple<Oid, AttrNumber, Wrapping, std::string, bool>;
    std::map<What, Found> by_clause;
    const auto vagueness = [](const std::string& expression) {
        return std::make_pair(std::count(expression.begin(), expression.end(), '$'), expression);
    };
    for (const ExaminedStatement& examined : advice_.examined_statements)
        for (const ClauseNote& note : examined.notes.clauses) {
            Found& found = by_clause[{note.relation, note.column, note.wrapping, note.comparison, note.join}];
            const double selectivity = found.note.relation == InvalidOid
                                           ? note.selectivity
                                           : std::min(found.note.selectivity, note.selectivity);
            if (found.note.relation == InvalidOid || vagueness(note.expression) < vagueness(found.note.expression))
                found.note = note;
            found.note.selectivity = selectivity;
            found.concerned.statements.insert(examined.statement);
        }
    bool trigram = false;
    {
        pg::Spi spi;
        trigram = spi.query("SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_trgm' "
                            "AND installed_version IS NULL)")
                      .boolean(0, 0);
    }
    for (const auto& [clause, found] : by_clause) {
        const ClauseNote& note = found.note;
        WrappedColumnFacts facts;
        facts.relation = note.relation;
        facts.name = pg::qualified_name(note.relation);
        const char* column = pg::guard([&note] { return get_attname(note.relation, note.column, true); });
        if (facts.name.empty() || column == nullptr)
            continue; // dropped meanwhile
        facts.column = pg::quote_identifier(column);
        facts.wrapping = note.wrapping;
        facts.expression = note.expression;
        facts.comparison = note.comparison;
        facts.column_type = note.column_type;
        facts.other_type = note.other_type;
        facts.index = note.index;
        facts.join = note.join;
        facts.trigram_available = trigram;
        facts.rows = note.rows;
        facts.selectivity = note.selectivity;
        found.concerned.write_to(facts.of, facts.load_share, load_);
        keep(judge(facts));
    }
}

void Gatherer::statements() {
    std::map<std::pair<std::int64_t, Oid>, std::size_t> positions;
    for (std::size_t i = 0; i < workload_.size(); ++i)
        positions[{workload_[i].query_id, workload_[i].user}] = i;
    std::vector<double> offsets(workload_.size(), 0.0);
    for (const ExaminedStatement& examined : advice_.examined_statements)
        offsets[examined.statement] = examined.notes.most_offset;
    double all = 0.0;
    for (const double one : load_)
        all += one;
    // work_mem of a role in this database, else the server's.
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        WITH counted AS (
            SELECT query_id, user_id, pg_catalog.sum(calls)::float8 AS calls, pg_catalog.sum(total_ms) AS ms,
                   pg_catalog.sum(jit_ms) AS jit_ms,
                   pg_catalog.sum(temp_blocks)::float8 * pg_catalog.current_setting('block_size')::int AS temp_bytes
            FROM citadel.visible_statement_delta
            WHERE at > pg_catalog.now() - interval '7 days' GROUP BY 1, 2
        ), role_memory AS (
            SELECT a.oid AS user_id, coalesce(
                (SELECT pg_catalog.pg_size_bytes(CASE WHEN s.value ~ '^[0-9]+$' THEN s.value || 'kB' ELSE s.value END)
                 FROM pg_catalog.pg_db_role_setting r, pg_catalog.unnest(r.setconfig) AS c (setting),
                      LATERAL (SELECT pg_catalog.substr(c.setting, 10)) AS s (value)
                 WHERE pg_catalog.starts_with(c.setting, 'work_mem=') AND r.setrole IN (a.oid, 0)
                   AND r.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d
                                             WHERE d.datname = pg_catalog.current_database()))
                 ORDER BY r.setrole <> 0 DESC, r.setdatabase <> 0 DESC LIMIT 1),
                pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')))::float8 AS bytes,
                pg_catalog.quote_ident(a.rolname) AS name
            FROM pg_catalog.pg_roles a
        )
        SELECT c.query_id, c.user_id, c.calls, c.ms, coalesce(c.jit_ms, 0), coalesce(c.temp_bytes, 0), m.bytes, m.name
        FROM counted c JOIN role_memory m USING (user_id))");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto known = positions.find({rows.int64(i, 0), rows.oid(i, 1)});
        if (known == positions.end())
            continue;
        StatementFacts facts;
        facts.position = known->second;
        facts.query_id = rows.int64(i, 0);
        facts.calls = rows.float8(i, 2);
        facts.total_ms = rows.float8(i, 3);
        facts.jit_ms = rows.float8(i, 4);
        facts.temp_bytes = rows.float8(i, 5);
        facts.work_mem_bytes = rows.float8(i, 6);
        facts.role = rows.text(i, 7);
        facts.most_offset = offsets[known->second];
        facts.load_share = all > 0.0 ? load_[known->second] / all : 0.0;
        for (Finding& finding : judge(facts))
            found_.push_back(std::move(finding));
    }
}

void Gatherer::storage() {
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        SELECT pg_catalog.current_setting('random_page_cost')::float8, pg_catalog.current_setting('seq_page_cost')::float8,
               pg_catalog.current_setting('track_io_timing')::bool, coalesce(pg_catalog.sum(shared_hit), 0)::float8,
               coalesce(pg_catalog.sum(shared_read), 0)::float8, coalesce(pg_catalog.sum(io_ms), 0)::float8
        FROM citadel.visible_statement_delta WHERE at > pg_catalog.now() - interval '7 days')");
    StorageFacts facts;
    facts.random_page_cost = rows.float8(0, 0);
    facts.seq_page_cost = rows.float8(0, 1);
    facts.timed = rows.boolean(0, 2);
    facts.blocks_hit = rows.float8(0, 3);
    facts.blocks_read = rows.float8(0, 4);
    facts.read_ms = rows.float8(0, 5);
    keep(judge(facts));
}

void Gatherer::withheld() {
    std::map<std::pair<RelationId, std::string>, std::pair<bool, Concerned>> by_function;
    for (const WithheldIndex& index : advice_.withheld) {
        auto& [code_of_others, concerned] = by_function[{index.relation, index.function}];
        code_of_others = index.code_of_others;
        concerned.statements.insert(index.statements.begin(), index.statements.end());
    }
    for (const auto& [subject, known] : by_function) {
        UntrustedIndexFacts facts;
        facts.relation = subject.first;
        facts.name = pg::qualified_name(subject.first);
        facts.function = subject.second;
        facts.code_of_others = known.first;
        known.second.write_to(facts.of, facts.load_share, load_);
        if (!facts.name.empty()) // else dropped meanwhile
            keep(judge(facts));
    }
}

} // namespace

std::vector<Finding> find_advice(const std::vector<WorkloadStatement>& workload, const Advice& advice) {
    return Gatherer(workload, advice).gather();
}

// Advice is closed when it was not found again, unless none of its statements could be examined this time.
void store_advice(const std::vector<Finding>& findings, const std::vector<WorkloadStatement>& workload,
                  const Advice& advice) {
    pg::Spi spi;
    std::string found = "{";
    for (const Finding& finding : findings) {
        std::string ids = "{";
        std::string users = "{";
        constexpr std::size_t most_statements = 20;
        for (std::size_t i = 0; i < std::min(finding.of.size(), most_statements); ++i) {
            const WorkloadStatement& statement = workload[finding.of[i]];
            ids += (i == 0 ? "" : ",") + std::to_string(statement.query_id);
            users += (i == 0 ? "" : ",") + std::to_string(statement.user);
        }
        const pg::Rows rows = spi.query(R"(
            INSERT INTO citadel.advice AS a (kind, subject, relation_oid, schema_name, relation_name, query_ids, user_ids,
                load_share, text, remedy, evidence)
            SELECT $1, $2, c.oid, n.nspname, c.relname, $4, $5, $6, $7, nullif($8, ''), $9
            FROM (SELECT $3::oid AS oid) AS wanted LEFT JOIN pg_catalog.pg_class c USING (oid)
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            ON CONFLICT (kind, pg_catalog.md5(subject)) WHERE status = 'open' DO UPDATE SET relation_oid = excluded.relation_oid,
                query_ids = excluded.query_ids, user_ids = excluded.user_ids, load_share = excluded.load_share,
                text = excluded.text, remedy = excluded.remedy, evidence = excluded.evidence,
                last_found = pg_catalog.now()
            RETURNING a.id)",
                                        {pg::arg(finding.kind), pg::arg(finding.subject), pg::arg_oid(finding.relation),
                                         pg::arg_as(INT8ARRAYOID, ids + "}"), pg::arg_as(OIDARRAYOID, users + "}"),
                                         pg::arg(finding.load_share), pg::arg(finding.text), pg::arg(finding.remedy),
                                         pg::arg_as(JSONBOID, finding.evidence)});
        found += (found.size() > 1 ? "," : "") + rows.text(0, 0);
    }
    std::vector<bool> skipped(workload.size(), false);
    for (const SkippedStatement& one : advice.skipped)
        skipped[one.statement] = true;
    std::string unknown = "{";
    for (std::size_t i = 0; i < workload.size(); ++i)
        if (skipped[i])
            unknown += (unknown.size() > 1 ? "," : "") + std::to_string(workload[i].query_id);
    spi.execute(R"(
        UPDATE citadel.advice SET status = 'closed'
        WHERE status = 'open' AND id <> ALL ($1) AND NOT (query_ids && $2 AND query_ids <> '{}'))",
                {pg::arg_as(INT8ARRAYOID, found + "}"), pg::arg_as(INT8ARRAYOID, unknown + "}")});
}

} // namespace citadel::advisor
