#include "advisor/table_sample_pg.hpp"

#include "capture/random.hpp"
#include "pg/guard.hpp"
#include "pg/memory.hpp"
#include "pg/plan_tree.hpp"
#include "pg/relation.hpp"
#include "pg/role.hpp"
#include "pg/subtransaction.hpp"

#include <algorithm>

extern "C" {
#include "access/detoast.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/toast_compression.h"
#include "access/toast_internals.h"
#include "access/tsmapi.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/sampling.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace citadel::advisor {

namespace {

// ---- Reading. Under one guard: plain data, no C++ objects.

// A sampling method of our own for the table's access method: some pages, and of each some rows.
struct Chooser {
    BlockSamplerData blocks;
    capture::Random random; // from the table's OID: the same rows for the same table
    double share;           // of a page's rows
    OffsetNumber last;
};

BlockNumber next_block(SampleScanState* scan, BlockNumber) {
    auto* chooser = static_cast<Chooser*>(scan->tsm_state);
    chooser->last = InvalidOffsetNumber;
    return BlockSampler_HasMore(&chooser->blocks) ? BlockSampler_Next(&chooser->blocks) : InvalidBlockNumber;
}

OffsetNumber next_tuple(SampleScanState* scan, BlockNumber, OffsetNumber maximum) {
    auto* chooser = static_cast<Chooser*>(scan->tsm_state);
    for (OffsetNumber offset = chooser->last + 1; offset <= maximum; ++offset)
        if (chooser->share >= 1.0 || chooser->random.fraction() < chooser->share) {
            chooser->last = offset;
            return offset;
        }
    chooser->last = InvalidOffsetNumber;
    return InvalidOffsetNumber;
}

struct Taken {
    HeapTuple* rows;
    TupleDesc descriptor;
    std::size_t count;
    bool whole;
};

constexpr Size most_bytes = Size{128} << 20;

Taken take(Oid table, double rows, BlockNumber pages) {
    Taken taken{nullptr, nullptr, 0, true};
    Relation relation = try_relation_open(table, AccessShareLock);
    if (relation == nullptr || !RELKIND_HAS_TABLE_AM(relation->rd_rel->relkind))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u is gone", table)));
    taken.descriptor = CreateTupleDescCopyConstr(RelationGetDescr(relation));
    const BlockNumber all = RelationGetNumberOfBlocks(relation);
    Chooser chooser{{}, capture::Random(table), 0.0, InvalidOffsetNumber};
    const int wanted = static_cast<int>(std::min<BlockNumber>(all, TableSample::most_pages));
    BlockSampler_Init(&chooser.blocks, all, wanted, table);
    const double density = pages > 0 && rows > 0 ? rows / pages : 10.0;
    chooser.share = wanted > 0 ? TableSample::most_rows / (density * wanted) : 1.0;
    taken.whole = wanted >= static_cast<int>(all) && chooser.share >= 1.0;

    TsmRoutine method{};
    NodeSetTag(&method, T_TsmRoutine);
    method.NextSampleBlock = next_block;
    method.NextSampleTuple = next_tuple;
    SampleScanState state{};
    NodeSetTag(&state, T_SampleScanState);
    state.tsmroutine = &method;
    state.tsm_state = &chooser;

    const int room = TableSample::most_rows * 5 / 4 + 1000;
    taken.rows = static_cast<HeapTuple*>(palloc(sizeof(HeapTuple) * room));
    Size bytes = 0;
    const bool pushed = !ActiveSnapshotSet();
    if (pushed)
        PushActiveSnapshot(GetTransactionSnapshot());
    TupleTableSlot* slot = table_slot_create(relation, nullptr);
    TableScanDesc scan = table_beginscan_sampling(relation, GetActiveSnapshot(), 0, nullptr, true, false, false);
    while (table_scan_sample_next_block(scan, &state)) {
        CHECK_FOR_INTERRUPTS();
        while (table_scan_sample_next_tuple(scan, &state, slot)) {
            if (static_cast<int>(taken.count) >= room || bytes > most_bytes) {
                taken.whole = false;
                break;
            }
            HeapTuple tuple = ExecCopySlotHeapTuple(slot);
            bytes += tuple->t_len;
            taken.rows[taken.count++] = tuple;
        }
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    if (pushed)
        PopActiveSnapshot();
    relation_close(relation, AccessShareLock);
    return taken;
}

// ---- Evaluating.

// CREATE INDEX demands that whoever names a function owns the table. Whoever asks us need not, so that his own function
// would run as somebody else: only what a superuser wrote in C is run, the built-in functions and those of extensions.
bool distrusted_function(Oid function, void* trusted_owner) {
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple))
        return true;
    const auto* form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    const Oid owner = form->proowner;
    const bool compiled = form->prolang == INTERNALlanguageId || form->prolang == ClanguageId;
    ReleaseSysCache(tuple);
    return (!compiled || !superuser_arg(owner)) && owner != *static_cast<Oid*>(trusted_owner);
}

// Is there code in it that must not be run?
bool distrusted(Node* node, void* context) {
    if (node == nullptr)
        return false;
    if (IsA(node, CoerceToDomain)) // its constraints are not in the tree
        return true;
    return check_functions_in_node(node, distrusted_function, context) ||
           pg::walk_expression(node, distrusted, context);
}

struct Evaluation {
    const Node* expression;
    HeapTuple* rows;
    TupleDesc descriptor;
    std::size_t count;
    Datum* values;
    bool* nulls;
    std::int16_t length;
    bool by_value;
};

void evaluate_rows(const Evaluation& work, MemoryContext kept) {
    EState* estate = CreateExecutorState();
    ExprContext* context = GetPerTupleExprContext(estate);
    TupleTableSlot* slot = MakeSingleTupleTableSlot(work.descriptor, &TTSOpsHeapTuple);
    auto* copy = static_cast<Node*>(copyObjectImpl(work.expression));
    ExprState* state = ExecPrepareExpr(reinterpret_cast<Expr*>(copy), estate);
    context->ecxt_scantuple = slot;
    Size bytes = 0;
    for (std::size_t i = 0; i < work.count; ++i) {
        ExecStoreHeapTuple(work.rows[i], slot, false);
        bool is_null = false;
        Datum value = ExecEvalExprSwitchContext(state, context, &is_null);
        if (!is_null && !work.by_value) {
            const MemoryContext before = MemoryContextSwitchTo(kept);
            value = datumCopy(value, false, work.length);
            MemoryContextSwitchTo(before);
            bytes += work.length > 0 ? static_cast<Size>(work.length) : 8 + VARSIZE_ANY(DatumGetPointer(value));
        }
        work.values[i] = value;
        work.nulls[i] = is_null;
        ResetExprContext(context);
        if (bytes > most_bytes)
            elog(ERROR, "the values of the expression are too large");
        if (i % 256 == 0)
            CHECK_FOR_INTERRUPTS();
    }
    ExecDropSingleTupleTableSlot(slot);
    FreeExecutorState(estate);
}

// A type's storage, and room for the values.
void prepare_values(SampledValues* values, const Node* expression, std::size_t count) {
    values->type = exprType(expression);
    values->modifier = exprTypmod(expression);
    values->collation = exprCollation(expression);
    get_typlenbyvalalign(values->type, &values->length, &values->by_value, &values->alignment);
    values->storage = get_typstorage(values->type);
    values->compression = InvalidCompressionMethod; // the database's default, as of an index column
    values->count = count;
    values->values = static_cast<Datum*>(palloc0(sizeof(Datum) * Max(count, 1)));
    values->nulls = static_cast<bool*>(palloc0(sizeof(bool) * Max(count, 1)));
}

// Bytes of a value inside an index tuple, without alignment, and a hash of its image.
void measure_one(Datum value, const SampledValues& column, std::int32_t* bytes, std::uint64_t* hash) {
    if (column.by_value) {
        *bytes = column.length;
        *hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(&value), sizeof value, 0);
        return;
    }
    if (column.length == -2) {
        const char* text = DatumGetCString(value);
        *bytes = static_cast<std::int32_t>(strlen(text)) + 1;
        *hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(text), *bytes, 0);
        return;
    }
    if (column.length > 0) {
        *bytes = column.length;
        *hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(DatumGetPointer(value)), column.length, 0);
        return;
    }
    auto* stored = reinterpret_cast<varlena*>(DatumGetPointer(value));
    varlena* plain = pg_detoast_datum_packed(stored);
    const auto data = static_cast<std::int32_t>(VARSIZE_ANY_EXHDR(plain));
    *hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(VARDATA_ANY(plain)), data, 0);
    // index_form_tuple() keeps compressed what is compressed. What lies elsewhere was compressed if that was of use.
    if (VARATT_IS_COMPRESSED(stored))
        *bytes = static_cast<std::int32_t>(VARSIZE_ANY(stored));
    else if (VARATT_IS_EXTERNAL(stored))
        *bytes = static_cast<std::int32_t>(toast_datum_size(value)) + VARHDRSZ;
    else
        *bytes = bytes_in_index(plain, column.storage, column.compression);
    if (plain != stored)
        pfree(plain);
}

} // namespace

std::int32_t bytes_in_index(varlena* plain, char storage, char compression) {
    const auto data = static_cast<std::int32_t>(VARSIZE_ANY_EXHDR(plain));
    if (data + VARHDRSZ > static_cast<std::int32_t>(TOAST_INDEX_TARGET) &&
        (storage == TYPSTORAGE_EXTENDED || storage == TYPSTORAGE_MAIN)) {
        auto* shorter = DatumGetPointer(toast_compress_datum(PointerGetDatum(plain), compression));
        if (shorter != nullptr) {
            const auto bytes = static_cast<std::int32_t>(VARSIZE_ANY(shorter));
            pfree(shorter);
            return bytes;
        }
    }
    return data + (data + 1 <= 127 ? 1 : VARHDRSZ);
}

TableSample::TableSample(Oid table, double rows, BlockNumber pages)
    : table_(table), memory_(pg::guard([] {
          return AllocSetContextCreate(CurrentMemoryContext, "citadel_opt sample", ALLOCSET_DEFAULT_SIZES);
      })) {
    const pg::MemorySwitch inside(memory_);
    Taken taken{};
    const std::optional<pg::Error> failure =
        pg::try_subtransaction([&] { taken = pg::guard([table, rows, pages] { return take(table, rows, pages); }); });
    if (failure)
        return; // dropped, or damaged: nothing is known
    rows_ = taken.rows;
    descriptor_ = taken.descriptor;
    count_ = taken.count;
    whole_ = taken.whole;
}

TableSample::~TableSample() {
    MemoryContextDelete(memory_);
}

SampledValues* TableSample::column(AttrNumber column) {
    for (const auto& known : known_)
        if (known->expression == nullptr && known->column == column)
            return known->failed ? nullptr : &known->values;
    known_.push_back(std::make_unique<Known>(Known{column, nullptr, true, {}}));
    Known& made = *known_.back();
    if (count_ == 0 || column < 1 || column > descriptor_->natts)
        return nullptr;
    const pg::MemorySwitch inside(memory_);
    pg::guard([this, column, &made] {
        const Form_pg_attribute attribute = TupleDescAttr(descriptor_, column - 1);
        SampledValues& values = made.values;
        values.type = attribute->atttypid;
        values.modifier = attribute->atttypmod;
        values.collation = attribute->attcollation;
        values.length = attribute->attlen;
        values.by_value = attribute->attbyval;
        values.alignment = attribute->attalign;
        values.storage = attribute->attstorage;
        values.compression = attribute->attcompression;
        values.count = count_;
        auto* data = static_cast<Datum*>(palloc0(sizeof(Datum) * count_));
        auto* nulls = static_cast<bool*>(palloc0(sizeof(bool) * count_));
        for (std::size_t i = 0; i < count_; ++i)
            data[i] = heap_getattr(rows_[i], column, descriptor_, &nulls[i]);
        values.values = data;
        values.nulls = nulls;
    });
    made.failed = false;
    return &made.values;
}

TableSample::Known& TableSample::evaluate(const Node* expression) {
    for (const auto& known : known_)
        if (known->expression != nullptr && equal(known->expression, expression))
            return *known;
    const pg::MemorySwitch inside(memory_);
    const auto* copy = static_cast<const Node*>(pg::guard([expression] { return copyObjectImpl(expression); }));
    known_.push_back(std::make_unique<Known>(Known{InvalidAttrNumber, copy, true, {}}));
    Known& made = *known_.back();
    if (count_ == 0)
        return made;
    const Oid owner = pg::owner_of(table_);
    const bool changes = pg::guard([copy] { return contain_mutable_functions(const_cast<Node*>(copy)); });
    if (changes || !calls_trusted_code_only(copy))
        return made;
    const std::optional<pg::Error> failure = pg::try_subtransaction([&] {
        const pg::RoleScope as_owner(owner);
        SampledValues& values = made.values;
        pg::guard([&values, copy, this] {
            prepare_values(&values, copy, count_);
            const Evaluation work{copy,
                                  rows_,
                                  descriptor_,
                                  count_,
                                  const_cast<Datum*>(values.values),
                                  const_cast<bool*>(values.nulls),
                                  values.length,
                                  values.by_value};
            evaluate_rows(work, memory_);
        });
    });
    pg::rethrow_cancel(failure);
    made.failed = failure.has_value();
    return made;
}

SampledValues* TableSample::expression(const Node* expression) {
    Known& known = evaluate(expression);
    return known.failed ? nullptr : &known.values;
}

const std::vector<bool>* TableSample::matches(const List* predicate) {
    for (const auto& matched : matched_)
        if (equal(matched->predicate, predicate))
            return matched->failed ? nullptr : &matched->rows;
    const pg::MemorySwitch inside(memory_);
    const auto* copy = static_cast<const List*>(pg::guard([predicate] { return copyObjectImpl(predicate); }));
    matched_.push_back(std::make_unique<Matched>(Matched{copy, false, std::vector<bool>(count_, true)}));
    Matched& made = *matched_.back();
    const ListCell* cell;
    foreach (cell, copy) {
        const Known& member = evaluate(static_cast<const Node*>(lfirst(cell)));
        made.failed = made.failed || member.failed;
        for (std::size_t i = 0; i < count_ && !made.failed; ++i)
            if (member.values.nulls[i] || !DatumGetBool(member.values.values[i]))
                made.rows[i] = false;
    }
    return made.failed ? nullptr : &made.rows;
}

void TableSample::measure(SampledValues& values) {
    if (values.bytes.size() == values.count)
        return;
    std::vector<std::int32_t> bytes(values.count, -1);
    std::vector<std::uint64_t> hashes(values.count, 0);
    const pg::MemoryScope scratch("measure");
    pg::guard([&values, &bytes, &hashes] {
        std::int32_t* size = bytes.data();
        std::uint64_t* hash = hashes.data();
        for (std::size_t i = 0; i < values.count; ++i) {
            if (i % 256 == 0)
                CHECK_FOR_INTERRUPTS();
            if (!values.nulls[i])
                measure_one(values.values[i], values, &size[i], &hash[i]);
        }
    });
    values.bytes = std::move(bytes);
    values.hashes = std::move(hashes);
}

bool calls_trusted_code_only(const Node* expression, Oid owner) {
    auto* node = const_cast<Node*>(expression);
    return !pg::guard([node, &owner] { return distrusted(node, &owner); });
}

} // namespace citadel::advisor
