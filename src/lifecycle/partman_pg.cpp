#include "lifecycle/partman_pg.hpp"

#include "lifecycle/calendar.hpp"
#include "lifecycle/key_pg.hpp"
#include "pg/write_as.hpp"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace citadel::lifecycle::partman {

namespace {

struct Installed {
    std::string schema; // quoted; empty: not installed
    int major = 0;
    bool has_control_not_null = false; // create_parent() can be told to take a column that may be NULL (5.2 and later)
};

Installed installed(pg::Spi& spi) {
    const pg::Rows rows =
        spi.query("SELECT quote_ident(n.nspname), split_part(e.extversion, '.', 1)::int, EXISTS (SELECT FROM pg_proc p "
                  "WHERE p.pronamespace = n.oid AND p.proname = 'create_parent' AND 'p_control_not_null' = ANY "
                  "(p.proargnames)) "
                  "FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_partman'");
    if (rows.empty())
        return {};
    return {rows.text(0, 0), static_cast<int>(rows.int64(0, 1)), rows.boolean(0, 2)};
}

// pg_partman takes 'schema.table' unquoted, so names with a dot are beyond it.
std::string plain_name(const std::string& schema, const std::string& name) {
    return schema + "." + name;
}

bool speakable(const Policy& policy) {
    return policy.schema.find('.') == std::string::npos && policy.name.find('.') == std::string::npos;
}

// How pg_partman is told the interval; empty when it would not make the same periods as we do. 4.7.2 sorts '3 months'
// wrongly and has words instead; 5.x refuses the words.
std::string interval_name(const Policy& policy, int major) {
    const Span& span = policy.interval;
    if (policy.kind == ColumnKind::integer)
        return span.micros > 1 ? std::to_string(span.micros) : "";
    const bool words = major < 5;
    if (span == Span{1, 0, 0})
        return "1 month";
    if (span == Span{3, 0, 0})
        return words ? "quarterly" : "3 months";
    if (span == Span{12, 0, 0})
        return words ? "yearly" : "1 year";
    if (span == Span{0, 1, 0})
        return words ? "daily" : "1 day";
    if (span == Span{0, 7, 0})
        return words ? "weekly" : "1 week";
    if (span == Span{0, 0, micros_per_hour} && policy.time_zone == "UTC")
        return words ? "hourly" : "1 hour";
    return {};
}

// Functions, operators and domains of users in expressions of the table or of pg_partman's template for it. Making an
// index or a constraint evaluates what is constant in them, as whoever makes it. What belongs to the server itself is
// not recorded in pg_depend.
bool has_user_code(pg::Spi& spi, const Policy& policy, const std::string& template_table) {
    return spi
        .query(
            "WITH tables AS (SELECT $1::oid AS oid UNION SELECT partdefid FROM pg_partitioned_table WHERE partrelid = "
            "$1 AND partdefid <> 0 UNION SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname || '.' || c.relname = $2), "
            "objects AS (SELECT 'pg_class'::regclass AS classid, oid AS objid FROM tables "
            "UNION ALL SELECT 'pg_class'::regclass, x.indexrelid FROM tables JOIN pg_index x ON x.indrelid = oid "
            "UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM tables t JOIN pg_constraint k ON k.conrelid = "
            "t.oid "
            "UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM tables t JOIN pg_attrdef a ON a.adrelid = t.oid) "
            "SELECT EXISTS (SELECT FROM objects o JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid "
            "LEFT JOIN pg_type y ON d.refclassid = 'pg_type'::regclass AND y.oid = d.refobjid "
            "WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass) "
            "OR y.typtype = 'd')",
            {pg::arg_oid(policy.relation), pg::arg(template_table)})
        .boolean(0, 0);
}

std::string template_of(pg::Spi& spi, const Installed& partman, const Policy& policy) {
    const pg::Rows rows =
        spi.query("SELECT template_table FROM " + partman.schema + ".part_config WHERE parent_table = $1",
                  {pg::arg(plain_name(policy.schema, policy.name))});
    return rows.empty() ? "" : rows.text(0, 0);
}

bool registered(pg::Spi& spi, const Installed& partman, const Policy& policy) {
    return !spi.query("SELECT 1 FROM " + partman.schema + ".part_config WHERE parent_table = $1 AND control = $2",
                      {pg::arg(plain_name(policy.schema, policy.name)), pg::arg(policy.column)})
                .empty();
}

bool same_interval(pg::Spi& spi, const Installed& partman, const Policy& policy) {
    const std::string table = partman.schema + ".part_config WHERE parent_table = $1";
    const pg::Arg name = pg::arg(plain_name(policy.schema, policy.name));
    if (policy.kind == ColumnKind::integer)
        return !spi.query("SELECT 1 FROM " + table + " AND partition_interval = $2",
                          {name, pg::arg(std::to_string(policy.interval.micros))})
                    .empty();
    const pg::Rows rows = spi.query("SELECT partition_interval FROM " + table, {name});
    if (rows.empty())
        return false;
    return parse_span(rows.text(0, 0), policy.kind, "partition_interval of pg_partman") == policy.interval;
}

// 4.x takes a column that may be NULL; 5.0 and 5.1 refuse it; later ones have to be told.
bool takes_column(pg::Spi& spi, const Installed& partman, const Policy& policy) {
    return partman.major < 5 || partman.has_control_not_null ||
           spi.query("SELECT attnotnull FROM pg_attribute WHERE attrelid = $1 AND attname = $2",
                     {pg::arg_oid(policy.relation), pg::arg(policy.column)})
               .boolean(0, 0);
}

bool owner_is_superuser(Oid owner) {
    return pg::guard([owner] { return superuser_arg(owner); });
}

// pg_partman sets search_path for the session and leaves it behind; so it is put back here.
class SessionPath {
  public:
    explicit SessionPath(pg::Spi& spi) : spi_(spi), before_(spi.query("SHOW search_path").text(0, 0)) {}
    void restore() { spi_.query("SELECT set_config('search_path', $1, false)", {pg::arg(before_)}); }

  private:
    pg::Spi& spi_;
    std::string before_;
};

void register_table(pg::Spi& spi, const Installed& partman, const Policy& policy, Place lower) {
    const bool old = partman.major < 5;
    std::string sql = "SELECT " + partman.schema +
                      ".create_parent(p_parent_table => $1, p_control => $2, p_type => $3, p_interval => $4, "
                      "p_premake => 1, p_start_partition => $5";
    if (old && policy.interval == Span{0, 7, 0})
        sql += ", p_date_trunc_interval => 'week'";
    else if (!old)
        sql += std::string(", p_default_table => false") +
               (partman.has_control_not_null ? ", p_control_not_null => false" : "") +
               (policy.interval == Span{0, 7, 0} ? ", p_date_trunc_interval => 'week'" : "");
    spi.query(sql + ")", {pg::arg(plain_name(policy.schema, policy.name)), pg::arg(policy.column),
                          pg::arg(old ? "native" : "range"), pg::arg(interval_name(policy, partman.major)),
                          pg::arg(place_text(lower, policy))});
    // 4.x always makes a default partition: it forbids concurrent detaching and makes each attach wait for readers.
    const pg::Rows made =
        spi.query("SELECT partdefid::regclass FROM pg_partitioned_table WHERE partrelid = $1 AND partdefid <> 0",
                  {pg::arg_oid(policy.relation)});
    if (!made.empty() && !policy.default_partition.value_or(false))
        spi.execute("DROP TABLE " + made.text(0, 0));
}

} // namespace

bool can_make(const Policy& policy, Place lower, Place upper, bool table_is_empty) {
    pg::Spi spi;
    const Installed partman = installed(spi);
    if (partman.schema.empty() || !speakable(policy) || interval_name(policy, partman.major).empty())
        return false;
    if (registered(spi, partman, policy) ? !same_interval(spi, partman, policy)
                                         : !table_is_empty || !takes_column(spi, partman, policy))
        return false;
    // Only whole periods: pg_partman computes the end itself.
    const bool converts = policy.kind == ColumnKind::timestamptz && policy.interval.micros == 0;
    const auto zone = make_zone(policy.time_zone);
    const Place local = converts ? zone->to_local(lower) : lower;
    const Place next = next_period(local, policy.interval);
    if (period_start(local, policy.interval) != local || upper != (converts ? zone->to_utc(next) : next))
        return false;
    return owner_is_superuser(policy.owner) || !has_user_code(spi, policy, template_of(spi, partman, policy));
}

void make(const Policy& policy, Place lower) {
    // As a superuser, restricted: owners would need rights on pg_partman's tables, by which they could change each
    // other's sets.
    pg::write_as(BOOTSTRAP_SUPERUSERID, [&](pg::Spi& spi) {
        const Installed partman = installed(spi);
        SessionPath path(spi);
        spi.query("SELECT set_config('TimeZone', $1, true), set_config('DateStyle', 'ISO, YMD', true)",
                  {pg::arg(policy.time_zone)});
        if (!registered(spi, partman, policy))
            register_table(spi, partman, policy, lower);
        spi.execute("UPDATE " + partman.schema +
                        ".part_config SET premake = greatest($2, 1), infinite_time_partitions = true "
                        "WHERE parent_table = $1 AND (premake, infinite_time_partitions) IS DISTINCT FROM "
                        "(greatest($2, 1), true)",
                    {pg::arg(plain_name(policy.schema, policy.name)), pg::arg(policy.premake)});
        const bool integer = policy.kind == ColumnKind::integer;
        spi.query("SELECT " + partman.schema +
                      (integer ? ".create_partition_id(p_parent_table => $1, p_partition_ids => ARRAY[$2::bigint]"
                               : ".create_partition_time(p_parent_table => $1, p_partition_times => "
                                 "ARRAY[$2::timestamptz]") +
                      (partman.major < 5 ? ", p_analyze => false)" : ")"),
                  {pg::arg(plain_name(policy.schema, policy.name)), pg::arg(place_text(lower, policy))});
        path.restore();
    });
}

std::vector<std::string> warnings(const Policy& policy) {
    std::vector<std::string> found;
    pg::Spi spi;
    const Installed partman = installed(spi);
    if (partman.schema.empty())
        return found;
    const pg::Rows rows = spi.query("SELECT retention, automatic_maintenance FROM " + partman.schema +
                                        ".part_config WHERE parent_table = $1",
                                    {pg::arg(plain_name(policy.schema, policy.name))});
    if (rows.empty())
        return found;
    if (!rows.is_null(0, 0))
        found.push_back("pg_partman's own retention (" + rows.text(0, 0) +
                        ") is set for this table; it judges by start + interval and may drop younger rows: set "
                        "part_config.retention to NULL");
    const pg::Rows bgw = spi.query("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_partman%') "
                                   "OR current_setting('shared_preload_libraries') LIKE '%pg_partman_bgw%'");
    if (bgw.boolean(0, 0) && rows.text(0, 1) == "on")
        found.push_back("pg_partman_bgw maintains this table, too: set part_config.automatic_maintenance to 'off'");
    return found;
}

void rename(const std::string& old_schema, const std::string& old_name, const std::string& schema,
            const std::string& name) {
    pg::Spi spi;
    const Installed partman = installed(spi);
    if (partman.schema.empty())
        return;
    spi.execute("UPDATE " + partman.schema +
                    ".part_config SET parent_table = $2 WHERE parent_table = $1 "
                    "AND to_regclass(format('%I.%I', $3::text, $4::text)) IS NULL "
                    "AND NOT EXISTS (SELECT FROM " +
                    partman.schema + ".part_config WHERE parent_table = $2)",
                {pg::arg(plain_name(old_schema, old_name)), pg::arg(plain_name(schema, name)), pg::arg(old_schema),
                 pg::arg(old_name)});
}

void forget(const std::string& schema, const std::string& name) {
    pg::Spi spi;
    const Installed partman = installed(spi);
    if (partman.schema.empty())
        return;
    spi.execute("DELETE FROM " + partman.schema +
                    ".part_config WHERE parent_table = $1 AND to_regclass(format('%I.%I', $2::text, $3::text)) IS NULL",
                {pg::arg(plain_name(schema, name)), pg::arg(schema), pg::arg(name)});
}

} // namespace citadel::lifecycle::partman
