#include "lifecycle/archive_view_pg.hpp"

#include "lifecycle/archive_file_pg.hpp"
#include "lifecycle/archive_schema_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"
#include "pg/memory.hpp"
#include "pg/role.hpp"

extern "C" {
#include "catalog/dependency.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "mb/pg_wchar.h"
#include "nodes/execnodes.h"
#include "rewrite/rewriteSupport.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
}

namespace citadel::lifecycle::archive {

namespace {

std::string column_definitions(const Entry& entry) {
    std::string text;
    for (const format::Column& column : entry.columns)
        text += (text.empty() ? "" : ", ") + pg::quote_identifier(column.name) + " " + column.type +
                (column.collation.empty() ? "" : " COLLATE " + column.collation);
    return text;
}

// The rule of a view depends on the functions it calls, which would keep them, and so the extension, from being
// dropped. An automatic dependency drops the view instead.
void loosen_dependency(Oid view, Oid function) {
    pg::guard([=] {
        const Oid rule = get_rewrite_oid(view, ViewSelectRuleName, false);
        if (deleteDependencyRecordsForSpecific(RewriteRelationId, rule, DEPENDENCY_NORMAL, ProcedureRelationId,
                                               function) != 1)
            elog(ERROR, "view %u does not depend on function %u", view, function);
        ObjectAddress depender;
        ObjectAddress referenced;
        ObjectAddressSet(depender, RewriteRelationId, rule);
        ObjectAddressSet(referenced, ProcedureRelationId, function);
        recordDependencyOn(&depender, &referenced, DEPENDENCY_AUTO);
        // The rule belongs to the view, which has to be droppable on its own account.
        ObjectAddressSet(depender, RelationRelationId, view);
        recordDependencyOn(&depender, &referenced, DEPENDENCY_AUTO);
    });
}

} // namespace

void create_view(pg::Spi& spi, const Entry& entry) {
    schema::prepare(spi, default_schema);
    const std::string name = free_name(default_schema, entry.source_name, entry.id);
    const std::string view = quoted(default_schema, name);
    spi.execute("CREATE VIEW " + view + " AS SELECT * FROM citadel.read_archive(" + std::to_string(entry.id) +
                ") AS t (" + column_definitions(entry) + ")");
    spi.execute("ALTER VIEW " + view + " OWNER TO " + pg::quote_identifier(entry.owner_name));
    const Oid oid = find_relation(default_schema, name);
    loosen_dependency(oid, spi.query("SELECT 'citadel.read_archive(bigint)'::pg_catalog.regprocedure::oid").oid(0, 0));
    set_relation(spi, entry.id, oid);
}

namespace {

Entry load_as_superuser(std::int64_t archive_id, std::vector<Part>& parts) {
    pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    Entry entry;
    {
        pg::Spi spi;
        entry = load(spi, archive_id, false);
        parts = parts_of(spi, archive_id);
    }
    superuser.leave();
    return entry;
}

// The archive's owner, and whom he granted SELECT on its view.
void check_reader(const Entry& entry) {
    const Oid owner = entry.owner;
    const Oid view = entry.relation;
    const bool allowed = pg::guard([=] {
        return superuser() || (OidIsValid(owner) && has_privs_of_role(GetUserId(), owner)) ||
               (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(view)) &&
                pg_class_aclcheck(view, GetUserId(), ACL_SELECT) == ACLCHECK_OK);
    });
    if (!allowed)
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied for archive " + std::to_string(entry.id));
}

void check_shape(const Entry& entry, TupleDesc shape) {
    bool same = static_cast<std::size_t>(shape->natts) == entry.columns.size();
    for (int i = 0; same && i < shape->natts; ++i) {
        const Form_pg_attribute column = TupleDescAttr(shape, i);
        const char* type = pg::guard(
            [column] { return format_type_extended(column->atttypid, column->atttypmod, FORMAT_TYPE_TYPEMOD_GIVEN); });
        same = entry.columns[static_cast<std::size_t>(i)].type == type;
    }
    if (!same)
        pg::raise(ERRCODE_DATATYPE_MISMATCH, "archive " + std::to_string(entry.id) + " has other columns",
                  "They are: " + column_definitions(entry) + ".");
}

} // namespace

} // namespace citadel::lifecycle::archive

using namespace citadel;
using namespace citadel::lifecycle;

CITADEL_FUNCTION(citadel_read_archive) {
    const std::int64_t archive_id = PG_GETARG_INT64(0);
    std::vector<archive::Part> parts;
    const archive::Entry entry = archive::load_as_superuser(archive_id, parts);
    if (entry.destination.kind != archive::Kind::file)
        pg::raise(ERRCODE_WRONG_OBJECT_TYPE, "archive " + std::to_string(archive_id) + " does not lie in files", {},
                  "Read " + pg::qualified_name(entry.relation) + ".");
    archive::check_reader(entry);
    if (entry.state != "complete" && entry.state != "restoring" && entry.state != "restored")
        archive::require_state(entry, "complete, restored");
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    pg::guard([fcinfo] { InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC); });
    archive::check_shape(entry, result->setDesc);
    if (!OidIsValid(entry.owner))
        pg::raise(ERRCODE_UNDEFINED_OBJECT,
                  "role \"" + entry.owner_name + "\", the owner of the archive, does not exist");
    const int encoding = archive::file::encoding_of(entry);

    // Types may run code of whoever made them: as the archive's owner, not as the reader.
    pg::RoleScope owner(entry.owner);
    std::vector<std::string> names;
    names.reserve(static_cast<std::size_t>(result->setDesc->natts));
    for (int i = 0; i < result->setDesc->natts; ++i)
        names.emplace_back(NameStr(TupleDescAttr(result->setDesc, i)->attname));
    const RowDecoder decoder(result->setDesc, names, encoding);
    const pg::MemoryScope memory("citadel_opt archive");
    TupleTableSlot* slot = nullptr;
    StringInfoData scratch{};
    MemoryContext rows = nullptr;
    pg::guard([&] {
        slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsVirtual);
        initStringInfo(&scratch);
        rows = AllocSetContextCreate(CurrentMemoryContext, "citadel_opt row", ALLOCSET_DEFAULT_SIZES);
    });
    for (const archive::Part& part : parts)
        archive::file::read_part(entry, part, [&](const format::Reader& row) {
            const format::Field* fields = row.fields().data();
            pg::guard([&] {
                const MemoryContext before = MemoryContextSwitchTo(rows);
                decoder.decode(fields, slot, &scratch);
                tuplestore_puttupleslot(result->setResult, slot);
                ExecClearTuple(slot);
                MemoryContextReset(rows);
                MemoryContextSwitchTo(before);
            });
        });
    owner.leave();
    return static_cast<Datum>(0);
}
