#include "capture/normalize.hpp"

#include "capture/lexer.hpp"
#include "capture/random.hpp"
#include "capture/redact_plan.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace citadel::capture;

namespace {

std::string text_of(std::string_view statement) {
    return normalize(statement).text;
}

// A copy that ends exactly at an unreadable page: reading one byte past the end is a crash.
class GuardedText {
  public:
    explicit GuardedText(std::string_view text) {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        readable_ = (text.size() / page + 1) * page;
        base_ = static_cast<char*>(
            mmap(nullptr, readable_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        size_ = readable_ + page;
        mprotect(base_ + readable_, page, PROT_NONE);
        view_ = {base_ + readable_ - text.size(), text.size()};
        if (!text.empty())
            std::memcpy(base_ + readable_ - text.size(), text.data(), text.size());
    }
    GuardedText(const GuardedText&) = delete;
    GuardedText& operator=(const GuardedText&) = delete;
    ~GuardedText() { munmap(base_, size_); }
    std::string_view view() const { return view_; }

  private:
    char* base_ = nullptr;
    std::size_t readable_ = 0;
    std::size_t size_ = 0;
    std::string_view view_;
};

std::vector<std::string> significant_tokens(std::string_view text) {
    std::vector<std::string> tokens;
    Lexer lexer(text);
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next())
        if (token.kind != TokenKind::whitespace && token.kind != TokenKind::comment)
            tokens.emplace_back(lexer.text(token));
    return tokens;
}

const char* const statements[] = {
    "SELECT * FROM t WHERE a = 42 AND b = 'x''y' AND c LIKE E'a\\'b%'",
    "select 1.5e10, .5, 1., 0x1F, 1_000, $$do'llar$$, $tag$a $$ b$tag$, U&'d\\0061t' UESCAPE '!', B'01', X'ff', N'n'",
    "SELECT arr[1:2], a::numeric(10,2), $2, 'it' FROM \"Od\"\"d\" WHERE x = $1 -- secret 7\n AND y=-5 and z=-$1",
    "SELECT a /* 'secret' /* nested */ 9 */ FROM t /*+ SeqScan(t) */ WHERE b<>-1.5",
    "SELECT'x'FROM t WHERE 5BETWEEN 1AND 3",
    "SELECT 'a'\n  'b' -- c\n 'd' FROM t",
    "INSERT INTO t VALUES (1, 'a', NULL, true), (-2, 'b', DEFAULT, false)",
    "SELECT a, count(*) FROM t GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10 OFFSET 20",
    "SELECT date '2020-01-01', interval '1 day', timestamp(3) with time zone 'now', x - 1, (x)-1, x -1 FROM t",
    "UPDATE t SET a = a - 1, b = -1 WHERE c IN (1,2,3) AND d @> '{1}'::int[] AND e ?| array['x'] RETURNING -1",
    "SELECT 1;",
    "",
};

} // namespace

TEST(Normalize, ReplacesLiterals) {
    EXPECT_EQ(text_of("SELECT * FROM t WHERE a = 42 AND b = 'x'"), "SELECT * FROM t WHERE a = $1 AND b = $2");
    EXPECT_EQ(text_of("SELECT $tag$a $$ b$tag$, $$x$$"), "SELECT $1, $2");
    EXPECT_EQ(text_of("SELECT E'a\\'b', U&'x' UESCAPE '!', b'1', X'f', n'q'"), "SELECT $1, $2, $3, $4, $5");
    EXPECT_EQ(text_of("SELECT 1.5e-10, .5, 1., 1e5, 0xAF"), "SELECT $1, $2, $3, $4, $5");
    EXPECT_EQ(text_of("SELECT NULL, true, col1, \"Col 1\""), "SELECT NULL, true, col1, \"Col 1\"");
}

TEST(Normalize, NumbersPlaceholdersAfterTheBinds) {
    EXPECT_EQ(text_of("SELECT 1 WHERE a = $2"), "SELECT $3 WHERE a = $2");
    const auto result = normalize("SELECT 1 WHERE a = $1", {.bind_parameters = 4});
    EXPECT_EQ(result.text, "SELECT $5 WHERE a = $1");
    EXPECT_EQ(result.first_placeholder, 5);
    EXPECT_EQ(result.literals, std::vector<std::string>{"1"});
}

TEST(Normalize, RangesAreTwoIntegers) {
    EXPECT_EQ(text_of("FOR i IN 1..20"), "FOR i IN $1..$2");
    EXPECT_EQ(text_of("SELECT a[1:2]"), "SELECT a[$1:$2]");
}

TEST(Normalize, SignsBelongToNumbersOnlyWhereNoOperandPrecedes) {
    EXPECT_EQ(text_of("SELECT -5, a-5, a - 5, (a)-5, a=-5, a @- -5"), "SELECT $1, a-$2, a - $3, (a)-$4, a=$5, a @- $6");
    EXPECT_EQ(normalize("a = -5").literals.front(), "-5");
}

TEST(Normalize, KeepsListPositionsAndTypeModifiers) {
    EXPECT_EQ(text_of("SELECT a FROM t GROUP BY 1, 2 ORDER BY 1 DESC, b + 3 LIMIT 4"),
              "SELECT a FROM t GROUP BY 1, 2 ORDER BY 1 DESC, b + $1 LIMIT $2");
    EXPECT_EQ(text_of("SELECT (SELECT 1 ORDER BY 1), 7"), "SELECT (SELECT $1 ORDER BY 1), $2");
    EXPECT_EQ(text_of("SELECT f(x, 3) OVER (ORDER BY y ROWS 5 PRECEDING)"),
              "SELECT f(x, $1) OVER (ORDER BY y ROWS $2 PRECEDING)");
    EXPECT_EQ(text_of("SELECT a::numeric(10,2), CAST(b AS varchar(30)), c::pg_catalog.bit(3), '1'::int AND (5 > y)"),
              "SELECT a::numeric(10,2), CAST(b AS varchar(30)), c::pg_catalog.bit(3), $1::int AND ($2 > y)");
}

TEST(Normalize, DropsCommentsButKeepsHints) {
    EXPECT_EQ(text_of("SELECT a/* 'secret' /* 1 */ */FROM t -- b = 5"), "SELECT a FROM t ");
    EXPECT_EQ(text_of("/*+ SeqScan(t) */ SELECT 1"), "/*+ SeqScan(t) */ SELECT $1");
    EXPECT_EQ(text_of("SELECT a -/**/- b"), "SELECT a - - b"); // not a new comment
}

TEST(Normalize, SeparatesPlaceholdersFromWords) {
    EXPECT_EQ(text_of("SELECT'x'FROM t"), "SELECT $1 FROM t");
    EXPECT_EQ(text_of("SELECT 1e5and"), "SELECT $1 and");
}

TEST(Normalize, BackslashesFollowTheSetting) {
    EXPECT_EQ(text_of("SELECT 'a\\', b, 'c'"), "SELECT $1, b, $2");
    EXPECT_EQ(normalize("SELECT 'a\\', b, 'c'", {.standard_conforming_strings = false}).literals.front(),
              "'a\\', b, '");
}

TEST(Normalize, TruncatesBetweenTokens) {
    const std::string statement = "SELECT \xc3\xa4\xc3\xb6 FROM t WHERE a = 'secret'";
    for (std::size_t room = 0; room < statement.size() + 4; ++room) {
        std::string out(room, '#');
        Span spans[4];
        const auto result = normalize_into(statement, {}, out.data(), room, spans, 4);
        ASSERT_LE(result.length, room);
        EXPECT_EQ(out.substr(0, result.length).find("secret"), std::string::npos);
        EXPECT_NE(static_cast<unsigned char>(result.length > 0 ? out[result.length - 1] : ' '), 0xc3);
        EXPECT_EQ(result.truncated, result.length < std::strlen("SELECT aaaa FROM t WHERE a = $1"));
    }
}

TEST(Normalize, SaysWhenLiteralsDoNotFit) {
    char out[100];
    Span spans[2];
    const auto result = normalize_into("SELECT 1, 2, 3", {}, out, sizeof out, spans, 2);
    EXPECT_FALSE(result.literals_complete);
    EXPECT_EQ(std::string_view(out, result.length), "SELECT $1, $2, $3");
}

TEST(Normalize, RestoringGivesTheStatementAgain) {
    int identical = 0;
    for (const char* statement : statements) {
        const auto result = normalize(statement);
        const std::string restored = restore_literals(result.text, result.literals);
        EXPECT_EQ(significant_tokens(restored), significant_tokens(statement)) << statement;
        // Without comments and without literals glued to words, it is the same text byte for byte.
        if (restored.size() == std::strlen(statement)) {
            EXPECT_EQ(restored, statement);
            ++identical;
        }
    }
    EXPECT_GE(identical, 9);
}

// Random concatenations of pieces that upset lexers.
TEST(Normalize, RandomTextsRestoreAndNeverLeakOrOverrun) {
    static const char* const pieces[] = {
        "'",    "''",       "\\",   "$$",       "$a$",     "$1", "$",   "\"",       "/*",       "*/",
        "--",   "\n",       " ",    "1",        "1.5",     "1e", "e5",  "0x",       "..",       ".",
        "::",   ":",        "(",    ")",        "[",       "]",  ",",   ";",        "-",        "+",
        "@",    "E'",       "U&'",  "U&\"",     "uescape", "N'", "abc", "ORDER BY", "group by", "numeric",
        "\xc3", "\xc3\xa9", "\x01", "interval", "select",  "=-"};
    Random random(20261121);
    for (int round = 0; round < 20000; ++round) {
        std::string statement;
        for (auto n = random.below(24); n > 0; --n)
            statement += pieces[random.below(std::size(pieces))];
        const GuardedText guarded(statement);
        const auto result = normalize(guarded.view());
        const std::string restored = restore_literals(result.text, result.literals);
        ASSERT_EQ(significant_tokens(restored), significant_tokens(statement)) << statement << "\n" << result.text;
        (void)plannable_part(guarded.view());
        (void)parsable_text(guarded.view());
        char out[64];
        ASSERT_LE(redact_expression_into(guarded.view(), out, sizeof out), sizeof out);
        (void)redact_plan(guarded.view());
        (void)redact_plan("{\"Filter\": \"" + statement + "\"}");
    }
}

TEST(Normalize, GarbageBytesAreReadToTheEnd) {
    Random random(7);
    for (int round = 0; round < 5000; ++round) {
        std::string garbage(random.below(200), '\0');
        for (char& c : garbage)
            c = static_cast<char>(random.next());
        const GuardedText guarded(garbage);
        Lexer lexer(guarded.view());
        std::size_t position = 0;
        for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
            ASSERT_EQ(token.offset, position);
            ASSERT_GT(token.length, 0u);
            position += token.length;
        }
        ASSERT_EQ(position, garbage.size());
        (void)normalize(guarded.view());
    }
}

TEST(PlannablePart, FindsTheQueryInside) {
    EXPECT_EQ(plannable_part(" SELECT 1 ; "), "SELECT 1");
    EXPECT_EQ(plannable_part("COPY (SELECT f(1) FROM t) TO STDOUT"), "SELECT f(1) FROM t");
    EXPECT_EQ(plannable_part("copy t from stdin"), "");
    EXPECT_EQ(plannable_part("DECLARE c CURSOR WITH HOLD FOR SELECT 2"), "SELECT 2");
    EXPECT_EQ(plannable_part("CREATE TABLE x (a) AS SELECT 1 AS b WITH DATA"), "SELECT 1 AS b");
    EXPECT_EQ(plannable_part("CREATE TABLE x AS WITH data AS (SELECT 1) SELECT * FROM data"),
              "WITH data AS (SELECT 1) SELECT * FROM data");
    EXPECT_EQ(plannable_part("CREATE TABLE x (a int)"), "");
    EXPECT_EQ(plannable_part("CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql"), "");
    EXPECT_EQ(plannable_part("PREPARE p (int) AS SELECT $1;"), "SELECT $1");
    EXPECT_EQ(plannable_part("EXPLAIN (ANALYZE, COSTS off) SELECT 1"), "SELECT 1");
    EXPECT_EQ(plannable_part("EXPLAIN ANALYZE VERBOSE SELECT 1"), "SELECT 1");
    EXPECT_EQ(plannable_part("/* c */ (SELECT 1) UNION SELECT 2 -- d"), "(SELECT 1) UNION SELECT 2");
    EXPECT_EQ(plannable_part("ALTER ROLE x PASSWORD 'secret'"), "");
    EXPECT_EQ(plannable_part("EXECUTE p('secret')"), "");
    EXPECT_EQ(plannable_part(""), "");
}

TEST(ParsableText, RewritesTypedLiterals) {
    EXPECT_EQ(parsable_text("SELECT now() - interval $1, date $2"), "SELECT now() - $1::interval, $2::date");
    EXPECT_EQ(parsable_text("SELECT timestamp(3) with time zone $1, x.date, date"),
              "SELECT $1::timestamp(3) with time zone, x.date, date");
    EXPECT_EQ(parsable_text("SELECT interval $1 day LIMIT $2"), "SELECT $1::interval day LIMIT $2");
}

TEST(RedactPlan, RemovesConstantsFromExpressionsOnly) {
    const char* const plan =
        "{\"Plan\": {\"Node Type\": \"Seq Scan\", \"Alias\": \"t1\", \"Total Cost\": 12.5,\n"
        "  \"Filter\": \"((a = 42) AND (b = 'se\\\"cret'::text) AND (\\\"Od'd\\\" > '-5'::integer))\",\n"
        "  \"Rows Removed by Filter\": 7}}";
    EXPECT_EQ(redact_plan(plan), "{\"Plan\": {\"Node Type\": \"Seq Scan\", \"Alias\": \"t1\", \"Total Cost\": 12.5, "
                                 "\"Filter\": \"((a = ?) AND (b = ?::text) AND (\\\"Od'd\\\" > ?::integer))\", "
                                 "\"Rows Removed by Filter\": 7}}");
}

TEST(RedactPlan, ListsUnknownKeysAndOutput) {
    const char* const plan = "[{\"Output\": [\"'secret'\", \"x\"], \"Sort Key\": [\"(x + 1)\", \"y DESC\"], "
                             "\"Some Future Key\": \"f(9)\", \"Remote SQL\": \"SELECT a FROM t WHERE (b = 7)\"}]";
    EXPECT_EQ(redact_plan(plan), "[{\"Sort Key\": [\"(x + ?)\", \"y DESC\"], "
                                 "\"Some Future Key\": \"f(?)\", \"Remote SQL\": \"SELECT a FROM t WHERE (b = ?)\"}]");
}

// Found by fuzzing: short numbers were taken for positions in a list, or for a type's modifier.
TEST(RedactPlan, ParenthesesThatDoNotMatchHideNoConstant) {
    EXPECT_EQ(redact_plan("[\"a::numeric(10, -2) = b::bit(3, 12 c - 7\"]"),
              "[\"a::numeric(10, -2) = b::bit(3, ? c - ?\"]");
    EXPECT_EQ(redact_plan("[\"a) = 12 AND b = -3, 4\"]"), "[\"a) = ? AND b = ?, ?\"]");
}

TEST(RedactPlan, RefusesWhatIsNotJsonOrDoesNotFit) {
    EXPECT_EQ(redact_plan("{\"a\": "), "");
    EXPECT_EQ(redact_plan("{\"a\" 1}"), "");
    EXPECT_EQ(redact_plan("[1, 2"), "");
    EXPECT_EQ(redact_plan(std::string(100000, '[')), "");
    char out[8];
    EXPECT_EQ(redact_plan_into("{\"Node Type\": \"Seq Scan\"}", out, sizeof out), 0u);
}
