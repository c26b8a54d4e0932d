#include "capture/explain_pg.hpp"

#include "capture/redact_plan.hpp"
#include "capture/shared_pg.hpp"
#include "pg/compat.hpp"
#include "pg/fault.hpp"
#include "pg/memory.hpp"
#include "pg/subtransaction.hpp"

extern "C" {
#include "access/parallel.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
}

namespace citadel::capture {

namespace {

constexpr std::size_t longest_bind = 1024;

// Runs `body` (which calls the server through pg::guard) where an error costs the user nothing: in a subtransaction,
// and with cancellation put off, since a cancel that arrived now would be swallowed with our own errors.
template <class Body>
bool harmlessly(Body&& body) {
    const auto interrupts_held = InterruptHoldoffCount;
    const auto cancels_held = QueryCancelHoldoffCount;
    bool done = false;
    InterruptHoldoffCount = interrupts_held + 1;
    try {
        pg::subtransaction([&] {
            const pg::MemoryScope memory("citadel_opt capture");
            pg::fault_point("capture");
            body();
        });
        done = true;
    } catch (...) {
        shared_buffer()->count(count_hook_errors);
    }
    InterruptHoldoffCount = interrupts_held; // an error has set it to 0
    QueryCancelHoldoffCount = cancels_held;
    return done;
}

// Values are read again by another process: written so that its settings do not matter.
class PortableOutput {
  public:
    PortableOutput() : date_style_(DateStyle), interval_style_(IntervalStyle), float_digits_(extra_float_digits) {
        DateStyle = USE_ISO_DATES;
        IntervalStyle = INTSTYLE_POSTGRES;
        extra_float_digits = 1;
    }
    PortableOutput(const PortableOutput&) = delete;
    PortableOutput& operator=(const PortableOutput&) = delete;
    ~PortableOutput() {
        DateStyle = date_style_;
        IntervalStyle = interval_style_;
        extra_float_digits = float_digits_;
    }

  private:
    int date_style_, interval_style_, float_digits_;
};

// Output functions of the server itself, and not those that call the ones of an element type.
bool output_is_built_in(Oid type, Oid output) {
    if (type < FirstGenbkiObjectId)
        return true;
    return output < FirstGenbkiObjectId && output != F_ARRAY_OUT && output != F_RECORD_OUT && output != F_RANGE_OUT &&
           output != F_MULTIRANGE_OUT;
}

// The value in text form, nullptr when it is not to be had. May raise.
const char* bind_text(const ParamExternData& bind) {
    Oid output = InvalidOid;
    bool variable_length = false;
    if (get_typtype(bind.ptype) == TYPTYPE_PSEUDO)
        return nullptr;
    getTypeOutputInfo(bind.ptype, &output, &variable_length);
    if (!output_is_built_in(bind.ptype, output))
        return nullptr;
    if (variable_length &&
        (VARATT_IS_EXTERNAL(DatumGetPointer(bind.value)) || VARSIZE_ANY(DatumGetPointer(bind.value)) > longest_bind))
        return nullptr;
    const char* text = OidOutputFunctionCall(output, bind.value);
    return strlen(text) <= longest_bind ? text : nullptr;
}

} // namespace

bool catalogue_usable() {
    return IsTransactionState() && !IsAbortedTransactionBlockState() && !IsInParallelMode() && !IsParallelWorker() &&
           !proc_exit_inprogress && CritSectionCount == 0 && InterruptHoldoffCount == 0;
}

std::size_t explain_into(QueryDesc* query, bool with_rows, char* out, std::size_t out_size) {
    std::size_t length = 0;
    harmlessly([&] {
        const StringInfo text = pg::guard([query, with_rows] {
            ExplainState* es = NewExplainState();
            es->format = EXPLAIN_FORMAT_JSON;
            es->verbose = true; // for the schema of each relation
            es->costs = true;
            es->analyze = with_rows;
            es->buffers = with_rows;
            es->timing = false;
            es->summary = false;
            ExplainBeginOutput(es);
            ExplainPrintPlan(es, query);
            ExplainEndOutput(es);
            while (es->str->len > 0 && es->str->data[es->str->len - 1] == '\n')
                es->str->data[--es->str->len] = '\0';
            // Without EXPLAIN's own grouping the members stand in an array: make it an object, as auto_explain does.
            if (es->str->len > 1) {
                es->str->data[0] = '{';
                es->str->data[es->str->len - 1] = '}';
            }
            return es->str;
        });
        length = redact_plan_into({text->data, static_cast<std::size_t>(text->len)}, out, out_size);
    });
    return length;
}

bool append_binds(ParamListInfo binds, ParameterWriter& writer) {
    if (binds == nullptr || binds->numParams == 0)
        return true;
    if (binds->paramFetch != nullptr) // variables of a procedural language, fetched by code of its own
        return false;
    bool complete = true;
    const bool done = harmlessly([&] {
        const PortableOutput portable;
        for (int i = 0; i < binds->numParams && complete; ++i) {
            const ParamExternData& bind = binds->params[i];
            if (bind.isnull || !OidIsValid(bind.ptype)) {
                writer.null_bind(bind.ptype);
                continue;
            }
            const char* text = pg::guard([&bind] { return bind_text(bind); });
            complete = text != nullptr;
            if (complete)
                writer.bind(bind.ptype, text);
        }
    });
    return done && complete && writer.complete();
}

} // namespace citadel::capture
