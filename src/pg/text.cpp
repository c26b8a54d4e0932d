#include "pg/text.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
}

namespace citadel::pg {

namespace {

Arg by_value(Oid type, Datum value) {
    Arg made;
    made.type = type;
    made.value = value;
    return made;
}

} // namespace

Arg arg(std::int64_t value) {
    return by_value(INT8OID, Int64GetDatum(value));
}
Arg arg(std::int32_t value) {
    return by_value(INT4OID, Int32GetDatum(value));
}
Arg arg(double value) {
    return by_value(FLOAT8OID, Float8GetDatum(value));
}
Arg arg(bool value) {
    return by_value(BOOLOID, BoolGetDatum(value));
}
Arg arg_oid(Oid value) {
    return by_value(OIDOID, ObjectIdGetDatum(value));
}
Arg arg_timestamptz(TimestampTz value) {
    return by_value(TIMESTAMPTZOID, TimestampTzGetDatum(value));
}
Arg arg(std::string value) {
    return arg_as(TEXTOID, std::move(value));
}
Arg arg(const char* value) {
    return arg_as(TEXTOID, value);
}
Arg arg_as(Oid type, std::string input) {
    Arg made;
    made.type = type;
    made.text = std::move(input);
    return made;
}
Arg null(Oid type) {
    Arg made;
    made.type = type;
    made.is_null = true;
    return made;
}

Datum to_datum(const Arg& argument) {
    if (argument.is_null)
        return 0;
    if (!argument.text)
        return argument.value;
    const char* input = argument.text->c_str();
    const int length = static_cast<int>(argument.text->size());
    const Oid type = argument.type;
    return guard([input, length, type]() -> Datum {
        if (type == TEXTOID)
            return PointerGetDatum(cstring_to_text_with_len(input, length));
        Oid function = InvalidOid;
        Oid parameter = InvalidOid;
        getTypeInputInfo(type, &function, &parameter);
        return OidInputFunctionCall(function, const_cast<char*>(input), parameter, -1);
    });
}

std::string to_string(const text* value) {
    return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

std::string to_string(const char* value) {
    return value != nullptr ? std::string(value) : std::string();
}

std::string to_string(Datum value, Oid type) {
    return guard([value, type] {
        Oid function = InvalidOid;
        bool is_varlena = false;
        getTypeOutputInfo(type, &function, &is_varlena);
        return OidOutputFunctionCall(function, value);
    });
}

text* to_text(const std::string& value) {
    const char* bytes = value.data();
    const int length = static_cast<int>(value.size());
    return guard([bytes, length] { return cstring_to_text_with_len(bytes, length); });
}

std::vector<std::string> text_array(ArrayType* array, const char* what) {
    Datum* elements = nullptr;
    bool* nulls = nullptr;
    int count = 0;
    guard([&] { deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count); });
    std::vector<std::string> strings;
    strings.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(what) + " must not contain NULL");
        const Datum element = elements[i];
        strings.push_back(to_string(guard([element] { return DatumGetTextPP(element); })));
    }
    return strings;
}

std::vector<double> float8_array(ArrayType* array, const char* what) {
    Datum* elements = nullptr;
    bool* nulls = nullptr;
    int count = 0;
    guard([&] {
        deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls,
                          &count);
    });
    std::vector<double> numbers;
    numbers.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(what) + " must not contain NULL");
        numbers.push_back(DatumGetFloat8(elements[i]));
    }
    return numbers;
}

std::string text_array_literal(const std::vector<std::string>& elements) {
    std::string literal = "{";
    for (const std::string& element : elements) {
        if (literal.size() > 1)
            literal += ',';
        literal += '"';
        for (const char byte : element) {
            if (byte == '"' || byte == '\\')
                literal += '\\';
            literal += byte;
        }
        literal += '"';
    }
    return literal + "}";
}

std::string quote_identifier(const std::string& name) {
    const char* raw = name.c_str();
    return guard([raw] { return ::quote_identifier(raw); });
}

std::string quote_literal(const std::string& value) {
    const char* raw = value.c_str();
    return guard([raw] { return quote_literal_cstr(raw); });
}

std::string qualified_name(Oid relation) {
    const char* name = guard([relation]() -> const char* {
        const char* relation_name = get_rel_name(relation);
        const char* schema = get_namespace_name(get_rel_namespace(relation));
        if (relation_name == nullptr || schema == nullptr)
            return nullptr;
        return quote_qualified_identifier(schema, relation_name);
    });
    return to_string(name);
}

} // namespace citadel::pg
