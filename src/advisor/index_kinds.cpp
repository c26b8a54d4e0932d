#include "advisor/index_kinds.hpp"

#include <algorithm>

namespace citadel::advisor {

std::optional<IndexKinds> index_kinds(const std::vector<std::string>& names, std::string& unknown) {
    IndexKinds kinds{false, false, false, false, false, false, false, false, false};
    const struct {
        const char* name;
        bool* allowed;
    } table[] = {
        {"btree", &kinds.btree},     {"include", &kinds.include},
        {"partial", &kinds.partial}, {"expression", &kinds.expression},
        {"opclass", &kinds.opclass}, {"hash", &kinds.hash},
        {"brin", &kinds.brin},       {"gin", &kinds.gin},
        {"gist", &kinds.gist},
    };
    for (const std::string& name : names) {
        const auto* const found =
            std::find_if(std::begin(table), std::end(table), [&](const auto& row) { return name == row.name; });
        if (found == std::end(table)) {
            unknown = name;
            return std::nullopt;
        }
        *found->allowed = true;
    }
    return kinds;
}

bool allows(const IndexKinds& kinds, const Candidate& candidate) {
    const auto any = [&](auto has) { return std::any_of(candidate.key.begin(), candidate.key.end(), has); };
    const bool over_expression = any([](const KeyColumn& column) { return column.column == 0; });
    const bool other_class = any([](const KeyColumn& column) { return column.operator_class != 0; });
    if (candidate.predicate != 0 && !kinds.partial)
        return false;
    if (!candidate.included.empty() && !kinds.include)
        return false;
    if (over_expression && !kinds.expression)
        return false;
    switch (candidate.method) {
    case AccessMethod::btree:
        return other_class ? kinds.opclass : over_expression || kinds.btree;
    case AccessMethod::hash:
        return kinds.hash;
    case AccessMethod::brin:
        return kinds.brin;
    case AccessMethod::gin:
        return kinds.gin;
    case AccessMethod::gist:
        return kinds.gist;
    }
    return false;
}

} // namespace citadel::advisor
