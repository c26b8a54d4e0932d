// Giving archives back: as a partition, as rows, or as a table beside.
//
// What lies elsewhere is first loaded into a table of its own and compared there with the archive's hash; only then it
// meets the target. What was moved is compared where it lies, and moved back. The steps, each in transactions of its
// own: create, load, check, then move (back), fit (indexes and constraints), attach; or insert (batches).
#include "lifecycle/archive_pg.hpp"

#include "lifecycle/archive_adopt_pg.hpp"
#include "lifecycle/archive_entry_pg.hpp"
#include "lifecycle/archive_load_pg.hpp"
#include "lifecycle/archive_schema_pg.hpp"
#include "lifecycle/archive_server_pg.hpp"
#include "lifecycle/create_pg.hpp"
#include "lifecycle/writers_pg.hpp"
#include "pg/fault.hpp"
#include "pg/write_as.hpp"

#include <algorithm>

extern "C" {
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace citadel::lifecycle::archive {

namespace {

// Batches of `insert` are judged by blocks; some thousand rows of ordinary width.
constexpr BlockNumber insert_blocks = 128;
constexpr BlockNumber check_blocks = 16 * part_blocks;

bool in_schema(const Entry& entry) {
    return entry.destination.kind == Kind::schema;
}

void set_step(pg::Spi& spi, Entry& entry, const char* step) {
    entry.step = step;
    entry.step_block = 0;
    entry.step_hash = {};
    save_step(spi, entry);
}

Progress finish(pg::Spi& spi, const Entry& entry) {
    // A table that was moved back is an archive no longer.
    spi.execute("UPDATE citadel.archive_entry SET state = 'restored', restored_at = pg_catalog.clock_timestamp(), "
                "restored_oid = CASE WHEN restore_as = 'rows' THEN NULL ELSE restored_oid END, "
                "relation_oid = CASE WHEN $2 THEN NULL ELSE relation_oid END, progress = '{}' WHERE archive_id = $1",
                {pg::arg(entry.id), pg::arg(in_schema(entry))});
    pg::fault_point("archive_restored");
    return Progress::done;
}

struct TargetColumn {
    std::string name, type, definition;
};

// Columns of the target that the archive does not have, with what ADD COLUMN needs.
std::vector<TargetColumn> missing_columns(pg::Spi& spi, const Entry& entry) {
    const pg::Rows rows = spi.query(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), "
        "pg_catalog.format('%I %s%s%s%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), "
        "CASE WHEN a.attcollation <> t.typcollation THEN (SELECT pg_catalog.format(' COLLATE %I.%I', n.nspname, "
        "c.collname) FROM pg_catalog.pg_collation AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace "
        "WHERE c.oid = a.attcollation) END, "
        "CASE WHEN a.attgenerated <> '' THEN ' GENERATED ALWAYS AS (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || "
        "CASE a.attgenerated WHEN 'v' THEN ') VIRTUAL' ELSE ') STORED' END WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' "
        "|| pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, "
        "CASE WHEN a.attnotnull THEN ' NOT NULL' END) "
        "FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid "
        "LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname NOT IN "
        "(SELECT c->>'name' FROM citadel.archive_entry AS e, pg_catalog.jsonb_array_elements(e.columns) AS c "
        "WHERE e.archive_id = $2) ORDER BY a.attnum",
        {pg::arg_oid(entry.target), pg::arg(entry.id)});
    std::vector<TargetColumn> columns;
    for (std::size_t i = 0; i < rows.size(); ++i)
        columns.push_back({rows.text(i, 0), rows.text(i, 1), rows.text(i, 2)});
    return columns;
}

// Every column of the archive must be there, of the same type.
void check_target_columns(pg::Spi& spi, const Entry& entry) {
    const pg::Rows wrong = spi.query(
        "SELECT c->>'name', c->>'type', pg_catalog.format_type(a.atttypid, a.atttypmod) "
        "FROM citadel.archive_entry AS e, pg_catalog.jsonb_array_elements(e.columns) AS c "
        "LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $1 AND a.attname = c->>'name' AND a.attnum > 0 AND NOT "
        "a.attisdropped WHERE e.archive_id = $2 AND (a.attname IS NULL OR "
        "pg_catalog.format_type(a.atttypid, a.atttypmod) <> c->>'type') LIMIT 1",
        {pg::arg_oid(entry.target), pg::arg(entry.id)});
    if (wrong.empty())
        return;
    pg::raise(ERRCODE_DATATYPE_MISMATCH,
              "the columns of " + pg::qualified_name(entry.target) + " are not those of archive " +
                  std::to_string(entry.id),
              "Column " + pg::quote_identifier(wrong.text(0, 0)) + " is " + wrong.text(0, 1) + " in the archive and " +
                  (wrong.is_null(0, 2) ? "missing" : wrong.text(0, 2)) + " in the table.",
              "Restore it beside: without a target.");
}

std::string definitions(const Entry& entry, bool constraints) {
    std::string text;
    for (const format::Column& column : entry.columns)
        text += (text.empty() ? "" : ", ") + pg::quote_identifier(column.name) + " " + column.type +
                (column.collation.empty() ? "" : " COLLATE " + column.collation) +
                (constraints && column.not_null ? " NOT NULL" : "");
    return text;
}

// The table that the rows are loaded into.
void create_table(pg::Spi& spi, Entry& entry) {
    std::string schema = entry.source_schema;
    std::string name;
    if (entry.restore_as == "partition") {
        name = free_name(schema, entry.source_name, entry.id);
        std::vector<std::string> statements = {
            "CREATE TABLE " + quoted(schema, name) + " (LIKE " + pg::qualified_name(entry.target) +
            " INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS)"};
        // They come when the rows are there, so that their defaults reach them.
        for (const TargetColumn& column : missing_columns(spi, entry))
            statements.push_back("ALTER TABLE " + quoted(schema, name) + " DROP COLUMN " +
                                 pg::quote_identifier(column.name));
        pg::execute_as(owner_of(entry.target), statements);
    } else if (entry.restore_as == "beside") {
        name = free_name(schema, entry.source_name, entry.id);
        pg::execute_as(entry.owner, {"CREATE TABLE " + quoted(schema, name) + " (" + definitions(entry, true) + ")"});
    } else {
        // As the superuser: the target's owner need not be allowed to make tables there. No code runs in this.
        schema::prepare(spi, default_schema);
        schema = default_schema;
        name = free_name(schema, entry.source_name, entry.id);
        spi.execute("CREATE TABLE " + quoted(schema, name) + " (" + definitions(entry, false) + ")");
        spi.execute("ALTER TABLE " + quoted(schema, name) + " OWNER TO " + pg::role_name(owner_of(entry.target)));
    }
    entry.restored = find_relation(schema, name);
    set_step(spi, entry, "load");
    pg::fault_point("archive_restore_created");
}

void require_restored(const Entry& entry) {
    if (!relation_exists(entry.restored))
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "the table into which archive " + std::to_string(entry.id) + " was being restored is gone", {},
                  "Ask for the restore again.");
}

void load_next(pg::Spi& spi, Entry& entry) {
    const pg::Rows next = spi.query("SELECT pg_catalog.min(part_no) FROM citadel.archive_part "
                                    "WHERE archive_id = $1 AND NOT restored",
                                    {pg::arg(entry.id)});
    if (next.is_null(0, 0)) {
        set_step(spi, entry, "check");
        return;
    }
    require_restored(entry);
    const std::vector<Part> parts = parts_of(spi, entry.id);
    const Part& part = parts.at(static_cast<std::size_t>(next.int64(0, 0) - 1));
    const bool far = entry.destination.kind == Kind::server;
    if (far)
        server::show_part_column(spi, entry, true);
    load_part(entry, part, entry.restored);
    if (far)
        server::show_part_column(spi, entry, false);
    spi.execute("UPDATE citadel.archive_part SET restored = true WHERE archive_id = $1 AND part_no = $2",
                {pg::arg(entry.id), pg::arg(part.number)});
    pg::fault_point("archive_restore_loaded");
}

// A stretch of the restored table; at its end the whole must be the archive's content.
void check_next(pg::Spi& spi, Entry& entry) {
    require_restored(entry);
    OpenRelation table(entry.restored, ShareLock);
    const auto first = static_cast<BlockNumber>(entry.step_block);
    const BlockNumber blocks = table.blocks();
    const BlockNumber end = std::min(blocks, first + check_blocks);
    {
        pg::RoleScope owner(owner_of(entry.restored));
        const RowEncoder encoder(table.shape(), entry.column_names(), GetDatabaseEncoding());
        entry.step_hash += scan_blocks(table, encoder, first, end, {});
        owner.leave();
    }
    table.close();
    entry.step_block = end;
    if (end < blocks) {
        save_step(spi, entry);
        return;
    }
    const ContentHash& content = known_content(entry);
    if (entry.step_hash != content)
        pg::raise(ERRCODE_DATA_CORRUPTED,
                  "what was restored from archive " + std::to_string(entry.id) + " is not what was archived",
                  std::to_string(entry.step_hash.rows) + " rows with hash " + entry.step_hash.hex() + " instead of " +
                      std::to_string(content.rows) + " with " + content.hex() + ".");
    pg::fault_point("archive_restore_checked");
    if (entry.restore_as == "rows")
        set_step(spi, entry, "insert");
    else if (in_schema(entry))
        set_step(spi, entry, "move");
    else
        set_step(spi, entry, entry.restore_as == "partition" ? "fit" : "finish");
}

void move_back(pg::Spi& spi, Entry& entry) {
    require_restored(entry);
    const std::string name = free_name(entry.source_schema, entry.source_name, entry.id);
    unmark(spi, entry.restored);
    schema::move(spi, entry.restored, entry.source_schema, name, {});
    open_to_writers(entry.restored, entry.privileges);
    pg::fault_point("archive_restore_moved");
    set_step(spi, entry, entry.restore_as == "partition" ? "attach" : "finish");
}

// Indexes and constraints as the target has them, before they are needed: attaching would build them under its locks.
void fit(pg::Spi& spi, Entry& entry) {
    require_restored(entry);
    const std::string table = pg::qualified_name(entry.restored);
    std::vector<std::string> statements;
    for (const TargetColumn& column : missing_columns(spi, entry))
        statements.push_back("ALTER TABLE " + table + " ADD COLUMN " + column.definition);
    for (std::string& statement : matching_statements(entry.target, table, "cpu"))
        statements.push_back(std::move(statement));
    pg::execute_as(owner_of(entry.target), statements);
    pg::fault_point("archive_restore_fitted");
    set_step(spi, entry, "attach");
}

void attach(pg::Spi& spi, Entry& entry) {
    require_restored(entry);
    if (!relation_exists(entry.target))
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "the table into which archive " + std::to_string(entry.id) + " was to be restored is gone");
    const std::string statement = "ALTER TABLE " + pg::qualified_name(entry.target) + " ATTACH PARTITION " +
                                  pg::qualified_name(entry.restored) + " " + entry.bound;
    // An adopted archive's bounds come from a file or a comment: they must be bounds and nothing more.
    const char* text = statement.c_str();
    const bool bounds_alone = pg::guard([text] {
        List* parsed = raw_parser(text, RAW_PARSE_DEFAULT);
        if (list_length(parsed) != 1)
            return false;
        Node* only = linitial_node(RawStmt, parsed)->stmt;
        return IsA(only, AlterTableStmt) && list_length(reinterpret_cast<AlterTableStmt*>(only)->cmds) == 1;
    });
    if (!bounds_alone)
        pg::raise(ERRCODE_DATA_CORRUPTED, "archive " + std::to_string(entry.id) + " has no valid bounds");
    pg::execute_as(owner_of(entry.target), {statement});
    give_parents_properties(entry.target, entry.restored);
    pg::fault_point("archive_restore_attached");
    set_step(spi, entry, "finish");
}

std::string tid(BlockNumber block) {
    return "'(" + std::to_string(block) + ",0)'::pg_catalog.tid";
}

// Moves a batch of rows into the target, whose constraints and triggers see them as the owner's own; what the target
// says it stored must be what was taken.
void insert_next(pg::Spi& spi, Entry& entry) {
    require_restored(entry);
    if (!relation_exists(entry.target))
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "the table into which archive " + std::to_string(entry.id) + " was to be restored is gone");
    OpenRelation staging(entry.restored, ShareRowExclusiveLock);
    const auto first = static_cast<BlockNumber>(entry.step_block);
    const BlockNumber blocks = staging.blocks();
    const BlockNumber end = std::min(blocks, first + insert_blocks);
    if (first >= end) {
        staging.close();
        if (entry.step_hash != entry.content)
            pg::raise(ERRCODE_DATA_CORRUPTED,
                      "what was restored from archive " + std::to_string(entry.id) + " is not what was archived");
        spi.execute("DROP TABLE " + pg::qualified_name(entry.restored));
        entry.restored = InvalidOid;
        set_step(spi, entry, "finish");
        return;
    }
    // A generated column cannot be given a value: the target computes it, and the comparison sees whether it is the
    // same.
    std::string given;
    const pg::Rows settable =
        spi.query("SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 "
                  "AND NOT attisdropped AND attgenerated = ''",
                  {pg::arg_oid(entry.target)});
    std::vector<std::string> names;
    for (std::size_t i = 0; i < settable.size(); ++i)
        names.push_back(settable.text(i, 0));
    for (const format::Column& column : entry.columns)
        if (std::find(names.begin(), names.end(), column.name) != names.end())
            given += (given.empty() ? "" : ", ") + pg::quote_identifier(column.name);
    const std::string from = pg::qualified_name(entry.restored);
    const std::string into = pg::qualified_name(entry.target);
    ContentHash taken;
    ContentHash stored;
    pg::write_as(owner_of(entry.target), [&](pg::Spi&) {
        see_all_rows();
        const RowEncoder encoder(staging.shape(), entry.column_names(), GetDatabaseEncoding());
        taken = scan_blocks(staging, encoder, first, end, {});
        stored =
            hash_query("WITH piece AS (DELETE FROM ONLY " + from + " WHERE ctid >= " + tid(first) + " AND ctid < " +
                       tid(end) + " RETURNING " + given + ") INSERT INTO " + into + " (" + given +
                       ") OVERRIDING SYSTEM VALUE SELECT " + given + " FROM piece RETURNING " + entry.column_list());
    });
    staging.close();
    if (taken != stored)
        pg::raise(ERRCODE_DATA_CORRUPTED,
                  into + " does not store the rows of archive " + std::to_string(entry.id) + " as they were",
                  std::to_string(taken.rows) + " rows were given to it, " + std::to_string(stored.rows) +
                      " were stored, or values were changed: by a trigger, a generated column or a rule.",
                  "Restore it beside: without a target.");
    entry.step_hash += taken;
    entry.step_block = end;
    save_step(spi, entry);
    pg::fault_point("archive_restore_inserted");
}

} // namespace

const char* name_of(RestoreAs as) {
    return as == RestoreAs::partition ? "partition" : as == RestoreAs::rows ? "rows" : "beside";
}

void begin_restore(std::int64_t archive_id, Oid target, RestoreAs as) {
    pg::Spi spi;
    Entry entry = load(spi, archive_id);
    require_state(entry, in_schema(entry) ? "complete" : "complete, restored");
    entry.target = target;
    entry.restore_as = name_of(as);
    if (!OidIsValid(entry.owner) && as == RestoreAs::beside)
        pg::raise(ERRCODE_UNDEFINED_OBJECT,
                  "role \"" + entry.owner_name + "\", the owner of the archive, does not exist");
    if (as != RestoreAs::beside) {
        OpenRelation table(target, AccessShareLock);
        const char kind = table.get()->rd_rel->relkind;
        const bool partitioned = kind == RELKIND_PARTITIONED_TABLE;
        table.close();
        if (as == RestoreAs::partition ? !partitioned : !partitioned && kind != RELKIND_RELATION)
            pg::raise(ERRCODE_WRONG_OBJECT_TYPE,
                      "an archive cannot be restored into " + pg::qualified_name(target) + " as " + entry.restore_as);
        if (as == RestoreAs::partition && entry.bound.empty())
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "archive " + std::to_string(archive_id) + " was no partition", {}, "Restore it as rows.");
        check_target_columns(spi, entry);
        if (in_schema(entry) && relation_exists(entry.relation) && owner_of(entry.relation) != owner_of(target))
            pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, pg::qualified_name(entry.relation) + " and " +
                                                          pg::qualified_name(target) + " have different owners");
    }
    if (in_schema(entry) && !relation_exists(entry.relation))
        pg::raise(ERRCODE_UNDEFINED_TABLE, "the table of archive " + std::to_string(archive_id) + " is gone");
    entry.restored = in_schema(entry) ? entry.relation : InvalidOid;
    entry.step = in_schema(entry) ? "check" : "create";
    entry.step_block = 0;
    entry.step_hash = {};
    spi.execute(
        "UPDATE citadel.archive_entry SET state = 'restoring', restore_as = $2, target_oid = nullif($3, 0::oid) "
        "WHERE archive_id = $1",
        {pg::arg(archive_id), pg::arg(entry.restore_as), pg::arg_oid(target)});
    save_step(spi, entry);
    spi.execute("UPDATE citadel.archive_part SET restored = false WHERE archive_id = $1", {pg::arg(archive_id)});
    if (in_schema(entry) && as == RestoreAs::rows)
        open_to_writers(entry.relation, entry.privileges);
}

void abandon_restore(std::int64_t archive_id) {
    pg::Spi spi;
    const Entry entry = load(spi, archive_id);
    require_state(entry, "restoring");
    const bool begun = entry.step == "finish" || (in_schema(entry) && entry.step == "attach") ||
                       (entry.step == "insert" && entry.step_block > 0);
    if (begun)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "the restore of archive " + std::to_string(archive_id) + " has reached its target and has to go on");
    if (!in_schema(entry) && relation_exists(entry.restored))
        spi.execute("DROP TABLE " + pg::qualified_name(entry.restored));
    spi.execute("UPDATE citadel.archive_entry SET state = 'complete', restored_oid = NULL, restore_as = NULL, "
                "target_oid = NULL, progress = '{}' WHERE archive_id = $1",
                {pg::arg(archive_id)});
}

Progress restore_some(std::int64_t archive_id) {
    pg::Spi spi;
    Entry entry = load(spi, archive_id);
    if (entry.state == "restored")
        return Progress::done;
    require_state(entry, "restoring");
    if (entry.step == "create")
        create_table(spi, entry);
    else if (entry.step == "load")
        load_next(spi, entry);
    else if (entry.step == "check")
        check_next(spi, entry);
    else if (entry.step == "move")
        move_back(spi, entry);
    else if (entry.step == "fit")
        fit(spi, entry);
    else if (entry.step == "attach")
        attach(spi, entry);
    else if (entry.step == "insert")
        insert_next(spi, entry);
    else
        return finish(spi, entry);
    return Progress::more;
}

} // namespace citadel::lifecycle::archive
