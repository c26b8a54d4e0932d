#include "pg/tuplestore.hpp"

extern "C" {
#include "access/htup_details.h"
#include "nodes/execnodes.h"
#include "utils/tuplestore.h"
}

namespace citadel::pg {

namespace {

struct Columns {
    std::vector<Datum> values;
    std::vector<char> nulls; // bool per column; std::vector<bool> has no data()
};

Columns convert(const std::vector<Arg>& columns, TupleDesc shape) {
    if (static_cast<int>(columns.size()) != shape->natts)
        raise(ERRCODE_DATATYPE_MISMATCH,
              "row of " + std::to_string(columns.size()) + " columns for a type of " + std::to_string(shape->natts));
    Columns converted;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        Arg column = columns[i];
        if (column.text)
            column.type = TupleDescAttr(shape, static_cast<int>(i))->atttypid;
        converted.values.push_back(to_datum(column));
        converted.nulls.push_back(column.is_null ? 1 : 0);
    }
    return converted;
}

static_assert(sizeof(bool) == sizeof(char));

} // namespace

ResultSet::ResultSet(FunctionCallInfo call) : info_(reinterpret_cast<ReturnSetInfo*>(call->resultinfo)) {
    guard([call] { InitMaterializedSRF(call, 0); });
}

void ResultSet::row(const std::vector<Arg>& columns) {
    Columns converted = convert(columns, info_->setDesc);
    ReturnSetInfo* info = info_;
    Datum* values = converted.values.data();
    bool* nulls = reinterpret_cast<bool*>(converted.nulls.data());
    guard([=] { tuplestore_putvalues(info->setResult, info->setDesc, values, nulls); });
}

Datum composite(FunctionCallInfo call, const std::vector<Arg>& columns) {
    TupleDesc shape = nullptr;
    guard([&] {
        if (get_call_result_type(call, nullptr, &shape) != TYPEFUNC_COMPOSITE)
            elog(ERROR, "function must return a row type");
        shape = BlessTupleDesc(shape);
    });
    Columns converted = convert(columns, shape);
    Datum* values = converted.values.data();
    bool* nulls = reinterpret_cast<bool*>(converted.nulls.data());
    return guard([=] { return HeapTupleGetDatum(heap_form_tuple(shape, values, nulls)); });
}

} // namespace citadel::pg
