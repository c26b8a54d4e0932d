#include "advisor/index_model_pg.hpp"

#include "advisor/gin_size.hpp"
#include "advisor/index_keys_pg.hpp"
#include "advisor/index_size_methods.hpp"
#include "advisor/index_size_pg.hpp"
#include "advisor/statement_pg.hpp"

#include "pg/guard.hpp"
#include "pg/subtransaction.hpp"
#include "pg/text.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

extern "C" {
#include "access/brin.h"
#include "access/brin_internal.h"
#include "access/gist.h"
#include "access/htup_details.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/planner.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

using Model = std::function<IndexSize(double)>;

// The key and included columns over the sampled rows; nothing when one of them cannot be had.
struct Measured {
    TableSample* sample = nullptr;
    std::vector<SampledValues*> columns;
    const std::vector<bool>* matching = nullptr; // nullptr: all rows
    double share = 1.0;                          // of the table's rows that are in the index
};

// The share of the table's rows that the planner expects to satisfy the predicate: SELECT FROM ONLY table WHERE ...
std::optional<double> planned_share(const IndexOptInfo& form, const ModelledTable& table) {
    if (table.rows < 1.0)
        return std::nullopt;
    double share = 0.0;
    const std::optional<pg::Error> failure = pg::try_subtransaction([&] {
        const Statement all = Statement::analyse("SELECT FROM ONLY " + pg::qualified_name(table.table));
        const List* queries = all.queries();
        const List* predicate = form.indpred;
        const double rows = pg::guard([=] {
            Query* query = static_cast<Query*>(copyObjectImpl(linitial(queries)));
            query->jointree->quals =
                reinterpret_cast<Node*>(make_ands_explicit(static_cast<List*>(copyObjectImpl(predicate))));
            return standard_planner(query, "", 0, nullptr)->planTree->plan_rows;
        });
        share = std::clamp(rows / table.rows, 0.0, 1.0);
    });
    pg::rethrow_cancel(failure);
    return failure ? std::nullopt : std::optional<double>(share);
}

std::optional<Measured> measure(const IndexOptInfo& form, const ModelledTable& table) {
    Measured found;
    found.sample = table.sample();
    if (found.sample == nullptr)
        return std::nullopt;
    int expression = 0;
    for (int i = 0; i < form.ncolumns; ++i) {
        const auto column = static_cast<AttrNumber>(form.indexkeys[i]);
        SampledValues* values =
            column != InvalidAttrNumber
                ? found.sample->column(column)
                : found.sample->expression(static_cast<const Node*>(list_nth(form.indexprs, expression++)));
        if (values == nullptr)
            return std::nullopt;
        found.columns.push_back(values);
    }
    if (form.indpred != NIL) {
        found.matching = found.sample->matches(form.indpred);
        if (found.matching == nullptr)
            return std::nullopt;
        const auto rows = static_cast<double>(std::count(found.matching->begin(), found.matching->end(), true));
        const auto all = static_cast<double>(found.sample->size());
        constexpr double rare = 100.0; // sampled rows that are too few to tell a share from
        if (found.sample->whole() || rows >= rare)
            found.share = rows / all;
        else
            found.share = planned_share(form, table).value_or((rows + 0.5) / (all + 1.0));
    }
    return found;
}

bool takes(const Measured& measured, std::size_t row) {
    return measured.matching == nullptr || (*measured.matching)[row];
}

int alignment_bytes(char alignment) {
    return alignment == TYPALIGN_CHAR ? 1 : alignment == TYPALIGN_SHORT ? 2 : alignment == TYPALIGN_INT ? 4 : 8;
}

// Does the operator class of a B-tree store the column as a C string? That of "name" does.
bool kept_as_cstring(Oid operator_class) {
    return pg::guard([operator_class] {
        HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(operator_class));
        if (!HeapTupleIsValid(tuple))
            elog(ERROR, "cache lookup failed for operator class %u", operator_class);
        const bool found = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(tuple))->opckeytype == CSTRINGOID;
        ReleaseSysCache(tuple);
        return found;
    });
}

// Bytes of an index tuple, aligned: index_form_tuple() row by row. Returns those of the longest.
std::int64_t measure_tuples(const Measured& measured, SizedIndex& sized) {
    struct Column {
        const bool* nulls;
        const std::int32_t* bytes;
        std::int64_t alignment; // 0: of a value of variable length, by its header
        const Datum* names;     // nullptr: it takes `bytes`; else a C string of those
    };
    std::vector<Column> columns;
    for (SampledValues* values : measured.columns) {
        measured.sample->measure(*values);
        const int alignment = values->length > 0 ? alignment_bytes(values->alignment) : values->length == -1 ? 0 : 1;
        // A name varies only where the index keeps it as a C string.
        const bool names = values->length == NAMEDATALEN && sized.columns[columns.size()].variable_width;
        columns.push_back({values->nulls, values->bytes.data(), alignment, names ? values->values : nullptr});
    }
    double sum = 0.0;
    double rows = 0.0;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    for (std::size_t row = 0; row < measured.sample->size(); ++row) {
        if (!takes(measured, row))
            continue;
        bool null = false;
        for (const Column& column : columns)
            null = null || column.nulls[row];
        std::int64_t bytes = null ? 16 : 8;
        for (const Column& column : columns) {
            if (column.nulls[row])
                continue;
            const std::int64_t own = column.names != nullptr
                                         ? static_cast<std::int64_t>(strlen(DatumGetCString(column.names[row]))) + 1
                                         : column.bytes[row];
            const std::int64_t alignment = column.alignment > 0 ? column.alignment : own > 127 ? 4 : 1;
            bytes = ((bytes + alignment - 1) & -alignment) + own; // a power of two
        }
        bytes = (bytes + 7) & -8;
        sum += static_cast<double>(bytes);
        rows += 1.0;
        least = std::min(least, bytes);
        most = std::max(most, bytes);
    }
    sized.tuple_bytes = rows > 0.0 ? sum / rows : 0.0; // 0: from the statistics
    sized.tuples_vary = least < most;
    return most;
}

// How often each key was seen among the rows of the index.
std::shared_ptr<CountedKeys> keys_of(const Measured& measured, int key_columns) {
    // The order of the columns does not matter: the same keys in another order are counted once.
    std::vector<SampledValues*> columns(measured.columns.begin(), measured.columns.begin() + key_columns);
    std::sort(columns.begin(), columns.end());
    const auto [counted, is_new] = measured.sample->counted().try_emplace({columns, measured.matching});
    if (!is_new)
        return counted->second;
    std::vector<SeenKey> keys;
    for (SampledValues* values : columns)
        measured.sample->measure(*values);
    for (std::size_t row = 0; row < measured.sample->size(); ++row) {
        if (!takes(measured, row))
            continue;
        std::uint64_t hash = 0;
        for (const SampledValues* values : columns) {
            hash = (hash ^ values->hashes[row]) * 0x9e3779b97f4a7c15ULL + (values->nulls[row] ? 1 : 0);
            hash ^= hash >> 29;
        }
        keys.push_back({hash, 0.0F, 0.0F});
    }
    const auto rows = static_cast<double>(keys.size());
    return counted->second = std::make_shared<CountedKeys>(count_keys(keys, rows, measured.sample->whole()));
}

// Of an index whose tuples are a header and a key of so many bytes at most.
std::int64_t too_long(double key, std::int64_t most) {
    const std::int64_t bytes = (static_cast<std::int64_t>(key) + 8 + 7) & -8;
    return bytes > most ? bytes : 0;
}

// ---- B-tree

Model btree_model(const HypotheticalIndex& index, const IndexOptInfo& form, const ModelledTable& table) {
    const int fill_factor = index.fill_factor > 0 ? index.fill_factor : 90;
    SizedIndex sized = sized_index(table.table, table.rows, form);
    sized.fill_factor = fill_factor;
    for (std::size_t i = 0; i < index.key.size(); ++i)
        if (kept_as_cstring(index.key[i].operator_class))
            sized.columns[i].variable_width = true;
    // Values that differ in length make tuples whose mean size, aligned, does not follow from the mean length.
    bool look =
        form.indexprs != NIL || form.indpred != NIL || (sized.deduplicates && sized.distinct_keys <= 0.0) ||
        std::any_of(sized.columns.begin(), sized.columns.end(), [](const SizedColumn& c) { return c.variable_width; });
    if (!look && sized.deduplicates) {
        // Statistics know how many distinct keys there are, not how unevenly the rows are spread over them; and columns
        // that depend on each other have fewer. Does it matter?
        SizedIndex other = sized;
        if (form.nkeycolumns > 1)
            other.distinct_keys = std::clamp(sized.distinct_least, 1.0, std::max(table.rows, 1.0));
        else
            other.distinct_keys = std::max(sized.distinct_keys / 2.0, 1.0);
        const double most_pages = static_cast<double>(btree_size(sized).pages);
        look = std::abs(most_pages - static_cast<double>(btree_size(other).pages)) > 0.03 * most_pages;
    }
    const std::optional<Measured> measured = look ? measure(form, table) : std::nullopt;
    if (!measured) {
        const double share = form.indpred != NIL ? planned_share(form, table).value_or(0.5) : 1.0;
        const Oid oid = table.table;
        return [oid, fill_factor, share, &form](double rows) {
            SizedIndex current = sized_index(oid, rows, form);
            current.rows = rows * share;
            current.fill_factor = fill_factor;
            return btree_size(current);
        };
    }
    const std::int64_t longest = measure_tuples(*measured, sized);
    // How often a key stands there matters to deduplication alone.
    const std::shared_ptr<CountedKeys> keys = sized.deduplicates ? keys_of(*measured, form.nkeycolumns) : nullptr;
    const double share = measured->share;
    return [sized, keys, share, longest](double rows) {
        SizedIndex current = sized;
        current.rows = rows * share;
        if (keys != nullptr)
            current.classes = keys->classes(current.rows);
        IndexSize size = btree_size(current);
        size.too_long = longest > longest_btree_tuple ? longest : 0;
        return size;
    };
}

// ---- The others

Model hash_model(const HypotheticalIndex& index, const IndexOptInfo& form, const ModelledTable& table) {
    const int fill_factor = index.fill_factor > 0 ? index.fill_factor : 75;
    const std::optional<Measured> measured = measure(form, table);
    if (!measured)
        return [fill_factor](double rows) { return hash_size(rows, {}, fill_factor); };
    // NULLs are not in a hash index.
    SampledValues& values = *measured->columns.front();
    measured->sample->measure(values);
    std::vector<SeenKey> seen;
    for (std::size_t row = 0; row < measured->sample->size(); ++row)
        if (takes(*measured, row) && !values.nulls[row])
            seen.push_back({values.hashes[row], 0.0F, 0.0F});
    const auto found = static_cast<double>(seen.size());
    const double share = found / std::max(static_cast<double>(measured->sample->size()), 1.0);
    const SampledKeys keys = count_keys(seen, found, measured->sample->whole());
    return [=](double rows) { return hash_size(rows * share, keys.classes(rows * share), fill_factor); };
}

// Bytes of one column's summary.
double summary_bytes(const IndexOptInfo& form, int column, double width, int pages_per_range) {
    const Oid type = form.opcintype[column];
    const Oid family = form.opfamily[column];
    switch (pg::guard([=] { return get_opfamily_proc(family, type, type, BRIN_PROCNUM_OPCINFO); })) {
    case F_BRIN_BLOOM_OPCINFO: {
        // A tenth of the rows that fit are taken as distinct, at a false positive rate of 1 %: brin_bloom.c.
        const double distinct = 0.1 * 291.0 * pages_per_range;
        return 16.0 + std::ceil(distinct * 9.585 / 8.0);
    }
    case F_BRIN_MINMAX_MULTI_OPCINFO:
        return 24.0 + 32.0 * width; // 32 values: brin_minmax_multi.c
    case F_BRIN_INCLUSION_OPCINFO:
        return width + 2.0;
    default:
        return 2.0 * width;
    }
}

Model brin_model(const HypotheticalIndex& index, const IndexOptInfo& form, const ModelledTable& table) {
    const int pages_per_range = index.pages_per_range > 0 ? index.pages_per_range : BRIN_DEFAULT_PAGES_PER_RANGE;
    const SizedIndex sized = sized_index(table.table, table.rows, form);
    double bytes = 8.0;
    for (int i = 0; i < form.nkeycolumns; ++i)
        bytes += summary_bytes(form, i, sized.columns[static_cast<std::size_t>(i)].width, pages_per_range);
    const double density = table.pages > 0 ? std::max(table.rows, 1.0) / table.pages : 100.0;
    return [=](double rows) {
        IndexSize size = brin_size(std::ceil(rows / density), pages_per_range, bytes);
        size.tuples = rows; // as the planner is told: brin summarises all rows
        return size;
    };
}

Model gin_model(const HypotheticalIndex& index, const IndexOptInfo& form, const ModelledTable& table) {
    SizedGin gin;
    gin.several_columns = form.nkeycolumns > 1;
    gin.work_memory = maintenance_work_mem * 1024.0;
    gin.keys_by_reference = false;
    double share = 1.0;
    double longest = 0.0;
    std::vector<SampledKeys> columns;
    const std::optional<Measured> measured = measure(form, table);
    const std::optional<pg::Error> failure = pg::try_subtransaction([&] {
        if (!measured)
            return;
        for (int i = 0; i < form.nkeycolumns; ++i) {
            const auto column = static_cast<std::size_t>(i);
            ExtractedEntries entries =
                gin_entries(*measured->columns[column], measured->matching, form, i, index.key[column].operator_class);
            gin.keys_by_reference = gin.keys_by_reference || entries.keys_by_reference;
            longest = std::max(longest, entries.longest);
            const double all = measured->share * static_cast<double>(measured->sample->size());
            columns.push_back(
                count_keys(entries.keys, entries.rows, measured->sample->whole() && entries.rows >= all - 0.5));
        }
        share = measured->share;
    });
    pg::rethrow_cancel(failure);
    const bool known = measured && !failure && std::all_of(columns.begin(), columns.end(), [](const SampledKeys& keys) {
                           return keys.rows > 0;
                       });
    if (!known && form.indpred != NIL)
        share = planned_share(form, table).value_or(0.5);
    const double density = table.pages > 0 ? std::max(table.rows / table.pages, 1.0) : 60.0;
    return [=](double rows) {
        SizedGin sized = gin;
        sized.table_pages = std::max(rows / density, 1.0);
        if (!known) {
            sized.occurrences = 10.0 * rows * share;
            sized.classes.push_back({10.0, rows * share, 1.0, 8.0}); // a guess: ten entries a row, each in ten rows
        } else {
            for (const SampledKeys& keys : columns) {
                const double scale = rows * share / keys.rows;
                const double occurrences = keys.occurrences * (keys.whole ? scale : std::max(scale, 1.0));
                const std::vector<KeyClass> classes = keys.classes(occurrences);
                sized.classes.insert(sized.classes.end(), classes.begin(), classes.end());
                sized.occurrences += occurrences;
            }
        }
        IndexSize size = gin_size(sized);
        size.too_long = too_long(longest, longest_gin_tuple);
        return size;
    };
}

// How full pages are after a build. Nobody fills them on purpose: a split leaves what the operator class's picksplit
// leaves, and a build from sorted rows splits four full pages at a time. Measured, on tables in order and in disorder.
double gist_fill(const IndexOptInfo& form, int fill_factor) {
    bool sorted = true;
    for (int i = 0; i < form.nkeycolumns; ++i) {
        const Oid type = form.opcintype[i];
        const Oid family = form.opfamily[i];
        sorted = sorted &&
                 pg::guard([=] { return OidIsValid(get_opfamily_proc(family, type, type, GIST_SORTSUPPORT_PROC)); });
    }
    if (sorted)
        return 0.738 * fill_factor / 100.0;
    const Oid type = form.opcintype[0];
    const Oid family = form.opfamily[0];
    switch (pg::guard([=] { return get_opfamily_proc(family, type, type, GIST_PICKSPLIT_PROC); })) {
    case F_RANGE_GIST_PICKSPLIT:
        return 0.53; // 0.45 when ranges overlap much, 0.67 when they do not
    case F_GIST_BOX_PICKSPLIT:
        return 0.60;
    case F_INET_GIST_PICKSPLIT:
        return 0.66;
    case F_GTSVECTOR_PICKSPLIT:
        return 0.85;
    default:
        return pg::guard([=] { return get_typlen(type); }) == -1 ? 0.70 : 0.55;
    }
}

Model gist_model(const HypotheticalIndex& index, const IndexOptInfo& form, const ModelledTable& table) {
    const double fill = gist_fill(form, index.fill_factor > 0 ? index.fill_factor : 90);
    double share = 1.0;
    double bytes = 8.0;
    double inner = 8.0;
    double longest = 0.0; // the sum over the columns of one may be that of several rows: only one alone is certain
    const std::optional<Measured> measured = measure(form, table);
    const SizedIndex sized = sized_index(table.table, table.rows, form);
    for (int i = 0; i < form.ncolumns; ++i) {
        const auto column = static_cast<std::size_t>(i);
        double own = sized.columns[column].width;
        if (i < form.nkeycolumns) {
            const std::optional<pg::Error> failure = pg::try_subtransaction([&] {
                if (measured)
                    own = gist_key_bytes(*measured->columns[column], measured->matching, form, i,
                                         index.key[column].operator_class, &longest);
            });
            pg::rethrow_cancel(failure);
            // Above the leaves, words have become a signature of 124 bytes.
            inner += form.opcintype[i] == TSVECTOROID ? 132.0 : own;
        }
        bytes += own;
    }
    if (measured)
        share = measured->share;
    else if (form.indpred != NIL)
        share = planned_share(form, table).value_or(0.5);
    return [=](double rows) {
        IndexSize size = gist_size(rows * share, bytes, inner, fill);
        size.too_long = too_long(longest, longest_index_tuple);
        return size;
    };
}

} // namespace

std::function<IndexSize(double)> size_model(const HypotheticalIndex& index, const IndexOptInfo& form,
                                            const ModelledTable& table) {
    switch (index.access_method) {
    case HASH_AM_OID:
        return hash_model(index, form, table);
    case BRIN_AM_OID:
        return brin_model(index, form, table);
    case GIN_AM_OID:
        return gin_model(index, form, table);
    case GIST_AM_OID:
        return gist_model(index, form, table);
    default:
        return btree_model(index, form, table);
    }
}

} // namespace citadel::advisor
