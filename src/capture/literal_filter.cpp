#include "capture/literal_filter.hpp"

#include <algorithm>

namespace citadel::capture {

namespace {

template <std::size_t N>
bool one_of(std::string_view word, const std::string_view (&words)[N]) {
    return std::any_of(std::begin(words), std::end(words), [&](std::string_view w) { return is_keyword(word, w); });
}

// Behind these words a minus is a sign, not a subtraction.
constexpr std::string_view before_operand[] = {
    "select", "and",  "or",    "not", "then", "else",   "when",   "between",  "limit",     "offset", "in",
    "by",     "on",   "where", "set", "case", "like",   "ilike",  "from",     "for",       "to",     "returning",
    "return", "from", "is",    "any", "all",  "having", "values", "distinct", "symmetric", "using",  "over"};

// Type names with a grammar of their own: parentheses behind them hold a modifier, never a value.
constexpr std::string_view modified_types[] = {
    "bit",       "char",           "character", "varying", "dec",     "decimal",      "float",
    "interval",  "nchar",          "numeric",   "time",    "varchar", "current_time", "current_timestamp",
    "localtime", "localtimestamp", "timestamp"};

constexpr std::string_view ends_list[] = {"limit",     "offset", "fetch", "having", "window",    "union",
                                          "except",    "for",    "rows",  "range",  "groups",    "select",
                                          "intersect", "with",   "where", "from",   "returning", "on"};

constexpr std::size_t longest_position = 4; // digits: more is a value

} // namespace

// A minus directly before a number, where no operand precedes it, belongs to the number.
bool LiteralFilter::starts_negative_number(const Token& minus) const {
    if (lexer_.text(minus) != "-" || previous_ == Previous::operand || previous_ == Previous::nothing)
        return false;
    Lexer ahead = lexer_;
    return ahead.next().kind == TokenKind::number;
}

// GROUP BY 1, 2: a bare short integer between commas of such a list.
bool LiteralFilter::is_list_position(const Token& number) const {
    const std::string_view digits = lexer_.text(number);
    if (!keep_positions_ || list_depth_ != depth_ || digits.size() > longest_position ||
        digits.find_first_not_of("0123456789") != std::string_view::npos ||
        (previous_ != Previous::by && previous_ != Previous::comma))
        return false;
    const Token next = following();
    const std::string_view text = lexer_.text(next);
    return next.kind == TokenKind::end || next.kind == TokenKind::identifier || text == "," || text == ")" ||
           text == ";";
}

// numeric(10, -2): a short integer alone between the parentheses or commas of a type's modifier.
bool LiteralFilter::is_modifier(const Token& number) const {
    if (modifier_depth_ != depth_ || number.length > longest_position ||
        (previous_ != Previous::open && previous_ != Previous::comma))
        return false;
    const std::string_view text = lexer_.text(following());
    return text == "," || text == ")";
}

Token LiteralFilter::following() const {
    Lexer ahead = lexer_;
    return ahead.next_significant();
}

void LiteralFilter::remember_word(std::string_view word) {
    static constexpr std::string_view grouping[] = {"group", "order"};
    static constexpr std::string_view by[] = {"by"};
    const bool starts_list = group_or_order_ && one_of(word, by);
    group_or_order_ = one_of(word, grouping);
    if (starts_list)
        list_depth_ = depth_;
    else if (list_depth_ == depth_ && (group_or_order_ || one_of(word, ends_list)))
        list_depth_ = -1;
    previous_ = starts_list ? Previous::by : one_of(word, before_operand) ? Previous::keyword : Previous::operand;
    type_name_ = after_typecast_ || one_of(word, modified_types);
    after_typecast_ = false;
}

void LiteralFilter::remember(const Token& token) {
    const std::string_view text = lexer_.text(token);
    const bool was_type_name = type_name_;
    if (token.kind == TokenKind::identifier) {
        remember_word(text);
        return;
    }
    group_or_order_ = false;
    type_name_ = false;
    const bool was_typecast = after_typecast_;
    after_typecast_ = false;
    switch (token.kind) {
    case TokenKind::quoted_identifier:
        type_name_ = was_typecast;
        previous_ = Previous::operand;
        return;
    case TokenKind::typecast:
        after_typecast_ = true;
        previous_ = Previous::operator_token;
        return;
    case TokenKind::operator_token:
        previous_ = Previous::operator_token;
        return;
    case TokenKind::punctuation:
        break;
    default: // numbers, strings, parameters
        previous_ = Previous::operand;
        return;
    }
    if (text == "(") {
        ++depth_;
        if (was_type_name)
            modifier_depth_ = depth_;
        previous_ = Previous::open;
    } else if (text == ")") {
        if (list_depth_ == depth_)
            list_depth_ = -1;
        if (modifier_depth_ == depth_)
            modifier_depth_ = -1;
        depth_ = std::max(depth_ - 1, 0); // -1 says that there is no such list or modifier
        previous_ = Previous::operand;
    } else if (text == ",") {
        previous_ = Previous::comma;
    } else if (text == "[") {
        previous_ = Previous::open;
    } else if (text == "." && was_type_name) { // a qualified type name goes on
        after_typecast_ = true;
        previous_ = Previous::operand;
    } else if (text == "]") {
        previous_ = Previous::operand;
    } else {
        previous_ = Previous::operator_token;
    }
}

LiteralFilter::Item LiteralFilter::next() {
    Item item;
    item.token = lexer_.next();
    item.after_placeholder = last_was_literal_;
    last_was_literal_ = false;
    if (item.token.kind == TokenKind::whitespace || item.token.kind == TokenKind::comment ||
        item.token.kind == TokenKind::end)
        return item;

    if (item.token.kind == TokenKind::string) {
        item.is_literal = true;
    } else if (item.token.kind == TokenKind::number) {
        item.is_literal = !is_modifier(item.token) && !is_list_position(item.token);
    } else if (item.token.kind == TokenKind::operator_token && starts_negative_number(item.token)) {
        item.token.length += lexer_.next().length;
        item.token.kind = TokenKind::number;
        item.is_literal = !is_modifier(item.token);
    }
    remember(item.token);
    last_was_literal_ = item.is_literal;
    return item;
}

} // namespace citadel::capture
