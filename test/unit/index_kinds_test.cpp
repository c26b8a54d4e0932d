#include "advisor/index_kinds.hpp"

#include <gtest/gtest.h>

using namespace citadel::advisor;

namespace {

IndexKinds only(std::vector<std::string> names) {
    std::string unknown;
    return index_kinds(names, unknown).value();
}

Candidate plain() {
    return Candidate{100, AccessMethod::btree, {KeyColumn{1}}, {}, 0};
}

TEST(IndexKindsTest, PlainBtreesAlone) {
    const IndexKinds kinds = only({"btree"});
    EXPECT_TRUE(allows(kinds, plain()));
    Candidate covering = plain();
    covering.included = {2};
    EXPECT_FALSE(allows(kinds, covering));
    Candidate partial = plain();
    partial.predicate = 7;
    EXPECT_FALSE(allows(kinds, partial));
    Candidate expression = plain();
    expression.key[0] = KeyColumn{0, false, false, 5};
    EXPECT_FALSE(allows(kinds, expression));
    Candidate pattern = plain();
    pattern.key[0].operator_class = 4217;
    EXPECT_FALSE(allows(kinds, pattern));
    for (const AccessMethod method : {AccessMethod::hash, AccessMethod::brin, AccessMethod::gin, AccessMethod::gist}) {
        Candidate other = plain();
        other.method = method;
        EXPECT_FALSE(allows(kinds, other));
    }
}

TEST(IndexKindsTest, EveryPartHasToBeAllowed) {
    Candidate index = plain();
    index.included = {2};
    index.predicate = 7;
    EXPECT_TRUE(allows(IndexKinds{}, index));
    EXPECT_FALSE(allows(only({"btree", "include"}), index));
    EXPECT_FALSE(allows(only({"include", "partial"}), index));
    EXPECT_TRUE(allows(only({"btree", "include", "partial"}), index));
}

TEST(IndexKindsTest, OtherMethodsWithoutBtrees) {
    Candidate index = plain();
    index.method = AccessMethod::gin;
    index.key[0].operator_class = 4036;
    EXPECT_TRUE(allows(only({"gin"}), index));
    index.key[0] = KeyColumn{0, false, false, 5};
    EXPECT_FALSE(allows(only({"gin"}), index));
    EXPECT_TRUE(allows(only({"gin", "expression"}), index));
    EXPECT_FALSE(allows(only({}), index));
}

TEST(IndexKindsTest, UnknownNames) {
    std::string unknown;
    EXPECT_FALSE(index_kinds({"btree", "bitmap"}, unknown).has_value());
    EXPECT_EQ(unknown, "bitmap");
}

} // namespace
