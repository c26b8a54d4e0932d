#include "capture/normalize.hpp"

#include "capture/literal_filter.hpp"
#include "capture/lexer.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace citadel::capture {

namespace {

// A statement longer than this is truncated anyway; the search for the highest parameter need not read on.
constexpr std::size_t longest_scan = 64 * 1024;

class Writer {
  public:
    Writer(char* out, std::size_t size) : out_(out), size_(size) {}

    bool append(std::string_view piece) {
        if (piece.size() > size_ - length_)
            return false;
        if (!piece.empty())
            std::memcpy(out_ + length_, piece.data(), piece.size());
        length_ += piece.size();
        return true;
    }
    char last() const { return length_ > 0 ? out_[length_ - 1] : '\0'; }
    std::size_t length() const { return length_; }
    void rewind(std::size_t length) { length_ = length; }

  private:
    char* out_;
    std::size_t size_;
    std::size_t length_ = 0;
};

bool continues_identifier(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}

bool is_hint(std::string_view comment) {
    return comment.size() > 3 && comment.substr(0, 3) == "/*+";
}

int parameter_number(std::string_view token) {
    int number = 0;
    const auto result = std::from_chars(token.data() + 1, token.data() + token.size(), number);
    return result.ec == std::errc() ? number : 0;
}

} // namespace

int highest_parameter(std::string_view text, bool standard_conforming_strings) {
    Lexer lexer(text.substr(0, longest_scan), standard_conforming_strings);
    int highest = 0;
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next())
        if (token.kind == TokenKind::parameter)
            highest = std::max(highest, parameter_number(lexer.text(token)));
    return highest;
}

Normalized normalize_into(std::string_view statement, const NormalizeOptions& options, char* out, std::size_t out_size,
                          Span* literals, std::size_t max_literals) {
    Normalized result;
    int number = std::max(options.bind_parameters, highest_parameter(statement, options.standard_conforming_strings));
    result.first_placeholder = number + 1;

    Writer writer(out, out_size);
    LiteralFilter filter(statement, options.standard_conforming_strings);
    bool separate = false; // a comment was dropped, or a placeholder written, right before this token
    for (auto item = filter.next(); item.token.kind != TokenKind::end; item = filter.next()) {
        const std::string_view source = statement.substr(item.token.offset, item.token.length);
        const std::size_t before = writer.length();
        if (item.token.kind == TokenKind::comment && !is_hint(source)) {
            separate = true;
            continue;
        }
        bool fits = true;
        // "SELECT'x'" must not become the identifier SELECT$1, nor "'x'FROM" the broken $1FROM.
        const char first = item.is_literal ? '$' : source.front();
        if (separate && before > 0 && item.token.kind != TokenKind::whitespace && writer.last() != ' ' &&
            writer.last() != '\n' && (continues_identifier(first) || !item.after_placeholder))
            fits = writer.append(" ");
        else if (item.is_literal && continues_identifier(writer.last()))
            fits = writer.append(" ");
        separate = false;
        if (item.is_literal) {
            char digits[16];
            digits[0] = '$';
            const auto end = std::to_chars(digits + 1, digits + sizeof digits, ++number).ptr;
            fits = fits && writer.append({digits, static_cast<std::size_t>(end - digits)});
            separate = true;
        } else {
            fits = fits && writer.append(source);
        }
        if (!fits) {
            writer.rewind(before);
            result.truncated = true;
            result.literals_complete = false;
            break;
        }
        if (item.is_literal) {
            if (result.literals < max_literals)
                literals[result.literals++] = {static_cast<std::uint32_t>(item.token.offset),
                                               static_cast<std::uint32_t>(item.token.length)};
            else
                result.literals_complete = false;
        }
    }
    result.length = writer.length();
    return result;
}

NormalizedText normalize(std::string_view statement, const NormalizeOptions& options) {
    // A placeholder can be longer than its literal ('$12' for '7'), and each may gain a space on both sides.
    std::string out(statement.size() * 8 + 16, '\0');
    std::vector<Span> spans(statement.size() + 1);
    const Normalized result = normalize_into(statement, options, out.data(), out.size(), spans.data(), spans.size());
    out.resize(result.length);
    NormalizedText text{std::move(out), {}, result.first_placeholder};
    text.literals.reserve(result.literals);
    for (std::size_t i = 0; i < result.literals; ++i)
        text.literals.emplace_back(statement.substr(spans[i].offset, spans[i].length));
    return text;
}

std::string restore_literals(std::string_view normalized, const std::vector<std::string>& literals) {
    std::string out;
    out.reserve(normalized.size());
    const int highest = highest_parameter(normalized);
    const int first = highest - static_cast<int>(literals.size()) + 1;
    Lexer lexer(normalized);
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
        const std::string_view source = lexer.text(token);
        const int number = token.kind == TokenKind::parameter ? parameter_number(source) : 0;
        const auto index = static_cast<std::size_t>(number - first);
        if (number >= 1 && number >= first && index < literals.size())
            out += literals[index];
        else
            out += source;
    }
    return out;
}

std::string parsable_text(std::string_view normalized) {
    static constexpr std::string_view types[] = {"interval", "date",    "time",  "timestamp", "timestamptz", "timetz",
                                                 "bool",     "boolean", "float", "numeric",   "decimal",     "uuid",
                                                 "json",     "jsonb",   "inet",  "cidr",      "point",       "bytea"};
    std::string out;
    out.reserve(normalized.size() + 16);
    Lexer lexer(normalized);
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
        const std::string_view word = lexer.text(token);
        const bool is_type =
            token.kind == TokenKind::identifier &&
            std::any_of(std::begin(types), std::end(types), [&](auto t) { return is_keyword(word, t); });
        if (!is_type) {
            out += word;
            continue;
        }
        // TYPE [(n)] [WITH|WITHOUT TIME ZONE] $n
        Lexer ahead = lexer;
        Token following = ahead.next_significant();
        if (ahead.text(following) == "(") {
            following = ahead.next_significant();
            if (following.kind == TokenKind::number && ahead.text(ahead.next_significant()) == ")")
                following = ahead.next_significant();
        }
        if (is_keyword(ahead.text(following), "with") || is_keyword(ahead.text(following), "without")) {
            const bool time = is_keyword(ahead.text(ahead.next_significant()), "time");
            const bool zone = is_keyword(ahead.text(ahead.next_significant()), "zone");
            following = time && zone ? ahead.next_significant() : Token{};
        }
        if (following.kind != TokenKind::parameter) {
            out += word;
            continue;
        }
        std::string_view type = normalized.substr(token.offset, following.offset - token.offset);
        while (!type.empty() && (type.back() == ' ' || type.back() == '\n' || type.back() == '\t'))
            type.remove_suffix(1);
        out += ahead.text(following);
        out += "::";
        out += type;
        lexer = ahead;
    }
    return out;
}

std::size_t redact_expression_into(std::string_view expression, char* out, std::size_t out_size) {
    Writer writer(out, out_size);
    // A deparsed expression is never a whole statement: no list positions to keep.
    LiteralFilter filter(expression, true, LiteralFilter::Text::expression);
    for (auto item = filter.next(); item.token.kind != TokenKind::end; item = filter.next())
        if (!writer.append(item.is_literal ? "?" : expression.substr(item.token.offset, item.token.length)))
            break;
    return writer.length();
}

std::string_view plannable_part(std::string_view statement, bool standard_conforming_strings) {
    Lexer lexer(statement, standard_conforming_strings);
    Token first = lexer.next_significant();
    std::size_t start = first.offset;
    std::size_t stop = statement.size(); // COPY ( ... ) ends at its parenthesis
    auto is_word = [&](const Token& token, std::string_view word) {
        return token.kind == TokenKind::identifier && is_keyword(lexer.text(token), word);
    };
    auto is_query = [&](const Token& token) {
        return is_word(token, "select") || is_word(token, "with") || is_word(token, "insert") ||
               is_word(token, "update") || is_word(token, "delete") || is_word(token, "merge") ||
               is_word(token, "values") || is_word(token, "table") || lexer.text(token) == "(";
    };
    auto after_word = [&](std::string_view word) { // first token behind the word, outside parentheses
        int depth = 0;
        for (Token token = lexer.next_significant(); token.kind != TokenKind::end; token = lexer.next_significant()) {
            const std::string_view text = lexer.text(token);
            depth += text == "(" ? 1 : text == ")" ? -1 : 0;
            if (depth == 0 && is_word(token, word))
                return lexer.next_significant();
        }
        return Token{};
    };

    bool strip_with_data = false;
    if (is_word(first, "explain")) {
        Token token = lexer.next_significant();
        if (lexer.text(token) == "(" && token.kind == TokenKind::punctuation) { // EXPLAIN (options), or EXPLAIN (query)
            Lexer ahead = lexer;
            const Token inner = ahead.next_significant();
            if (!is_query(inner)) {
                while (token.kind != TokenKind::end && lexer.text(token) != ")")
                    token = lexer.next_significant();
                token = lexer.next_significant();
            }
        }
        while (is_word(token, "analyze") || is_word(token, "analyse") || is_word(token, "verbose"))
            token = lexer.next_significant();
        return plannable_part(statement.substr(std::min(token.offset, statement.size())), standard_conforming_strings);
    }
    if (is_word(first, "copy")) {
        if (lexer.text(lexer.next_significant()) != "(")
            return {};
        Token token = lexer.next_significant();
        start = token.offset;
        for (int depth = 1; token.kind != TokenKind::end; token = lexer.next_significant()) {
            const std::string_view text = lexer.text(token);
            depth += text == "(" ? 1 : text == ")" ? -1 : 0;
            if (depth == 0)
                break;
        }
        stop = token.kind == TokenKind::end ? statement.size() : token.offset;
    } else if (is_word(first, "declare")) {
        start = after_word("for").offset;
    } else if (is_word(first, "create")) {
        start = after_word("as").offset;
        strip_with_data = true;
    } else if (is_word(first, "prepare")) {
        start = after_word("as").offset;
    } else if (!is_query(first)) {
        return {};
    }
    if (start >= stop)
        return {};

    // Where does the last significant token end?
    std::string_view query = statement.substr(start, stop - start);
    Lexer inner(query, standard_conforming_strings);
    Token token = inner.next_significant();
    const bool plannable = [&] {
        static constexpr std::string_view words[] = {"select", "with",  "insert", "update",
                                                     "delete", "merge", "values", "table"};
        const std::string_view text = inner.text(token);
        return text == "(" ||
               std::any_of(std::begin(words), std::end(words), [&](auto w) { return is_keyword(text, w); });
    }();
    if (!plannable || token.kind == TokenKind::end)
        return {};
    std::size_t end = 0;
    std::size_t before_with = 0; // end of the token before a trailing WITH DATA
    bool with_seen = false;
    for (; token.kind != TokenKind::end; token = inner.next_significant()) {
        const std::string_view text = inner.text(token);
        if (text == ";")
            continue;
        if (is_keyword(text, "with")) {
            before_with = end;
            with_seen = true;
        } else if (!is_keyword(text, "data")) {
            with_seen = false;
        } else if (strip_with_data && with_seen) {
            end = before_with;
            continue;
        }
        end = token.offset + token.length;
    }
    return query.substr(0, end);
}

} // namespace citadel::capture
