#include "lifecycle/tracked_copy_pg.hpp"

#include "lifecycle/archive_entry_pg.hpp"
#include "lifecycle/calendar.hpp"
#include "lifecycle/content_hash_pg.hpp"
#include "lifecycle/create_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/clock.hpp"
#include "pg/write_as.hpp"

#include <algorithm>

namespace citadel::lifecycle::plain {

namespace {

constexpr int most_partitions = 500; // that are made for periods without rows, too

std::string block(std::int64_t number) {
    return "'(" + std::to_string(number) + ",0)'::tid";
}

std::string listed(const std::vector<std::string>& columns, const std::string& prefix = {}) {
    std::string list;
    for (const std::string& column : columns)
        list.append(list.empty() ? "" : ", ").append(prefix).append(column);
    return list;
}

// The columns by which a changed row is found again: of a unique key with the time column, else that column alone.
std::vector<std::string> key_columns(const Policy& policy, Oid source) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT k.columns FROM pg_index i CROSS JOIN LATERAL (SELECT array_agg(quote_ident(a.attname) ORDER BY "
        "x.place) AS columns, bool_and(a.attnotnull AND y.typnamespace = 'pg_catalog'::regnamespace) AS usable, "
        "bool_or(a.attname = $2) AS timed FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY x "
        "(number, place) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = x.number JOIN pg_type y ON "
        "y.oid = a.atttypid) k WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND "
        "i.indpred IS NULL AND i.indexprs IS NULL AND k.usable AND k.timed ORDER BY i.indnkeyatts, i.indexrelid "
        "LIMIT 1",
        {pg::arg_oid(source), pg::arg(policy.column)});
    if (rows.empty())
        return {pg::quote_identifier(policy.column)};
    std::vector<std::string> columns;
    const pg::Rows each = spi.query("SELECT unnest($1::text[])", {pg::arg(rows.text(0, 0))});
    for (std::size_t i = 0; i < each.size(); ++i)
        columns.push_back(each.text(i, 0));
    return columns;
}

// Names, types and nullability, in any order.
std::string shape_of(pg::Spi& spi, const std::string& table) {
    return spi
        .query("SELECT string_agg(format('%I %s %s', attname, format_type(atttypid, atttypmod), attnotnull), ', ' "
               "ORDER BY attname) FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT "
               "attisdropped",
               {pg::arg(table)})
        .text(0, 0);
}

} // namespace

TrackedCopy::TrackedCopy(const Policy& policy, Oid source, std::int64_t operation)
    : policy_(policy), source_(source), from_(pg::qualified_name(source)),
      name_("citadel_changes_" + std::to_string(operation)) {
    const std::string schema = pg::quote_identifier(policy.schema) + ".";
    copy_ = schema + "citadel_split_" + std::to_string(operation);
    changes_ = schema + name_;
}

void TrackedCopy::create() {
    const std::vector<std::string> key = key_columns(policy_, source_);
    const std::string list = listed(key);
    const std::string note = " INSERT INTO " + changes_ + " (" + list + ") VALUES (";
    pg::execute_as(
        policy_.owner,
        {"CREATE TABLE " + copy_ + " (LIKE " + relation_name(policy_) + " INCLUDING GENERATED) PARTITION BY RANGE (" +
             pg::quote_identifier(policy_.column) + ")",
         "CREATE TABLE " + changes_ + " AS SELECT " + list + " FROM ONLY " + from_ + " WITH NO DATA",
         // Whoever writes to the source need not be allowed to write here. A truncated source is a change of all.
         "CREATE FUNCTION " + changes_ +
             "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$BEGIN "
             "IF TG_OP = 'TRUNCATE' THEN INSERT INTO " +
             changes_ + " DEFAULT VALUES; END IF; IF TG_OP IN ('UPDATE', 'DELETE') THEN" + note + listed(key, "OLD.") +
             "); END IF; IF TG_OP IN ('INSERT', 'UPDATE') THEN" + note + listed(key, "NEW.") +
             "); END IF; RETURN NULL; END$f$",
         "REVOKE ALL ON FUNCTION " + changes_ + "() FROM PUBLIC",
         "CREATE TRIGGER " + name_ + " AFTER INSERT OR UPDATE OR DELETE ON " + from_ +
             " FOR EACH ROW EXECUTE FUNCTION " + changes_ + "()",
         "CREATE TRIGGER " + name_ + "_all AFTER TRUNCATE ON " + from_ + " FOR EACH STATEMENT EXECUTE FUNCTION " +
             changes_ + "()",
         // Also what a subscription applies.
         "ALTER TABLE " + from_ + " ENABLE ALWAYS TRIGGER " + name_ + ", ENABLE ALWAYS TRIGGER " + name_ + "_all"});
}

std::string TrackedCopy::trouble() const {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT (SELECT count(*) FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = $1 AND "
        "g.tgname IN ($2, $2 || '_all') AND g.tgenabled = 'A' AND p.proname = $2), to_regclass($3) IS NOT NULL, "
        "to_regclass($4) IS NOT NULL",
        {pg::arg_oid(source_), pg::arg(name_), pg::arg(copy_), pg::arg(changes_)});
    if (rows.int64(0, 0) != 2)
        return "the triggers that note changes of " + from_ + " were removed or switched off";
    if (!rows.boolean(0, 1) || !rows.boolean(0, 2))
        return "a table that belongs to the copy of " + from_ + " was dropped";
    if (shape_of(spi, from_) != shape_of(spi, copy_))
        return "the columns of " + from_ + " were changed";
    const std::string list = listed(keys());
    const pg::RoleScope owner(policy_.owner); // it is his table: whatever he made of it runs as him
    pg::Spi owners;
    if (!owners.query("SELECT 1 FROM " + changes_ + " WHERE num_nulls(" + list + ") > 0 LIMIT 1").empty())
        return from_ + " was truncated";
    return {};
}

std::vector<std::string> TrackedCopy::keys() const {
    pg::Spi spi;
    const pg::Rows rows = spi.query("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = to_regclass($1) "
                                    "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                                    {pg::arg(changes_)});
    std::vector<std::string> columns;
    for (std::size_t i = 0; i < rows.size(); ++i)
        columns.push_back(rows.text(i, 0));
    return columns;
}

std::string TrackedCopy::same_key(const char* one, const char* other) const {
    std::string condition;
    for (const std::string& column : keys())
        condition.append(condition.empty() ? "" : " AND ")
            .append(one)
            .append(".")
            .append(column)
            .append(" = ")
            .append(other)
            .append(".")
            .append(column);
    return condition;
}

std::vector<Partition> TrackedCopy::partitions() const {
    Oid copy = InvalidOid;
    {
        pg::Spi spi;
        copy = spi.query("SELECT to_regclass($1)::oid", {pg::arg(copy_)}).oid(0, 0);
    }
    std::vector<Partition> found = read_partitions(copy, policy_.kind);
    std::sort(found.begin(), found.end(), [](const Partition& a, const Partition& b) { return a.lower < b.lower; });
    return found;
}

// A partition of its own for [lower, upper), with a constraint that proves it to whoever attaches it.
void TrackedCopy::make_partition(Place lower, Place upper) {
    const std::string column = pg::quote_identifier(policy_.column);
    const std::string table = pg::qualified_name(make_table_like(policy_, partition_name(policy_, lower)));
    std::vector<std::string> statements = {
        "ALTER TABLE " + table + " ADD CONSTRAINT " + pg::quote_identifier(name_) + " CHECK (" + column +
            " IS NOT NULL AND " + range_condition(policy_, lower, upper) + ")",
        "ALTER TABLE " + copy_ + " ATTACH PARTITION " + table + " FOR VALUES FROM (" + bound_literal(lower, policy_) +
            ") TO (" + bound_literal(upper, policy_) + ")"};
    {
        pg::Spi spi;
        const pg::Rows options =
            spi.query("SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ') FROM pg_class c, "
                      "pg_options_to_table(c.reloptions) o WHERE c.oid = $1",
                      {pg::arg_oid(source_)});
        if (!options.is_null(0, 0))
            statements.push_back("ALTER TABLE " + table + " SET (" + options.text(0, 0) + ")");
    }
    pg::execute_as(policy_.owner, statements);
}

int TrackedCopy::make_partitions(const Zone& zone, Place end) {
    {
        const pg::RoleScope owner(policy_.owner);
        pg::Spi spi;
        if (policy_.kind != ColumnKind::integer &&
            !spi.query("SELECT 1 FROM ONLY " + from_ + " WHERE " + pg::quote_identifier(policy_.column) +
                       " = '-infinity' LIMIT 1")
                 .empty())
            pg::raise(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, from_ + " has rows at -infinity", {},
                      "No regular partition can hold them. Give these rows another value.");
    }
    // Where rows are expected even if none is there.
    const Place now = policy_.kind == ColumnKind::integer       ? end - 1
                      : policy_.kind == ColumnKind::timestamptz ? pg::now()
                                                                : zone.to_local(pg::now());
    const Place highest = edge(policy_, from_, "", true).value_or(now);
    Place place = std::min(edge(policy_, from_, "", false).value_or(now), now);
    int periods = 0;
    for (Place start = place; start < end && periods <= most_partitions; ++periods)
        start = period_of(policy_, zone, start).second;
    // Every period, as long as there are not too many; otherwise those of rows, and from now on.
    const bool all = periods <= most_partitions;
    int made = 0;
    const auto there = partitions();
    while (place < end) {
        const auto covers = std::find_if(there.begin(), there.end(),
                                         [place](const Partition& p) { return p.lower <= place && place < p.upper; });
        Place next = open_high;
        if (covers != there.end()) {
            next = covers->upper;
        } else {
            const auto [lower, upper] = period_of(policy_, zone, place);
            next = std::min(upper, end);
            make_partition(lower, next);
            ++made;
        }
        place = next;
        if (all || next >= end)
            continue;
        if (next <= highest)
            place = edge(policy_, from_, " AND " + range_condition(policy_, next, open_high), false).value_or(next);
        else if (policy_.kind != ColumnKind::integer)
            place = std::max(next, now);
    }
    return made;
}

void TrackedCopy::copy_blocks(std::int64_t first, std::int64_t end) {
    const std::string columns = writable_columns(source_, Generated::left_out);
    pg::write_as(policy_.owner, [&](pg::Spi& spi) {
        archive::see_all_rows();
        spi.execute("INSERT INTO " + copy_ + " (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " + columns +
                    " FROM ONLY " + from_ + " WHERE ctid >= " + block(first) + " AND ctid < " + block(end));
    });
}

std::int64_t TrackedCopy::pending(std::int64_t most) const {
    const pg::RoleScope owner(policy_.owner);
    pg::Spi spi;
    return spi.query("SELECT count(*) FROM (SELECT FROM " + changes_ + " LIMIT " + std::to_string(most) + ") AS noted")
        .int64(0, 0);
}

std::int64_t TrackedCopy::catch_up(std::int64_t most, Look look) {
    const std::string columns = writable_columns(source_, Generated::left_out);
    const std::string list = listed(keys());
    const std::string same = same_key("t", "c");
    const bool indexed = look == Look::by_key && (!time_index(policy_).empty() || keys().size() > 1);
    return pg::write_as(policy_.owner, [&](pg::Spi& spi) -> std::int64_t {
        archive::see_all_rows();
        // What is noted now was committed before what the statements below read.
        const pg::Rows noted = spi.query("SELECT count(*), array_agg(ctid) FROM (SELECT ctid FROM " + changes_ +
                                         " LIMIT " + std::to_string(most) + ") AS noted");
        const std::int64_t taken = noted.int64(0, 0);
        if (taken == 0)
            return 0;
        const std::string these = " WHERE ctid = ANY ('" + noted.text(0, 1) + "'::tid[])";
        const std::string changed = "(SELECT DISTINCT " + list + " FROM " + changes_ + these + ") AS c";
        // The new partitions have been analysed or not; a few keys are best looked up one by one.
        if (indexed)
            spi.query("SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)");
        spi.execute("DELETE FROM " + copy_ + " AS t USING " + changed + " WHERE " + same);
        spi.execute("INSERT INTO " + copy_ + " (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " + columns +
                    " FROM (SELECT t.* FROM ONLY " + from_ + " AS t JOIN " + changed + " ON " + same + ") AS again");
        spi.execute("DELETE FROM " + changes_ + these);
        return taken;
    });
}

std::int64_t TrackedCopy::compare(Place lower, Place upper) const {
    const std::string columns = writable_columns(source_, Generated::left_out);
    const std::string where = " AS t WHERE " + range_condition(policy_, lower, upper) +
                              " AND NOT EXISTS (SELECT FROM " + changes_ + " AS c WHERE " + same_key("t", "c") + ")";
    ContentHash there;
    ContentHash here;
    {
        pg::RoleScope owner(policy_.owner);
        archive::see_all_rows();
        there = hash_query("SELECT " + columns + " FROM ONLY " + from_ + where);
        here = hash_query("SELECT " + columns + " FROM " + copy_ + where);
        owner.leave();
    }
    if (there != here)
        pg::raise(ERRCODE_DATA_CORRUPTED, "the copy of " + from_ + " in regular partitions differs from it",
                  std::to_string(there.rows) + " rows with hash " + there.hex() + " there, " +
                      std::to_string(here.rows) + " with " + here.hex() + " in the copy.",
                  "Nothing was changed. citadel.cancel_operation() gives the copy up.");
    return there.rows;
}

void TrackedCopy::remove() {
    std::vector<std::string> statements;
    {
        pg::Spi spi;
        if (spi.query("SELECT 1 FROM pg_class WHERE oid = $1", {pg::arg_oid(source_)}).size() > 0)
            statements = {"DROP TRIGGER IF EXISTS " + name_ + " ON " + from_,
                          "DROP TRIGGER IF EXISTS " + name_ + "_all ON " + from_};
    }
    statements.push_back("DROP FUNCTION IF EXISTS " + changes_ + "()");
    statements.push_back("DROP TABLE IF EXISTS " + changes_);
    statements.push_back("DROP TABLE IF EXISTS " + copy_);
    pg::execute_as(policy_.owner, statements);
}

} // namespace citadel::lifecycle::plain
