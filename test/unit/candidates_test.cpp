// Candidate rules beyond plain B-trees.
#include "advisor/candidates.hpp"
#include "advisor/regimes.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace citadel::advisor;

namespace {

constexpr RelationId table = 100;
constexpr OperatorClassId pattern_class = 4217;
constexpr ExpressionId lowered = 5;
constexpr ExpressionId is_open = 7;

Clause on(ColumnNumber column, ClauseKind kind, double selectivity = 0.01) {
    return Clause{column, kind, selectivity};
}

Clause over(ExpressionId expression, ClauseKind kind) {
    Clause clause{0, kind, 0.01};
    clause.expression = expression;
    return clause;
}

RelationUse use_with(std::vector<Clause> clauses) {
    RelationUse use;
    use.relation = table;
    use.clauses = std::move(clauses);
    use.row_width = 100;
    use.column_widths = {4, 4, 4, 4, 60};
    return use;
}

Candidate b_tree(Key key, std::vector<ColumnNumber> included = {}, ExpressionId predicate = 0) {
    return Candidate{table, AccessMethod::btree, std::move(key), std::move(included), predicate};
}

KeyColumn column(ColumnNumber number, OperatorClassId operator_class = 0) {
    return KeyColumn{number, false, false, 0, operator_class};
}

bool has(const std::vector<Candidate>& found, const Candidate& wanted) {
    return std::find(found.begin(), found.end(), wanted) != found.end();
}

StatementUse statement(const RelationUse& use) {
    return StatementUse{1.0, {use}};
}

IndexKinds only_btrees() {
    IndexKinds kinds;
    kinds.include = kinds.partial = kinds.expression = kinds.opclass = false;
    kinds.hash = kinds.brin = kinds.gin = kinds.gist = false;
    return kinds;
}

const std::vector<ExistingIndex> none;
const ExistingIndexes no_indexes = [](RelationId) -> const std::vector<ExistingIndex>& { return none; };

TEST(Candidates, CoverWhereTheIndexIsClearlySmaller) {
    RelationUse use = use_with({on(1, ClauseKind::equality)});
    use.needed = {1, 2, 3};
    EXPECT_TRUE(has(candidates_for(use, {}), b_tree({column(1)}, {2, 3})));
    EXPECT_TRUE(has(candidates_for(use, {}), b_tree({column(1), column(2), column(3)})));
    CandidateRules narrow;
    narrow.max_key_columns = 2;
    EXPECT_FALSE(has(candidates_for(use, narrow), b_tree({column(1), column(2), column(3)})));
    use.needed = {1, 2, 3, 4, 5}; // three quarters of the row
    EXPECT_FALSE(has(candidates_for(use, {}), b_tree({column(1)}, {2, 3, 4, 5})));
    use.needed = {}; // the whole row
    for (const Candidate& candidate : candidates_for(use, {}))
        EXPECT_TRUE(candidate.included.empty());
}

TEST(Candidates, SmallestReadWithoutAnyClause) {
    RelationUse use = use_with({});
    use.needed = {2, 3};
    EXPECT_TRUE(has(candidates_for(use, {}), b_tree({column(2)}, {3})));
}

TEST(Candidates, KeysAreSortableAndNotTooWide) {
    RelationUse use = use_with({});
    use.needed = {2, 3};
    use.unsortable = {2};
    auto found = candidates_for(use, {});
    EXPECT_TRUE(has(found, b_tree({column(3)}, {2})));
    EXPECT_FALSE(has(found, b_tree({column(2)}, {3})));
    EXPECT_FALSE(has(found, b_tree({column(3), column(2)})));
    use = use_with({on(5, ClauseKind::equality), on(1, ClauseKind::equality, 0.1)});
    use.column_widths[4] = 3000;
    use.row_width = 3016;
    use.needed = {1, 5};
    found = candidates_for(use, {});
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found.front(), b_tree({column(1)}));
}

TEST(Candidates, PredicateReplacesItsClause) {
    Clause open = on(2, ClauseKind::equality);
    open.predicate = is_open;
    RelationUse use = use_with({open, on(1, ClauseKind::equality)});
    use.predicates = {{is_open, 0.05, {is_open}, {}}};
    const auto found = candidates_for(use, {});
    EXPECT_TRUE(has(found, b_tree({column(1)}, {}, is_open)));
    EXPECT_FALSE(has(found, b_tree({column(2), column(1)}, {}, is_open)));
    use.predicates[0].selectivity = 0.99; // as good as all rows
    for (const Candidate& candidate : candidates_for(use, {}))
        EXPECT_EQ(candidate.predicate, 0u);
}

TEST(Candidates, PredicateAloneKeepsSomeKey) {
    Clause open = on(2, ClauseKind::equality);
    open.predicate = is_open;
    RelationUse use = use_with({open});
    use.predicates = {{is_open, 0.05, {is_open}, {}}};
    EXPECT_TRUE(has(candidates_for(use, {}), b_tree({column(2)}, {}, is_open)));
    use.predicates[0].selectivity = 0.5;
    EXPECT_FALSE(has(candidates_for(use, {}), b_tree({column(2)}, {}, is_open)));
}

TEST(Candidates, PartialOnlyForStatementsThatKnowThePredicate) {
    RelationUse use = use_with({on(1, ClauseKind::equality)});
    const Candidate partial = b_tree({column(1)}, {}, is_open);
    EXPECT_FALSE(is_relevant(partial, statement(use)));
    use.predicates = {{is_open, 0.05, {is_open}, {}}};
    EXPECT_TRUE(is_relevant(partial, statement(use)));
}

TEST(Candidates, ExpressionsAreTermsLikeColumns) {
    const RelationUse use = use_with({over(lowered, ClauseKind::equality), on(2, ClauseKind::range, 0.2)});
    const KeyColumn expression{0, false, false, lowered, 0};
    const auto found = candidates_for(use, {});
    EXPECT_TRUE(has(found, b_tree({expression, column(2)})));
    EXPECT_TRUE(has(found, b_tree({expression})));
    EXPECT_TRUE(is_relevant(b_tree({expression}), statement(use)));
    const KeyColumn other{0, false, false, lowered + 1, 0};
    EXPECT_FALSE(is_relevant(b_tree({other}), statement(use)));
    CandidateRules plain;
    plain.kinds = only_btrees();
    for (const Candidate& candidate : candidates_for(use, plain))
        EXPECT_NE(candidate.key.front().column, 0);
}

TEST(Candidates, PrefixSearchTakesItsOwnClass) {
    Clause like = on(3, ClauseKind::prefix);
    like.serves = {{AccessMethod::btree, pattern_class}};
    RelationUse use = use_with({like, on(1, ClauseKind::equality)});
    use.orders = {Key{column(3)}};
    const auto found = candidates_for(use, {});
    EXPECT_TRUE(has(found, b_tree({column(1), column(3, pattern_class)})));
    EXPECT_TRUE(has(found, b_tree({column(3, pattern_class)})));
    // It gives no order: only the search makes it relevant.
    use.clauses = {};
    EXPECT_FALSE(is_relevant(b_tree({column(3, pattern_class)}), statement(use)));
    EXPECT_TRUE(is_relevant(b_tree({column(3)}), statement(use)));
}

TEST(Candidates, OtherMethodsServeWhatTheyCan) {
    Clause contains = on(2, ClauseKind::search);
    contains.serves = {{AccessMethod::gin, 0}, {AccessMethod::gin, 4037}};
    Clause overlaps = on(3, ClauseKind::search);
    overlaps.serves = {{AccessMethod::gist, 0}};
    Clause range = on(4, ClauseKind::range);
    range.serves = {{AccessMethod::brin, 0}};
    Clause text = on(5, ClauseKind::equality);
    text.serves = {{AccessMethod::hash, 0}};
    const RelationUse use = use_with({contains, overlaps, range, text});
    const auto found = candidates_for(use, {});
    EXPECT_TRUE(has(found, Candidate{table, AccessMethod::gin, {column(2)}, {}, 0}));
    EXPECT_TRUE(has(found, Candidate{table, AccessMethod::gin, {column(2, 4037)}, {}, 0}));
    EXPECT_TRUE(has(found, Candidate{table, AccessMethod::gist, {column(3)}, {}, 0}));
    EXPECT_TRUE(has(found, Candidate{table, AccessMethod::brin, {column(4)}, {}, 0}));
    EXPECT_TRUE(has(found, Candidate{table, AccessMethod::hash, {column(5)}, {}, 0}));
    for (const Candidate& candidate : found) {
        EXPECT_TRUE(is_relevant(candidate, statement(use)));
        if (candidate.method == AccessMethod::btree) {
            for (const KeyColumn& key : candidate.key)
                EXPECT_GT(key.column, 3);
        }
    }
    EXPECT_FALSE(is_relevant(Candidate{table, AccessMethod::gin, {column(3)}, {}, 0}, statement(use)));
    EXPECT_FALSE(is_relevant(b_tree({column(2)}), statement(use)));
    CandidateRules rules;
    rules.kinds = only_btrees();
    for (const Candidate& candidate : candidates_for(use, rules))
        EXPECT_EQ(candidate.method, AccessMethod::btree);
}

TEST(Candidates, DistanceOrderAsksForGist) {
    RelationUse use = use_with({});
    use.distance_orders = {{2, 0, 0}};
    const Candidate nearest{table, AccessMethod::gist, {column(2)}, {}, 0};
    EXPECT_TRUE(has(candidates_for(use, {}), nearest));
    EXPECT_TRUE(is_relevant(nearest, statement(use)));
}

TEST(Candidates, KindsThatAreOffTakeNoRoom) {
    std::vector<Clause> clauses;
    for (ExpressionId expression = 1; expression <= 40; ++expression)
        clauses.push_back(over(expression, ClauseKind::equality));
    clauses.push_back(on(1, ClauseKind::range, 0.9));
    CandidateRules rules;
    rules.kinds = only_btrees();
    EXPECT_TRUE(has(candidates_for(use_with(clauses), rules), b_tree({column(1)})));
}

TEST(Candidates, MergesServeBoth) {
    const Candidate a = b_tree({column(1), column(2)}, {4});
    const Candidate b = b_tree({column(1), column(3)}, {2});
    const auto found = merges_of(a, b, {});
    EXPECT_TRUE(has(found, b_tree({column(1), column(2), column(3)}, {4})));
    EXPECT_TRUE(has(found, b_tree({column(1), column(3), column(2)}, {4})));
    CandidateRules narrow;
    narrow.max_key_columns = 2;
    EXPECT_TRUE(merges_of(a, b, narrow).empty());
    // One of the two that does the other's work already is no merge.
    EXPECT_FALSE(has(merges_of(b_tree({column(1)}), a, {}), a));
    EXPECT_TRUE(merges_of(a, b_tree({column(1)}, {}, is_open), {}).empty());
    EXPECT_TRUE(merges_of(a, Candidate{table, AccessMethod::gin, {column(2)}, {}, 0}, {}).empty());
}

TEST(Candidates, ExtensionsCoverWhatTheirStatementsRead) {
    RelationUse use = use_with({on(1, ClauseKind::equality)});
    use.needed = {1, 2};
    const auto found = extensions_of(b_tree({column(1)}), {statement(use)}, {}, no_indexes);
    EXPECT_TRUE(has(found, b_tree({column(1)}, {2})));
}

TEST(Candidates, ServedByIncludedColumns) {
    ExistingIndex covering;
    covering.key = {column(1)};
    covering.included = {2};
    EXPECT_TRUE(is_served(b_tree({column(1), column(2)}), {covering}));
    EXPECT_FALSE(is_served(b_tree({column(1), column(3)}), {covering}));
    EXPECT_FALSE(is_served(b_tree({column(2), column(1)}), {covering}));
}

TEST(Candidates, ServedByTheSameColumnsInAnyOrderForGin) {
    ExistingIndex both;
    both.method = AccessMethod::gin;
    both.key = {column(1), column(2)};
    EXPECT_TRUE(is_served(Candidate{table, AccessMethod::gin, {column(2)}, {}, 0}, {both}));
    EXPECT_FALSE(is_served(Candidate{table, AccessMethod::gin, {column(2, 4037)}, {}, 0}, {both}));
    ExistingIndex tree;
    tree.key = {column(1), column(2)};
    EXPECT_TRUE(is_served(Candidate{table, AccessMethod::hash, {column(1)}, {}, 0}, {tree}));
    EXPECT_FALSE(is_served(Candidate{table, AccessMethod::hash, {column(2)}, {}, 0}, {tree}));
}

TEST(Regimes, PredicatesThatHoldInNearlyAllSets) {
    RelationUse generic = use_with({on(1, ClauseKind::equality)});
    RelationUse open = generic;
    open.predicates = {{is_open, 0.05, {is_open}, {}}};
    RelationUse other = generic;
    other.predicates = {{is_open + 1, 0.05, {is_open + 1}, {}}};
    EXPECT_TRUE(merged({{generic}, {{open}}})[0].predicates.empty()); // one set proves nothing
    EXPECT_EQ(merged({{generic}, {{open}, {open}}})[0].predicates, open.predicates);
    EXPECT_TRUE(merged({{generic}, {{open}, {open}, {other}}})[0].predicates.empty());
    // What stands in the text holds always.
    EXPECT_EQ(merged({{open}, {{open}}})[0].predicates, open.predicates);
    EXPECT_EQ(merged({{}, {{open}, {open}}})[0].predicates, open.predicates);
    EXPECT_TRUE(merged({{}, {{open}}})[0].predicates.empty());
}

TEST(Regimes, SearchesThatKnownValuesMakePossible) {
    const RelationUse generic = use_with({on(1, ClauseKind::equality)});
    Clause like = on(3, ClauseKind::prefix);
    like.serves = {{AccessMethod::btree, pattern_class}};
    RelationUse known = use_with({on(1, ClauseKind::equality), like});
    RelationUse elsewhere = known;
    elsewhere.relation = table + 1;
    const auto uses = merged({{generic, generic}, {{known, generic}, {elsewhere}}});
    ASSERT_EQ(uses.size(), 2u);
    EXPECT_EQ(uses[0].clauses.size(), 2u);
    EXPECT_EQ(uses[1].clauses.size(), 1u);
    EXPECT_TRUE(merged({{}, {}}).empty());
}

} // namespace
