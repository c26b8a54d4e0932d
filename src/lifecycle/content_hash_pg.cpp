#include "lifecycle/content_hash_pg.hpp"

#include "lifecycle/archive_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/memory.hpp"
#include "pg/spi.hpp"
#include "pg/tuplestore.hpp"

#include <utility>

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
}

#include "pg/compat.hpp"

namespace citadel::lifecycle {

namespace {

constexpr int chunk_bytes = 256 * 1024;
constexpr long fetch_rows = 1000;

struct Scan {
    TableScanDesc scan;
    TupleTableSlot* slot;
    Snapshot snapshot;
    MemoryContext rows; // what one row's encoding leaves behind
};

// Fills the buffer; false at the end of the scan.
bool next_chunk(const Scan& scan, const RowEncoder& encoder, StringInfo chunk, ContentHash* hash) {
    const MemoryContext before = MemoryContextSwitchTo(scan.rows);
    bool more = true;
    chunk->len = 0;
    while (chunk->len < chunk_bytes && more) {
        CHECK_FOR_INTERRUPTS();
        more = table_scan_getnextslot_tidrange(scan.scan, ForwardScanDirection, scan.slot);
        if (more) {
            const int start = chunk->len;
            encoder.encode(scan.slot, chunk);
            hash->add(chunk->data + start, static_cast<std::size_t>(chunk->len - start));
            MemoryContextReset(scan.rows);
        }
    }
    MemoryContextSwitchTo(before);
    return more;
}

} // namespace

OpenRelation::OpenRelation(Oid relation, LOCKMODE lock) {
    relation_ = pg::guard([=] { return table_open(relation, lock); });
}

void OpenRelation::close() {
    if (relation_ != nullptr)
        pg::guard([this] { table_close(relation_, NoLock); });
    relation_ = nullptr;
}

TupleDesc OpenRelation::shape() const {
    return RelationGetDescr(relation_);
}

BlockNumber OpenRelation::blocks() const {
    return pg::guard([this] { return RelationGetNumberOfBlocks(relation_); });
}

bool OpenRelation::has_blocks() const {
    const char kind = relation_->rd_rel->relkind;
    return (kind == RELKIND_RELATION || kind == RELKIND_MATVIEW) && relation_->rd_tableam != nullptr &&
           relation_->rd_tableam->scan_getnextslot_tidrange != nullptr;
}

ContentHash scan_blocks(const OpenRelation& relation, const RowEncoder& encoder, BlockNumber first, BlockNumber end,
                        const RowSink& sink) {
    ContentHash hash;
    if (first >= end)
        return hash;
    const pg::MemoryScope memory("citadel_opt scan");
    Relation table = relation.get();
    Scan scan{};
    StringInfoData chunk{};
    pg::guard([&] {
        ItemPointerData low;
        ItemPointerData high;
        ItemPointerSet(&low, first, FirstOffsetNumber);
        ItemPointerSet(&high, end - 1, MaxOffsetNumber);
        scan.rows = AllocSetContextCreate(CurrentMemoryContext, "citadel_opt row", ALLOCSET_DEFAULT_SIZES);
        scan.snapshot = RegisterSnapshot(GetLatestSnapshot());
        scan.slot = table_slot_create(table, nullptr);
        scan.scan = table_beginscan_tidrange(table, scan.snapshot, &low, &high);
        initStringInfo(&chunk);
        enlargeStringInfo(&chunk, chunk_bytes + BLCKSZ);
    });
    bool more = true;
    while (more) {
        more = pg::guard([&] { return next_chunk(scan, encoder, &chunk, &hash); });
        if (sink && chunk.len > 0)
            sink(chunk.data, static_cast<std::size_t>(chunk.len));
    }
    pg::guard([&] {
        table_endscan(scan.scan);
        ExecDropSingleTupleTableSlot(scan.slot);
        UnregisterSnapshot(scan.snapshot);
    });
    return hash;
}

ContentHash hash_query(const std::string& sql, const SlotTaker& take) {
    ContentHash hash;
    const pg::Spi spi;
    const pg::MemoryScope memory("citadel_opt query");
    const char* text = sql.c_str();
    Portal portal = pg::guard([text] {
        SPIPlanPtr plan = SPI_prepare_cursor(text, 0, nullptr, CURSOR_OPT_NO_SCROLL);
        if (plan == nullptr)
            elog(ERROR, "SPI could not prepare \"%s\": %s", text, SPI_result_code_string(SPI_result));
        return SPI_cursor_open(nullptr, plan, nullptr, nullptr, false);
    });
    const RowEncoder encoder(portal->tupDesc, {}, GetDatabaseEncoding());
    TupleTableSlot* slot = nullptr;
    StringInfoData row{};
    MemoryContext rows = nullptr;
    pg::guard([&] {
        slot = MakeSingleTupleTableSlot(portal->tupDesc, &TTSOpsHeapTuple);
        initStringInfo(&row);
        rows = AllocSetContextCreate(CurrentMemoryContext, "citadel_opt row", ALLOCSET_DEFAULT_SIZES);
    });
    for (bool more = true; more;) {
        more = pg::guard([&] {
            SPI_cursor_fetch(portal, true, fetch_rows);
            const MemoryContext before = MemoryContextSwitchTo(rows);
            for (std::uint64_t i = 0; i < SPI_processed; ++i) {
                ExecStoreHeapTuple(SPI_tuptable->vals[i], slot, false);
                row.len = 0;
                encoder.encode(slot, &row);
                hash.add(row.data, static_cast<std::size_t>(row.len));
                if (take)
                    take(slot);
                MemoryContextReset(rows);
            }
            MemoryContextSwitchTo(before);
            ExecClearTuple(slot);
            const bool any = SPI_processed > 0;
            SPI_freetuptable(SPI_tuptable);
            return any;
        });
    }
    pg::guard([&] {
        ExecDropSingleTupleTableSlot(slot);
        SPI_cursor_close(portal);
    });
    return hash;
}

ContentHash hash_content(Oid relation, const std::vector<std::string>& columns, const std::string& where, bool direct) {
    OpenRelation table(relation, AccessShareLock);
    ContentHash hash;
    if (direct && where.empty() && table.has_blocks()) {
        const RowEncoder encoder(table.shape(), columns, GetDatabaseEncoding());
        hash = scan_blocks(table, encoder, 0, table.blocks(), {});
    } else {
        std::string list;
        for (const std::string& name : columns.empty() ? column_names(table.shape()) : columns)
            list += (list.empty() ? "" : ", ") + pg::quote_identifier(name);
        hash = hash_query("SELECT " + list + " FROM " + pg::qualified_name(relation) +
                          (where.empty() ? "" : " WHERE " + where));
    }
    table.close();
    return hash;
}

ContentHash archive::hash_relation(Oid relation, const std::string& where) {
    return hash_content(relation, {}, where, true);
}

} // namespace citadel::lifecycle

using namespace citadel;

// As the caller, with his permissions and policies; who owns the table, and no policy binds him, has it read directly.
CITADEL_FUNCTION(citadel_content_hash) {
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "relation must not be null");
    const Oid relation = PG_GETARG_OID(0);
    const bool direct = pg::guard([relation] {
        return pg::owns_relation(relation, GetUserId()) && check_enable_rls(relation, InvalidOid, true) != RLS_ENABLED;
    });
    const std::string where = PG_ARGISNULL(1) ? std::string() : pg::to_string(PG_GETARG_TEXT_PP(1));
    const lifecycle::ContentHash hash = lifecycle::hash_content(relation, {}, where, direct);
    PG_RETURN_DATUM(pg::composite(fcinfo, {pg::arg(hash.rows), pg::arg(hash.hex())}));
}
