#include "lifecycle/key_pg.hpp"

#include "lifecycle/calendar.hpp"
#include "pg/spi.hpp"

#include <climits>

extern "C" {
#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_partitioned_table.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "pgtime.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace citadel::lifecycle {

namespace {

class ServerZone : public Zone {
  public:
    explicit ServerZone(pg_tz* zone) : zone_(zone) {}

    std::int64_t to_local(std::int64_t utc) const override {
        pg_tz* zone = zone_;
        return pg::guard([utc, zone]() -> std::int64_t {
            pg_tm time;
            fsec_t fraction = 0;
            int offset = 0;
            Timestamp local = 0;
            if (timestamp2tm(utc, &offset, &time, &fraction, nullptr, zone) != 0 ||
                tm2timestamp(&time, fraction, nullptr, &local) != 0)
                ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
            return local;
        });
    }

    std::int64_t to_utc(std::int64_t local) const override {
        pg_tz* zone = zone_;
        return pg::guard([local, zone]() -> std::int64_t {
            pg_tm time;
            fsec_t fraction = 0;
            if (timestamp2tm(local, nullptr, &time, &fraction, nullptr, nullptr) != 0)
                ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
            int offset = DetermineTimeZoneOffset(&time, zone);
            Timestamp utc = 0;
            if (tm2timestamp(&time, fraction, &offset, &utc) != 0)
                ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
            return utc;
        });
    }

  private:
    pg_tz* zone_;
};

pg_tz* find_zone(const std::string& name) {
    const char* text = name.c_str();
    return pg::guard([text] { return pg_tzset(text); });
}

Place place_of_datum(Datum value, Oid type) {
    switch (type) {
    case TIMESTAMPTZOID:
    case TIMESTAMPOID:
        return DatumGetTimestamp(value);
    case DATEOID: {
        const DateADT date = DatumGetDateADT(value);
        if (DATE_IS_NOBEGIN(date))
            return open_low;
        if (DATE_IS_NOEND(date))
            return open_high;
        return static_cast<Place>(date) * micros_per_day;
    }
    case INT2OID:
        return DatumGetInt16(value);
    case INT4OID:
        return DatumGetInt32(value);
    default:
        return DatumGetInt64(value);
    }
}

struct Bound {
    bool is_range = false;
    bool is_default = false;
    int columns = 0;
    Place lower = open_low;
    Place upper = open_high;
};

Place place_of_end(List* datums, Place open) {
    const auto* end = linitial_node(PartitionRangeDatum, datums);
    if (end->kind == PARTITION_RANGE_DATUM_MINVALUE)
        return open_low;
    if (end->kind == PARTITION_RANGE_DATUM_MAXVALUE)
        return open_high;
    const auto* value = castNode(Const, end->value);
    return value->constisnull ? open : place_of_datum(value->constvalue, value->consttype);
}

Bound read_bound(Oid partition) {
    return pg::guard([partition] {
        Bound bound;
        HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(partition));
        if (!HeapTupleIsValid(row))
            return bound;
        bool is_null = false;
        const Datum stored = SysCacheGetAttr(RELOID, row, Anum_pg_class_relpartbound, &is_null);
        if (!is_null) {
            auto* spec = castNode(PartitionBoundSpec, stringToNode(TextDatumGetCString(stored)));
            bound.is_default = spec->is_default;
            if (!spec->is_default && spec->strategy == PARTITION_STRATEGY_RANGE) {
                bound.is_range = true;
                bound.columns = list_length(spec->lowerdatums);
                bound.lower = place_of_end(spec->lowerdatums, open_low);
                bound.upper = place_of_end(spec->upperdatums, open_high);
            }
        }
        ReleaseSysCache(row);
        return bound;
    });
}

std::string encoded(Place place, ColumnKind kind, pg_tz* zone) {
    char buffer[MAXDATELEN + 1] = {};
    char* text = buffer;
    pg::guard([=] {
        pg_tm time;
        fsec_t fraction = 0;
        int offset = 0;
        if (kind == ColumnKind::date) {
            j2date(static_cast<int>(place / micros_per_day) + POSTGRES_EPOCH_JDATE, &time.tm_year, &time.tm_mon,
                   &time.tm_mday);
            EncodeDateOnly(&time, USE_ISO_DATES, text);
        } else if (kind == ColumnKind::timestamp) {
            if (timestamp2tm(place, nullptr, &time, &fraction, nullptr, nullptr) != 0)
                ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
            EncodeDateTime(&time, fraction, false, 0, nullptr, USE_ISO_DATES, text);
        } else {
            if (timestamp2tm(place, &offset, &time, &fraction, nullptr, zone) != 0)
                ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
            EncodeDateTime(&time, fraction, true, offset, nullptr, USE_ISO_DATES, text);
        }
    });
    return buffer;
}

[[noreturn]] void bad_span(const std::string& text, const char* what, const char* hint) {
    pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, std::string(what) + " \"" + text + "\" is not usable", {}, hint);
}

Span parse_time_span(const std::string& text, ColumnKind kind, const char* what) {
    static const std::pair<const char*, Span> words[] = {
        {"hourly", {0, 0, micros_per_hour}},
        {"daily", {0, 1, 0}},
        {"weekly", {0, 7, 0}},
        {"monthly", {1, 0, 0}},
        {"quarterly", {3, 0, 0}},
        {"yearly", {12, 0, 0}},
    };
    for (const auto& [word, span] : words)
        if (text == word)
            return span;
    const Datum value = pg::to_datum(pg::arg_as(INTERVALOID, text));
    const Interval* interval = DatumGetIntervalP(value);
    const Span span{interval->month, interval->day, interval->time};
    if (span.months < 0 || span.days < 0 || span.micros < 0 || span == Span{})
        bad_span(text, what, "Give a positive length of time, for example 1 month.");
    if (kind == ColumnKind::date && span.micros != 0)
        bad_span(text, what, "A date has no parts of a day.");
    return span;
}

} // namespace

std::unique_ptr<Zone> make_zone(const std::string& name) {
    pg_tz* zone = find_zone(name);
    if (zone == nullptr)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"" + name + "\" is not known", {},
                  "Look at pg_timezone_names.");
    return std::make_unique<ServerZone>(zone);
}

std::optional<ColumnKind> kind_of_type(Oid type) {
    switch (type) {
    case TIMESTAMPTZOID:
        return ColumnKind::timestamptz;
    case TIMESTAMPOID:
        return ColumnKind::timestamp;
    case DATEOID:
        return ColumnKind::date;
    case INT2OID:
    case INT4OID:
    case INT8OID:
        return ColumnKind::integer;
    default:
        return std::nullopt;
    }
}

Place highest_of_type(Oid type) {
    return type == INT2OID ? SHRT_MAX : type == INT4OID ? INT_MAX : open_high;
}

const char* kind_name(ColumnKind kind) {
    switch (kind) {
    case ColumnKind::timestamptz:
        return "timestamptz";
    case ColumnKind::timestamp:
        return "timestamp";
    case ColumnKind::date:
        return "date";
    case ColumnKind::integer:
        break;
    }
    return "integer";
}

ColumnKind kind_from_name(const std::string& name) {
    for (const ColumnKind kind : {ColumnKind::timestamptz, ColumnKind::timestamp, ColumnKind::date})
        if (name == kind_name(kind))
            return kind;
    return ColumnKind::integer;
}

std::string place_text(Place place, const Policy& policy) {
    if (place == open_low)
        return "-infinity";
    if (place == open_high)
        return "infinity";
    if (policy.kind == ColumnKind::integer)
        return std::to_string(place);
    pg_tz* zone = find_zone(policy.time_zone);
    return encoded(place, policy.kind, zone != nullptr ? zone : find_zone("UTC"));
}

std::string bound_literal(Place place, const Policy& policy) {
    if (place == open_low)
        return "MINVALUE";
    if (place == open_high)
        return "MAXVALUE";
    return "'" + place_text(place, policy) + "'";
}

Span parse_span(const std::string& text, ColumnKind kind, const char* what) {
    if (kind != ColumnKind::integer)
        return parse_time_span(text, kind, what);
    char* end = nullptr;
    errno = 0;
    const long long count = std::strtoll(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || errno != 0 || count <= 0)
        bad_span(text, what, "For an integer column give a positive count, for example 1000000.");
    return {0, 0, count};
}

Oid column_type(Oid relation, const std::string& column) {
    const char* name = column.c_str();
    return pg::guard([relation, name] {
        const AttrNumber number = get_attnum(relation, name);
        return number > 0 ? get_atttype(relation, number) : InvalidOid;
    });
}

PartitionKey read_partition_key(Oid relation) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT p.partstrat, coalesce(a.attname, '') FROM pg_partitioned_table p "
                  "CROSS JOIN LATERAL unnest(p.partattrs::int2[]) WITH ORDINALITY AS k (number, place) "
                  "LEFT JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.number AND k.number > 0 "
                  "WHERE p.partrelid = $1 ORDER BY k.place",
                  {pg::arg_oid(relation)});
    PartitionKey key;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        key.strategy = rows.text(i, 0)[0];
        key.columns.push_back(rows.text(i, 1));
    }
    return key;
}

std::vector<Partition> read_partitions(Oid parent, ColumnKind) {
    pg::Rows rows;
    {
        pg::Spi spi;
        rows = spi.query("SELECT c.oid, quote_ident(n.nspname), quote_ident(c.relname), i.inhdetachpending "
                         "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
                         "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = $1",
                         {pg::arg_oid(parent)});
    }
    std::vector<Partition> partitions;
    partitions.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Partition partition;
        partition.oid = rows.oid(i, 0);
        partition.schema = rows.text(i, 1);
        partition.name = rows.text(i, 2);
        partition.detach_pending = rows.boolean(i, 3);
        const Bound bound = read_bound(partition.oid);
        if (!bound.is_default && (!bound.is_range || bound.columns != 1))
            pg::raise(ERRCODE_FEATURE_NOT_SUPPORTED,
                      "partition " + partition.schema + "." + partition.name + " is not a range over one column");
        partition.is_default = bound.is_default;
        partition.lower = bound.lower;
        partition.upper = bound.upper;
        partitions.push_back(std::move(partition));
    }
    return partitions;
}

} // namespace citadel::lifecycle
