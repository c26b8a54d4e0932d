#include "advisor/index_keys_pg.hpp"

#include "pg/guard.hpp"
#include "pg/memory.hpp"

#include <algorithm>

extern "C" {
#include "access/gin.h"
#include "access/gist.h"
#include "access/htup_details.h"
#include "access/toast_compression.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_opclass.h"
#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

constexpr std::size_t most_entries = 400000; // to look at
constexpr std::size_t first_rows = 200;      // that tell how many entries a row has
constexpr std::size_t most_keys = 1000;      // of a GiST index to look at

// ---- Under guards: plain data, no C++ objects.

struct Storage {
    std::int16_t length;
    bool by_value;
    char kind; // as pg_type.typstorage
};

struct Support {
    FmgrInfo function;
    Oid collation;
    bool present;
};

Support support(const IndexOptInfo& form, int column, int number) {
    Support found{};
    const Oid type = form.opcintype[column];
    const Oid function = get_opfamily_proc(form.opfamily[column], type, type, static_cast<std::int16_t>(number));
    found.collation = OidIsValid(form.indexcollations[column]) ? form.indexcollations[column] : DEFAULT_COLLATION_OID;
    found.present = OidIsValid(function);
    if (found.present)
        fmgr_info(function, &found.function);
    return found;
}

// Stored bytes and image hash of an entry of any type whose storage class the value itself tells.
std::uint64_t hash_entry(Datum value, const Storage& storage, std::uint64_t salt, double* bytes) {
    if (storage.by_value) {
        *bytes += storage.length;
        return hash_bytes_extended(reinterpret_cast<const unsigned char*>(&value), sizeof value, salt);
    }
    const unsigned char* data = reinterpret_cast<const unsigned char*>(DatumGetPointer(value));
    Size length = 0;
    if (storage.length > 0) {
        length = static_cast<Size>(storage.length);
        *bytes += static_cast<double>(length);
    } else if (storage.length == -2) {
        length = strlen(DatumGetCString(value)) + 1;
        *bytes += static_cast<double>(length);
    } else {
        auto* plain = reinterpret_cast<varlena*>(DatumGetPointer(value));
        length = VARSIZE_ANY_EXHDR(plain);
        data = reinterpret_cast<const unsigned char*>(VARDATA_ANY(plain));
        *bytes += bytes_in_index(plain, storage.kind, InvalidCompressionMethod);
    }
    return hash_bytes_extended(data, static_cast<int>(length), salt);
}

struct RowEntries {
    SeenKey* keys;
    std::size_t count;
};

RowEntries extract_row(Support& extract, Datum value, bool is_null, const Storage& storage, std::uint64_t salt) {
    RowEntries row{static_cast<SeenKey*>(palloc0(sizeof(SeenKey))), 1};
    row.keys[0] = {salt + (is_null ? 1 : 2), 0.0F, 9.0F}; // a placeholder, as for a value without entries
    if (is_null)
        return row;
    std::int32_t count = 0;
    bool* null_flags = nullptr;
    const auto* entries = reinterpret_cast<const Datum*>(DatumGetPointer(FunctionCall3Coll(
        &extract.function, extract.collation, value, PointerGetDatum(&count), PointerGetDatum(&null_flags))));
    if (entries == nullptr || count <= 0)
        return row;
    row.keys = static_cast<SeenKey*>(palloc0(sizeof(SeenKey) * static_cast<Size>(count)));
    row.count = static_cast<std::size_t>(count);
    for (std::int32_t i = 0; i < count; ++i) {
        double bytes = 9.0;
        row.keys[i].hash = salt + 3;
        if (null_flags == nullptr || !null_flags[i]) {
            bytes = 0.0;
            row.keys[i].hash = hash_entry(entries[i], storage, salt, &bytes);
        }
        row.keys[i].bytes = static_cast<float>(bytes);
    }
    std::sort(row.keys, row.keys + row.count, [](const SeenKey& a, const SeenKey& b) { return a.hash < b.hash; });
    row.count =
        static_cast<std::size_t>(std::unique(row.keys, row.keys + row.count,
                                             [](const SeenKey& a, const SeenKey& b) { return a.hash == b.hash; }) -
                                 row.keys);
    return row;
}

// How the keys of a column are stored: as the operator class says, or as the column itself.
Storage storage_of(Oid operator_class, Oid type) {
    HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(operator_class));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for operator class %u", operator_class);
    Oid stored = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(tuple))->opckeytype;
    ReleaseSysCache(tuple);
    if (stored == ANYELEMENTOID)
        stored = get_base_element_type(type);
    Storage storage{};
    if (!OidIsValid(stored))
        stored = type;
    get_typlenbyval(stored, &storage.length, &storage.by_value);
    storage.kind = get_typstorage(stored);
    return storage;
}

} // namespace

ExtractedEntries gin_entries(const SampledValues& values, const std::vector<bool>* matching, const IndexOptInfo& form,
                             int column, Oid operator_class) {
    ExtractedEntries found;
    const pg::MemoryScope scratch("gin entries");
    Support extract{};
    Storage storage{};
    pg::guard([&] {
        extract = support(form, column, GIN_EXTRACTVALUE_PROC);
        if (!extract.present)
            elog(ERROR, "operator class has no extractValue function");
        storage = storage_of(operator_class, values.type);
    });
    const std::uint64_t salt = 0x51ed2701ULL * static_cast<std::uint64_t>(column + 1);
    found.keys_by_reference = !storage.by_value;
    // Some rows spread over the sample say how many of them are enough.
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < values.count; ++i)
        if (matching == nullptr || (*matching)[i])
            rows.push_back(i);
    const auto visit = [&](std::size_t i) {
        const pg::MemoryScope row_memory("gin row");
        const RowEntries row = pg::guard([&] {
            CHECK_FOR_INTERRUPTS();
            return extract_row(extract, values.values[i], values.nulls[i], storage, salt);
        });
        for (std::size_t k = 0; k < row.count; ++k) {
            found.longest = std::max(found.longest, static_cast<double>(row.keys[k].bytes));
            row.keys[k].place = static_cast<float>(i) / static_cast<float>(values.count);
        }
        found.keys.insert(found.keys.end(), row.keys, row.keys + row.count);
        found.rows += 1.0;
    };
    const std::size_t coarse = std::max<std::size_t>(rows.size() / first_rows, 1);
    for (std::size_t i = 0; i < rows.size(); i += coarse)
        visit(rows[i]);
    const double a_row = static_cast<double>(found.keys.size()) / std::max(found.rows, 1.0);
    const double share = std::min(most_entries / std::max(a_row * static_cast<double>(rows.size()), 1.0), 1.0);
    found.keys.clear();
    found.rows = 0.0;
    double due = 0.0;
    for (const std::size_t row : rows) {
        due += share;
        if (due < 1.0 - 1e-9)
            continue;
        due -= 1.0;
        visit(row);
    }
    return found;
}

double gist_key_bytes(const SampledValues& values, const std::vector<bool>* matching, const IndexOptInfo& form,
                      int column, Oid operator_class, double* longest) {
    const pg::MemoryScope scratch("gist keys");
    Support compress{};
    Storage storage{};
    pg::guard([&] {
        compress = support(form, column, GIST_COMPRESS_PROC);
        storage = storage_of(operator_class, values.type);
    });
    const Storage plain{values.length, values.by_value, values.storage};
    const std::size_t step = std::max<std::size_t>(values.count / most_keys, 1);
    double bytes = 0.0;
    double rows = 0.0;
    for (std::size_t i = 0; i < values.count; i += step) {
        if ((matching != nullptr && !(*matching)[i]) || values.nulls[i])
            continue;
        const pg::MemoryScope row_memory("gist key");
        const double own = pg::guard([&]() -> double {
            CHECK_FOR_INTERRUPTS();
            double one = 0.0;
            Datum value = values.values[i];
            if (!compress.present) {
                if (plain.length == -1)
                    value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
                hash_entry(value, plain, 0, &one);
                return one;
            }
            GISTENTRY entry;
            gistentryinit(entry, value, nullptr, nullptr, 0, true);
            const auto* made = reinterpret_cast<const GISTENTRY*>(
                DatumGetPointer(FunctionCall1Coll(&compress.function, compress.collation, PointerGetDatum(&entry))));
            Datum key = made->key;
            const Storage& stored = made == &entry ? plain : storage;
            if (stored.length == -1)
                key = PointerGetDatum(PG_DETOAST_DATUM_PACKED(key));
            hash_entry(key, stored, 0, &one);
            return one;
        });
        bytes += own;
        *longest = std::max(*longest, own);
        rows += 1.0;
    }
    return rows > 0.0 ? bytes / rows : 0.0;
}

} // namespace citadel::advisor
