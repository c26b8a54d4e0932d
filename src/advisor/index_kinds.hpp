// Kinds of indexes that a caller may choose among.
#pragma once

#include "advisor/model.hpp"

#include <optional>
#include <string>
#include <vector>

namespace citadel::advisor {

// Every kind is allowed unless it is switched off.
struct IndexKinds {
    bool btree = true;      // B-trees over plain columns, default operator classes, all rows
    bool include = true;    // INCLUDE columns
    bool partial = true;    // with a predicate, whatever the access method
    bool expression = true; // with an expression in the key, whatever the access method
    bool opclass = true;    // B-trees with another operator class, such as text_pattern_ops
    bool hash = true;
    bool brin = true;
    bool gin = true;
    bool gist = true;
};

// The kinds with these names: those of the members above. None of them: nothing is allowed. Nothing when a name is
// unknown, which `unknown` then holds.
std::optional<IndexKinds> index_kinds(const std::vector<std::string>& names, std::string& unknown);

// Is the candidate of allowed kinds only? A B-tree with INCLUDE columns needs `btree` and `include`; one with another
// operator class `opclass` alone, and one over an expression `expression` alone.
bool allows(const IndexKinds& kinds, const Candidate& candidate);

} // namespace citadel::advisor
