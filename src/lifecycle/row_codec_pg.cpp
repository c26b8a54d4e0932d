#include "lifecycle/row_codec_pg.hpp"

#include "pg/guard.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/rel.h"
#include "utils/uuid.h"
}

#include "pg/compat.hpp"

namespace citadel::lifecycle {

EncodingScope::EncodingScope(int encoding) : before_(pg_get_client_encoding()) {
    pg::guard([encoding] {
        if (PrepareClientEncoding(encoding) < 0 || SetClientEncoding(encoding) < 0)
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("there is no conversion between encoding \"%s\" and that of this database",
                                   pg_encoding_to_char(encoding))));
    });
}

EncodingScope::~EncodingScope() {
    // It was in force before, so its conversion is at hand: nothing here can fail.
    (void)SetClientEncoding(before_);
}

AttrNumber column_number(TupleDesc shape, const std::string& name) {
    for (int i = 0; i < shape->natts; ++i) {
        const Form_pg_attribute column = TupleDescAttr(shape, i);
        if (!column->attisdropped && name == NameStr(column->attname))
            return static_cast<AttrNumber>(i + 1);
    }
    pg::raise(ERRCODE_UNDEFINED_COLUMN, "column \"" + name + "\" does not exist");
}

std::vector<std::string> column_names(TupleDesc shape) {
    std::vector<std::string> names;
    for (int i = 0; i < shape->natts; ++i) {
        const Form_pg_attribute column = TupleDescAttr(shape, i);
        if (!column->attisdropped)
            names.emplace_back(NameStr(column->attname));
    }
    return names;
}

// Types whose send function writes nothing but their bytes need no call of it.
RowEncoder::Form RowEncoder::form_of(Oid send_function, int encoding) {
    switch (send_function) {
    case F_BOOLSEND:
    case F_CHARSEND:
        return Form::one_byte;
    case F_INT2SEND:
        return Form::two_bytes;
    case F_INT4SEND:
    case F_OIDSEND:
    case F_FLOAT4SEND:
    case F_DATE_SEND:
        return Form::four_bytes;
    case F_INT8SEND:
    case F_FLOAT8SEND:
    case F_TIMESTAMP_SEND:
    case F_TIMESTAMPTZ_SEND:
    case F_TIME_SEND:
        return Form::eight_bytes;
    case F_UUID_SEND:
        return Form::uuid;
    case F_TEXTSEND:
    case F_VARCHARSEND:
    case F_BPCHARSEND:
    case F_JSON_SEND:
        return encoding == GetDatabaseEncoding() ? Form::variable : Form::send;
    case F_BYTEASEND:
        return Form::variable;
    default:
        return Form::send;
    }
}

RowEncoder::RowEncoder(TupleDesc shape, const std::vector<std::string>& names, int encoding) : encoding_(encoding) {
    for (const std::string& name : names.empty() ? column_names(shape) : names) {
        Column column{};
        column.number = column_number(shape, name);
        const Oid type = TupleDescAttr(shape, column.number - 1)->atttypid;
        Column* filled = &column;
        const Oid send = pg::guard([=] {
            Oid function = InvalidOid;
            const Oid base = getBaseType(type);
            HeapTuple row = SearchSysCache1(TYPEOID, ObjectIdGetDatum(base));
            if (!HeapTupleIsValid(row))
                elog(ERROR, "cache lookup failed for type %u", base);
            function = reinterpret_cast<Form_pg_type>(GETSTRUCT(row))->typsend;
            ReleaseSysCache(row);
            bool variable = false;
            Oid any = function;
            if (!OidIsValid(any))
                getTypeOutputInfo(type, &any, &variable);
            fmgr_info(any, &filled->function);
            return function;
        });
        column.form = OidIsValid(send) ? form_of(send, encoding) : Form::output;
        columns_.push_back(column);
    }
}

namespace {

void put(StringInfo out, const void* data, int bytes) {
    enlargeStringInfo(out, bytes);
    memcpy(out->data + out->len, data, static_cast<std::size_t>(bytes));
    out->len += bytes;
}

// The length in front of a value, and room for the value.
char* open_value(StringInfo out, std::int32_t bytes) {
    enlargeStringInfo(out, bytes + 4);
    const std::uint32_t length = pg_hton32(static_cast<std::uint32_t>(bytes));
    memcpy(out->data + out->len, &length, 4);
    char* at = out->data + out->len + 4;
    out->len += 4 + bytes;
    return at;
}

} // namespace

void RowEncoder::encode_value(const Column& column, Datum value, StringInfo out) const {
    switch (column.form) {
    case Form::one_byte:
        *open_value(out, 1) = static_cast<char>(value);
        break;
    case Form::two_bytes: {
        const std::uint16_t bits = pg_hton16(static_cast<std::uint16_t>(value));
        memcpy(open_value(out, 2), &bits, 2);
        break;
    }
    case Form::four_bytes: {
        const std::uint32_t bits = pg_hton32(static_cast<std::uint32_t>(value));
        memcpy(open_value(out, 4), &bits, 4);
        break;
    }
    case Form::eight_bytes: {
        const std::uint64_t bits = pg_hton64(static_cast<std::uint64_t>(DatumGetInt64(value)));
        memcpy(open_value(out, 8), &bits, 8);
        break;
    }
    case Form::uuid:
        memcpy(open_value(out, UUID_LEN), DatumGetPointer(value), UUID_LEN);
        break;
    case Form::variable: {
        const struct varlena* bytes = PG_DETOAST_DATUM_PACKED(value);
        const auto length = static_cast<std::int32_t>(VARSIZE_ANY_EXHDR(bytes));
        memcpy(open_value(out, length), VARDATA_ANY(bytes), static_cast<std::size_t>(length));
        break;
    }
    case Form::send: {
        const bytea* bytes = SendFunctionCall(const_cast<FmgrInfo*>(&column.function), value);
        const auto length = static_cast<std::int32_t>(VARSIZE(bytes) - VARHDRSZ);
        memcpy(open_value(out, length), VARDATA(bytes), static_cast<std::size_t>(length));
        break;
    }
    case Form::output: {
        const char* text = OutputFunctionCall(const_cast<FmgrInfo*>(&column.function), value);
        const auto length = static_cast<std::int32_t>(strlen(text));
        memcpy(open_value(out, length), text, static_cast<std::size_t>(length));
        break;
    }
    }
}

void RowEncoder::encode(TupleTableSlot* slot, StringInfo out) const {
    slot_getallattrs(slot);
    const std::uint16_t count = pg_hton16(static_cast<std::uint16_t>(columns_.size()));
    put(out, &count, 2);
    for (const Column& column : columns_) {
        if (slot->tts_isnull[column.number - 1]) {
            const std::uint32_t null = 0xffffffff;
            put(out, &null, 4);
        } else {
            encode_value(column, slot->tts_values[column.number - 1], out);
        }
    }
}

RowDecoder::RowDecoder(TupleDesc shape, const std::vector<std::string>& names, int encoding)
    : encoding_number_(encoding), encoding_(encoding) {
    for (const std::string& name : names) {
        Column column{};
        column.index = column_number(shape, name) - 1;
        const Form_pg_attribute attribute = TupleDescAttr(shape, column.index);
        column.modifier = attribute->atttypmod;
        column.not_null = attribute->attnotnull;
        column.name = NameStr(attribute->attname);
        const Oid type = attribute->atttypid;
        Column* filled = &column;
        const bool binary = pg::guard([=] {
            // As the encoder does it: by what the type can send, for a domain its base type. A domain's own receive
            // function checks its constraints.
            HeapTuple row = SearchSysCache1(TYPEOID, ObjectIdGetDatum(getBaseType(type)));
            if (!HeapTupleIsValid(row))
                elog(ERROR, "cache lookup failed for type %u", type);
            const bool sends = OidIsValid(reinterpret_cast<Form_pg_type>(GETSTRUCT(row))->typsend);
            ReleaseSysCache(row);
            Oid function = InvalidOid;
            if (sends)
                getTypeBinaryInputInfo(type, &function, &filled->parameter);
            else
                getTypeInputInfo(type, &function, &filled->parameter);
            fmgr_info(function, &filled->function);
            return sends;
        });
        column.form = binary ? Form::receive : Form::input;
        if (type == INT2OID)
            column.form = Form::two_bytes;
        else if (type == INT4OID)
            column.form = Form::four_bytes;
        else if (type == INT8OID)
            column.form = Form::eight_bytes;
        else if (type == TEXTOID && encoding == GetDatabaseEncoding())
            column.form = Form::text;
        columns_.push_back(column);
    }
}

namespace {

[[noreturn]] void refuse_value(const char* column) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                    errmsg("the archive holds a malformed value in column \"%s\"", column)));
    pg_unreachable();
}

} // namespace

Datum RowDecoder::decode_value(const Column& column, const format::Field& field, StringInfo scratch, bool* null) const {
    *null = field.bytes < 0;
    if (field.bytes < 0 && (column.form < Form::receive || column.function.fn_strict))
        return static_cast<Datum>(0);
    auto* function = const_cast<FmgrInfo*>(&column.function);
    switch (column.form) {
    case Form::two_bytes: {
        std::uint16_t bits = 0;
        if (field.bytes != 2)
            refuse_value(column.name);
        memcpy(&bits, field.data, 2);
        return Int16GetDatum(static_cast<std::int16_t>(pg_ntoh16(bits)));
    }
    case Form::four_bytes: {
        std::uint32_t bits = 0;
        if (field.bytes != 4)
            refuse_value(column.name);
        memcpy(&bits, field.data, 4);
        return Int32GetDatum(static_cast<std::int32_t>(pg_ntoh32(bits)));
    }
    case Form::eight_bytes: {
        std::uint64_t bits = 0;
        if (field.bytes != 8)
            refuse_value(column.name);
        memcpy(&bits, field.data, 8);
        return Int64GetDatum(static_cast<std::int64_t>(pg_ntoh64(bits)));
    }
    case Form::text:
        (void)pg_verify_mbstr(encoding_number_, field.data, field.bytes, false);
        return PointerGetDatum(cstring_to_text_with_len(field.data, field.bytes));
    case Form::receive:
    case Form::input:
        break;
    }
    if (field.bytes < 0)
        // A domain that refuses NULL wants to be asked.
        return column.form == Form::input ? InputFunctionCall(function, nullptr, column.parameter, column.modifier)
                                          : ReceiveFunctionCall(function, nullptr, column.parameter, column.modifier);
    // Receive functions may rely on a zero byte behind the value.
    resetStringInfo(scratch);
    appendBinaryStringInfo(scratch, field.data, field.bytes);
    if (column.form == Form::input) {
        char* text = pg_any_to_server(scratch->data, scratch->len, encoding_number_);
        if (strlen(scratch->data) != static_cast<std::size_t>(scratch->len))
            refuse_value(column.name);
        return InputFunctionCall(function, text, column.parameter, column.modifier);
    }
    const Datum value = ReceiveFunctionCall(function, scratch, column.parameter, column.modifier);
    if (scratch->cursor != scratch->len)
        refuse_value(column.name);
    return value;
}

void RowDecoder::decode(const format::Field* fields, TupleTableSlot* slot, StringInfo scratch) const {
    ExecClearTuple(slot);
    memset(slot->tts_isnull, 1, sizeof(bool) * static_cast<std::size_t>(slot->tts_tupleDescriptor->natts));
    for (const Column& column : columns_) {
        slot->tts_values[column.index] = decode_value(column, *fields++, scratch, &slot->tts_isnull[column.index]);
        if (column.not_null && slot->tts_isnull[column.index])
            ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                            errmsg("the archive holds NULL in column \"%s\", which does not take it", column.name)));
    }
    ExecStoreVirtualTuple(slot);
}

} // namespace citadel::lifecycle
