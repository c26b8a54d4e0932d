#include "lifecycle/archive_load_pg.hpp"

#include "lifecycle/archive_file_pg.hpp"
#include "lifecycle/archive_server_pg.hpp"
#include "pg/memory.hpp"
#include "pg/role.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/datum.h"
#include "utils/rel.h"
}

namespace citadel::lifecycle::archive {

BulkLoader::BulkLoader(Oid table, const Entry& entry, int encoding)
    : table_(table, RowExclusiveLock), decoder_(table_.shape(), entry.column_names(), encoding) {
    for (const format::Column& column : entry.columns)
        numbers_.push_back(column_number(table_.shape(), column.name));
    pg::guard([this] {
        slots_ = CurrentMemoryContext;
        rows_ = AllocSetContextCreate(CurrentMemoryContext, "citadel_opt batch", ALLOCSET_DEFAULT_SIZES);
        initStringInfo(&scratch_);
        state_ = GetBulkInsertState();
    });
}

TupleTableSlot* BulkLoader::next_slot() {
    if (batch_[count_] == nullptr) {
        const MemoryContext before = MemoryContextSwitchTo(slots_);
        batch_[count_] = table_slot_create(table_.get(), nullptr);
        MemoryContextSwitchTo(before);
    }
    return batch_[count_];
}

void BulkLoader::stored(std::size_t bytes) {
    ++count_;
    bytes_ += bytes;
    if (count_ == batch_rows || bytes_ >= batch_bytes)
        flush();
}

void BulkLoader::flush() {
    if (count_ > 0) {
        CHECK_FOR_INTERRUPTS();
        const MemoryContext before = MemoryContextSwitchTo(rows_);
        table_multi_insert(table_.get(), batch_, count_, GetCurrentCommandId(true), 0, state_);
        MemoryContextSwitchTo(before);
        for (int i = 0; i < count_; ++i)
            ExecClearTuple(batch_[i]);
        MemoryContextReset(rows_);
    }
    count_ = 0;
    bytes_ = 0;
}

void BulkLoader::add(const format::Field* fields) {
    pg::guard([this, fields] {
        const MemoryContext before = MemoryContextSwitchTo(rows_);
        decoder_.decode(fields, next_slot(), &scratch_);
        MemoryContextSwitchTo(before);
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < numbers_.size(); ++i)
            bytes += fields[i].bytes > 0 ? static_cast<std::size_t>(fields[i].bytes) : 0;
        stored(bytes);
    });
}

void BulkLoader::add(TupleTableSlot* row) {
    pg::guard([this, row] {
        slot_getallattrs(row);
        TupleTableSlot* slot = next_slot();
        const MemoryContext before = MemoryContextSwitchTo(rows_);
        ExecClearTuple(slot);
        memset(slot->tts_isnull, 1, sizeof(bool) * static_cast<std::size_t>(slot->tts_tupleDescriptor->natts));
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < numbers_.size(); ++i) {
            if (row->tts_isnull[i])
                continue;
            const Form_pg_attribute column = TupleDescAttr(row->tts_tupleDescriptor, static_cast<int>(i));
            slot->tts_values[numbers_[i] - 1] = datumCopy(row->tts_values[i], column->attbyval, column->attlen);
            slot->tts_isnull[numbers_[i] - 1] = false;
            bytes +=
                column->attbyval ? sizeof(Datum) : datumGetSize(row->tts_values[i], column->attbyval, column->attlen);
        }
        ExecStoreVirtualTuple(slot);
        MemoryContextSwitchTo(before);
        stored(bytes);
    });
}

void BulkLoader::finish() {
    pg::guard([this] {
        flush();
        for (TupleTableSlot* slot : batch_)
            if (slot != nullptr)
                ExecDropSingleTupleTableSlot(slot);
        FreeBulkInsertState(state_);
        table_finish_bulk_insert(table_.get(), 0);
    });
    table_.close();
}

void load_part(const Entry& entry, const Part& part, Oid table) {
    const bool from_file = entry.destination.kind == Kind::file;
    const int encoding = from_file ? file::encoding_of(entry) : GetDatabaseEncoding();
    const pg::MemoryScope memory("citadel_opt load");
    // The foreign table is the archive owner's.
    pg::RoleScope owner(from_file ? owner_of(table) : entry.owner);
    {
        BulkLoader loader(table, entry, encoding);
        if (from_file)
            file::read_part(entry, part, [&loader](const format::Reader& row) { loader.add(row.fields().data()); });
        else
            server::read_part(entry, part, [&loader](TupleTableSlot* row) { loader.add(row); });
        loader.finish();
    }
    owner.leave();
}

} // namespace citadel::lifecycle::archive
