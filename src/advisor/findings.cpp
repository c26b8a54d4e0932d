#include "advisor/findings.hpp"

#include "text/json.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace citadel::advisor {

using text::json_rounded;
using text::json_text;
using text::JsonObject;

namespace {

// 1234567.8 as 1,234,568.
std::string figure(double value) {
    char digits[64];
    std::snprintf(digits, sizeof digits, "%.0f", std::round(value));
    std::string text = digits;
    const std::size_t first = text[0] == '-' ? 1 : 0;
    for (std::size_t at = text.size(); at > first + 3;) {
        at -= 3;
        text.insert(at, ",");
    }
    return text;
}

std::string decimal(double value, int places) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", places, value);
    return text;
}

std::string percent(double share) {
    return decimal(share * 100.0, share < 0.1 ? 1 : 0) + " %";
}

std::string megabytes(double bytes) {
    constexpr double mb = 1024.0 * 1024.0;
    return bytes < 10.0 * mb ? decimal(bytes / mb, 1) + " MB" : figure(bytes / mb) + " MB";
}

template <class Facts>
Finding about(const Facts& facts, const char* kind) {
    Finding finding;
    finding.kind = kind;
    finding.of = facts.of;
    finding.load_share = facts.load_share;
    finding.relation = facts.relation;
    return finding;
}

} // namespace

// Below 1,000 rows every plan is quick. autovacuum analyzes at 10 % changed rows by default, so a fifth means that it
// does not keep up, or is off; and it never analyzes a partitioned table itself, only its partitions.
std::optional<Finding> judge(const StatisticsFacts& facts) {
    constexpr double few_rows = 1000.0;
    constexpr double stale_share = 0.2;
    if (facts.rows < few_rows)
        return std::nullopt;
    const double drift =
        std::max(facts.modified, facts.partitioned ? std::abs(facts.rows - facts.rows_at_analyze) : 0.0);
    JsonObject evidence;
    evidence.add("rows", facts.rows).add("rows_at_last_analyze", facts.rows_at_analyze).add("rows_modified", drift);
    evidence.raw("last_analyze", facts.analyzed.empty() ? "null" : json_text(facts.analyzed));
    Finding finding = about(facts, "stale_statistics");
    finding.subject = facts.name;
    finding.remedy = "ANALYZE " + facts.name;
    finding.evidence = evidence.text();
    if (!facts.has_statistics) {
        finding.kind = "missing_statistics";
        finding.text = facts.name + " holds about " + figure(facts.rows) +
                       " rows and has never been analyzed: the planner guesses how many rows its conditions keep";
        if (facts.partitioned)
            finding.text =
                "The partitioned table " + facts.name + " (about " + figure(facts.rows) +
                " rows) has no statistics of its own, and autovacuum analyzes only its partitions: the planner "
                "guesses wherever it needs distinct values over all of them. Repeat the ANALYZE regularly";
        return finding;
    }
    if (drift < few_rows || drift < stale_share * std::max(facts.rows_at_analyze, 1.0))
        return std::nullopt;
    finding.text = "Statistics of " + facts.name + " are stale: " + figure(drift) +
                   " rows changed since the last ANALYZE" +
                   (facts.analyzed.empty() ? std::string() : " (" + facts.analyzed + ")") + ", of " +
                   figure(facts.rows_at_analyze) + " then";
    return finding;
}

// Three times too few rows is where join orders begin to go wrong (Leis et al., How Good Are Query Optimizers, Really?:
// errors multiply with each join); 200 coinciding pairs keep chance out; a pair of values with fewer than 100 rows
// makes no plan slow.
std::optional<Finding> judge(const CorrelationFacts& facts) {
    constexpr double least_factor = 3.0;
    constexpr double least_pairs = 200.0;
    constexpr double least_rows = 100.0;
    if (facts.has_statistics || facts.sampled_rows < 2.0 || facts.pairs_alike < least_pairs)
        return std::nullopt;
    const double factor = facts.pairs_alike / std::max(facts.pairs_if_independent, 1.0);
    const double per_pair = std::max(facts.table_rows, facts.sampled_rows) / facts.sampled_rows / facts.sampled_rows;
    const double rows = facts.pairs_alike * per_pair;
    if (factor < least_factor || rows < least_rows)
        return std::nullopt;
    Finding finding = about(facts, "correlated_columns");
    finding.subject = facts.name + " (" + facts.first_column + ", " + facts.second_column + ")";
    finding.text = "Columns " + facts.first_column + " and " + facts.second_column + " of " + facts.name +
                   " are filtered together and depend on each other: a pair of their values has about " + figure(rows) +
                   " rows, " + decimal(factor, factor < 10.0 ? 1 : 0) +
                   " times what the planner expects of independent columns";
    finding.remedy = "CREATE STATISTICS " + facts.statistics_name + " ON " + facts.first_column + ", " +
                     facts.second_column + " FROM " + facts.name + "; ANALYZE " + facts.name;
    finding.evidence = JsonObject()
                           .add("sampled_rows", facts.sampled_rows)
                           .add("rows_of_a_pair", rows)
                           .add("rows_if_independent", facts.pairs_if_independent * per_pair)
                           .add("factor", factor)
                           .text();
    return finding;
}

// An index on the column would pay where the clause keeps a third or less of 1,000 rows or more; a third is also what
// the planner assumes of a range over an expression that it knows nothing about.
std::optional<Finding> judge(const WrappedColumnFacts& facts) {
    constexpr double few_rows = 1000.0;
    constexpr double most_kept = 0.34;
    const bool pattern = facts.wrapping == Wrapping::infix_pattern;
    if (facts.rows < few_rows || (facts.selectivity > most_kept && !facts.join))
        return std::nullopt;
    if (pattern ? !facts.trigram_available : facts.index.empty())
        return std::nullopt;
    Finding finding = about(facts, "rewritable_expression");
    finding.subject = facts.name + ": " + facts.expression + " " + facts.comparison;
    const std::string cannot = "Statements compare " + facts.expression + " of " + facts.name + ", so index " +
                               facts.index + " on " + facts.column + " cannot serve them. ";
    const std::string& column = facts.column;
    switch (facts.wrapping) {
    case Wrapping::implicit_cast:
        finding.kind = "type_mismatch";
        finding.text = cannot + "The " + (facts.join ? "other table's column" : "value") + " is of type " +
                       facts.other_type + ", which makes the server convert every " + column + " (" +
                       facts.column_type + ") to it";
        finding.remedy = facts.join ? "give both columns the type " + facts.column_type
                                    : column + " " + facts.comparison + " $1::" + facts.column_type;
        break;
    case Wrapping::cast:
        finding.kind = "type_mismatch";
        finding.text = cannot + "Compare the column in its own type, " + facts.column_type;
        finding.remedy = facts.join ? "give both columns the type " + facts.column_type
                                    : column + " " + facts.comparison + " $1::" + facts.column_type;
        break;
    case Wrapping::to_day:
        finding.text = cannot + "A range over the plain column says the same";
        finding.remedy = column + " >= $1::date AND " + column + " < $1::date + 1";
        break;
    case Wrapping::truncated:
        finding.text = cannot + "A range over the plain column, from the start of the unit to its end, says the same";
        finding.remedy = column + " >= $1 AND " + column + " < $1 + interval '1 unit'";
        break;
    case Wrapping::formatted:
        finding.text = cannot + "Where the parts name one span of time, a range over the plain column says the same";
        finding.remedy = column + " >= $1 AND " + column + " < $2";
        break;
    case Wrapping::arithmetic:
        finding.text = cannot + "Move the computation to the other side of " + facts.comparison;
        finding.remedy = column + " " + facts.comparison + " (the value, computed)";
        break;
    case Wrapping::coalesce:
        finding.text =
            cannot + "Name the NULLs in a condition of their own, or make the column NOT NULL with a default";
        finding.remedy = column + " " + facts.comparison + " $1 OR " + column + " IS NULL";
        break;
    case Wrapping::text_prefix:
        finding.text = cannot + "LIKE finds a prefix through an index of the C collation or of text_pattern_ops";
        finding.remedy = column + " LIKE 'prefix%'";
        break;
    case Wrapping::infix_pattern:
        finding.kind = "missing_extension";
        finding.subject = facts.name + " (" + facts.column + "): pg_trgm";
        finding.text = "Statements search " + facts.column + " of " + facts.name +
                       " for text in its middle: no B-tree serves that. With the extension pg_trgm a GIN index with "
                       "gin_trgm_ops does, and the advisor would price one";
        finding.remedy = "CREATE EXTENSION pg_trgm";
        break;
    }
    JsonObject evidence;
    evidence.add("rows", facts.rows).add("selectivity", facts.selectivity).add("expression", facts.expression);
    evidence.add("column_type", facts.column_type);
    if (!facts.index.empty())
        evidence.add("index", facts.index);
    if (!facts.other_type.empty())
        evidence.add("compared_as", facts.other_type);
    finding.evidence = evidence.text();
    return finding;
}

namespace {

// Skipping 1,000 rows is where reading them begins to be felt (some ms).
std::optional<Finding> judge_offset(const StatementFacts& facts) {
    if (facts.most_offset < 1000.0)
        return std::nullopt;
    Finding finding;
    finding.kind = "offset_paging";
    finding.text =
        "Pages by OFFSET, as far as " + figure(facts.most_offset) +
        ": all the rows before the page are produced and thrown away. Page by key instead: remember the last row's "
        "sort key";
    finding.remedy = "WHERE (sort key) > (the last row's) ORDER BY sort key LIMIT n";
    finding.evidence = JsonObject().add("largest_offset", facts.most_offset).add("calls", facts.calls).text();
    return finding;
}

// Compiling for 5 ms a run, and a quarter of the time: code that runs so briefly does not earn it back.
std::optional<Finding> judge_jit(const StatementFacts& facts) {
    if (facts.calls <= 0.0 || facts.jit_ms / facts.calls < 5.0 || facts.jit_ms < 0.25 * facts.total_ms)
        return std::nullopt;
    Finding finding;
    finding.kind = "jit";
    finding.text = "JIT compilation takes " + percent(facts.jit_ms / facts.total_ms) + " of its time (" +
                   decimal(facts.jit_ms / facts.calls, 1) + " of " + decimal(facts.total_ms / facts.calls, 1) +
                   " ms a run): raise jit_above_cost for the role, or turn jit off";
    finding.remedy = "ALTER ROLE " + facts.role + " SET jit = off";
    finding.evidence =
        JsonObject().add("calls", facts.calls).add("total_ms", facts.total_ms).add("jit_ms", facts.jit_ms).text();
    return finding;
}

// Temporary files are written and read, so a run's rows take half of the bytes counted; in memory a row takes up to
// twice what it takes on disk (header, alignment, hash chains), so work_mem that holds them is about the bytes counted,
// beyond what it is now. 8 MB a run and 1 % of the load is where that begins to matter. Above 1 GB for each sort or
// hash of each session, memory is not the answer.
std::optional<Finding> judge_work_mem(const StatementFacts& facts) {
    constexpr double mb = 1024.0 * 1024.0;
    if (facts.calls <= 0.0)
        return std::nullopt;
    const double a_run = facts.temp_bytes / facts.calls;
    if (a_run < 8.0 * mb || facts.load_share < 0.01)
        return std::nullopt;
    double needed = 4.0 * mb;
    while (needed < facts.work_mem_bytes + a_run)
        needed *= 2.0;
    Finding finding;
    finding.kind = "work_mem";
    finding.text = "Writes and reads " + megabytes(a_run) + " of temporary files a run with work_mem at " +
                   megabytes(facts.work_mem_bytes);
    if (needed <= 1024.0 * mb) {
        finding.text += "; about " + figure(needed / mb) +
                        " MB would keep it in memory. Every sort and hash of every session of the role may take that "
                        "much: set it for a role, or in the transaction that needs it";
        finding.remedy = "ALTER ROLE " + facts.role + " SET work_mem = '" + decimal(needed / mb, 0) + "MB'";
    } else {
        finding.text += ", more than memory should be given: let it sort or hash fewer or narrower rows";
    }
    finding.evidence = JsonObject()
                           .add("calls", facts.calls)
                           .add("temporary_bytes_a_run", a_run)
                           .add("work_mem_bytes", facts.work_mem_bytes)
                           .text();
    return finding;
}

} // namespace

std::vector<Finding> judge(const StatementFacts& facts) {
    std::vector<Finding> findings;
    for (std::optional<Finding> found : {judge_offset(facts), judge_jit(facts), judge_work_mem(facts)}) {
        if (!found)
            continue;
        found->subject = "statement " + std::to_string(facts.query_id) + " of " + facts.role;
        found->of = {facts.position};
        found->load_share = facts.load_share;
        findings.push_back(std::move(*found));
    }
    return findings;
}

// The default of 4 stands for disks whose random reads cost 40 times a sequential one and for a cache that takes nine
// in ten of them (PostgreSQL's documentation). A spinning disk takes 5 ms or more for a random read: reads that take
// under 0.5 ms on the mean come from flash or from the file cache. Where 999 of 1,000 blocks are found in memory it
// does not matter what the disk is. 10,000 reads or a million hits make a sound mean.
std::optional<Finding> judge(const StorageFacts& facts) {
    if (facts.random_page_cost < 2.0 * facts.seq_page_cost)
        return std::nullopt;
    const double blocks = facts.blocks_hit + facts.blocks_read;
    const bool fast = facts.timed && facts.blocks_read >= 10000.0 && facts.read_ms / facts.blocks_read < 0.5;
    const bool cached = blocks >= 1000000.0 && facts.blocks_hit >= 0.999 * blocks;
    if (!fast && !cached)
        return std::nullopt;
    Finding finding;
    finding.kind = "random_page_cost";
    finding.subject = "random_page_cost";
    finding.text =
        "random_page_cost is " + decimal(facts.random_page_cost, 1) + ", as for a spinning disk, but " +
        (fast ? "a block was read in " + decimal(facts.read_ms / facts.blocks_read, 3) + " ms on the mean"
              : percent(facts.blocks_hit / blocks) + " of the blocks were found in memory") +
        ": the planner avoids indexes that would be faster. The advisor's own figures rest on this setting too";
    finding.remedy = "ALTER SYSTEM SET random_page_cost = " + decimal(1.1 * facts.seq_page_cost, 1);
    JsonObject evidence;
    evidence.add("random_page_cost", facts.random_page_cost).add("seq_page_cost", facts.seq_page_cost);
    evidence.add("blocks_hit", facts.blocks_hit).add("blocks_read", facts.blocks_read);
    evidence.raw("ms_a_read",
                 facts.timed && facts.blocks_read > 0.0 ? json_rounded(facts.read_ms / facts.blocks_read) : "");
    finding.evidence = evidence.text();
    return finding;
}

std::optional<Finding> judge(const UntrustedIndexFacts& facts) {
    Finding finding;
    finding.kind = "untrusted_expression";
    finding.relation = facts.relation;
    const std::string code = facts.function.empty() ? "a domain" : facts.function;
    finding.subject = facts.name + ": " + code;
    finding.text =
        "An index on " + facts.name + " with " + code +
        " in its expression was not considered, because that would run " +
        (facts.code_of_others ? "code of a role that does not own the table (or of a superuser, or on a partition)"
                              : "code of the table's owner for statements of other roles") +
        ". what_if(), called by the owner, says what it would bring";
    finding.of = facts.of;
    finding.load_share = facts.load_share;
    finding.evidence = JsonObject().add("function", facts.function).text();
    return finding;
}

} // namespace citadel::advisor
