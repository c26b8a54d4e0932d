#include "pg/server.hpp"

#include "history/arrays_pg.hpp"

extern "C" {
#include "utils/array.h"
#include "utils/lsyscache.h"
}

namespace citadel::history {

namespace {

static_assert(sizeof(bool) == sizeof(char)); // std::vector<bool> has no data()

pg::Arg made(Oid element, const std::vector<Datum>& values, const std::vector<char>& nulls) {
    Datum* const elements = const_cast<Datum*>(values.data());
    bool* const missing = reinterpret_cast<bool*>(const_cast<char*>(nulls.data()));
    const int count = static_cast<int>(values.size());
    pg::Arg array;
    pg::Arg* const result = &array;
    pg::guard([=] {
        int16 length = 0;
        bool by_value = false;
        char alignment = 0;
        get_typlenbyvalalign(element, &length, &by_value, &alignment);
        int dimension = count;
        int lower_bound = 1;
        ArrayType* built = count == 0 ? construct_empty_array(element)
                                      : construct_md_array(elements, missing, 1, &dimension, &lower_bound, element,
                                                           length, by_value, alignment);
        result->type = get_array_type(element);
        result->value = PointerGetDatum(built);
    });
    return array;
}

} // namespace

void ValueArray::add(Datum value) {
    values_.push_back(value);
    nulls_.push_back(0);
}

void ValueArray::add_null() {
    values_.push_back(0);
    nulls_.push_back(1);
}

pg::Arg ValueArray::arg() const {
    return made(element_, values_, nulls_);
}

void TextArray::add(std::string value) {
    values_.push_back(std::move(value));
    nulls_.push_back(0);
}

void TextArray::add_null() {
    values_.emplace_back();
    nulls_.push_back(1);
}

pg::Arg TextArray::arg() const {
    std::vector<Datum> texts;
    texts.reserve(values_.size());
    for (const std::string& value : values_)
        texts.push_back(PointerGetDatum(pg::to_text(value)));
    return made(TEXTOID, texts, nulls_);
}

pg::Arg BytesArray::arg() const {
    std::vector<Datum> bytes;
    bytes.reserve(values_.size());
    for (const std::string& value : values_)
        bytes.push_back(PointerGetDatum(pg::to_text(value))); // bytea and text lie in memory alike
    return made(BYTEAOID, bytes, std::vector<char>(values_.size(), 0));
}

} // namespace citadel::history
