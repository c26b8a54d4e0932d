#include "capture/lexer.hpp"

namespace citadel::capture {

namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_newline(char c) {
    return c == '\n' || c == '\r';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_hex_digit(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Bytes with the high bit are identifier characters in every server encoding, and in none of them does a byte of a
// multibyte character look like ASCII: so bytes are enough, and a token never ends inside a character.
bool is_identifier_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_identifier_part(char c) {
    return is_identifier_start(c) || is_digit(c) || c == '$';
}
bool is_operator_char(char c) {
    return c != '\0' && std::string_view("~!@#^&|`?+-*/%<>=").find(c) != std::string_view::npos;
}

} // namespace

Token Lexer::next_significant() {
    Token token = next();
    while (token.kind == TokenKind::whitespace || token.kind == TokenKind::comment)
        token = next();
    return token;
}

bool is_keyword(std::string_view token, std::string_view lower_case_keyword) {
    if (token.size() != lower_case_keyword.size())
        return false;
    for (std::size_t i = 0; i < token.size(); ++i)
        if (lower(token[i]) != lower_case_keyword[i])
            return false;
    return true;
}

std::size_t Lexer::skip_whitespace(std::size_t i) const {
    while (i < text_.size() && is_space(text_[i]))
        ++i;
    return i;
}

std::size_t Lexer::end_of_block_comment(std::size_t i) const {
    int depth = 0;
    while (i < text_.size()) {
        if (text_[i] == '/' && at(i + 1) == '*') {
            ++depth;
            i += 2;
        } else if (text_[i] == '*' && at(i + 1) == '/') {
            i += 2;
            if (--depth == 0)
                return i;
        } else {
            ++i;
        }
    }
    return text_.size();
}

std::size_t Lexer::end_of_identifier(std::size_t i) const {
    while (i < text_.size() && is_identifier_part(text_[i]))
        ++i;
    return i;
}

std::size_t Lexer::end_of_quoted_identifier(std::size_t i) const {
    for (++i; i < text_.size(); ++i) {
        if (text_[i] != '"')
            continue;
        if (at(i + 1) != '"')
            return i + 1;
        ++i;
    }
    return text_.size();
}

// quote is the position of the opening quote. Two literals separated by white space with a newline in it are one.
std::size_t Lexer::end_of_string(std::size_t quote, bool backslash_escapes) const {
    std::size_t i = quote + 1;
    while (i < text_.size()) {
        if (text_[i] == '\\' && backslash_escapes) {
            i += 2;
            continue;
        }
        if (text_[i] != '\'') {
            ++i;
            continue;
        }
        if (at(i + 1) == '\'') {
            i += 2;
            continue;
        }
        ++i; // behind the closing quote: is there a continuation?
        std::size_t next = i;
        bool newline = false;
        while (next < text_.size()) {
            if (is_space(text_[next])) {
                newline = newline || is_newline(text_[next]);
                ++next;
            } else if (text_[next] == '-' && at(next + 1) == '-') {
                while (next < text_.size() && !is_newline(text_[next]))
                    ++next;
            } else {
                break;
            }
        }
        if (!newline || at(next) != '\'')
            return i;
        i = next + 1;
    }
    return text_.size();
}

// U&'...' UESCAPE '!': the clause belongs to the literal (and to U&"..." alike). Returns i when there is none.
std::size_t Lexer::end_of_uescape(std::size_t i) const {
    std::size_t word = skip_whitespace(i);
    std::size_t after = end_of_identifier(word);
    if (!is_keyword(text_.substr(word, after - word), "uescape"))
        return i;
    std::size_t quote = skip_whitespace(after);
    return at(quote) == '\'' ? end_of_string(quote, false) : i;
}

std::size_t Lexer::end_of_number(std::size_t i) const {
    auto digits = [&](std::size_t from) { // digits, with single underscores between them (PG 16)
        while (from < text_.size() && (is_digit(text_[from]) || (text_[from] == '_' && is_digit(at(from + 1)))))
            ++from;
        return from;
    };
    if (text_[i] == '0' && (lower(at(i + 1)) == 'x' || lower(at(i + 1)) == 'o' || lower(at(i + 1)) == 'b') &&
        is_hex_digit(at(i + 2))) {
        i += 2;
        while (i < text_.size() && (is_hex_digit(text_[i]) || text_[i] == '_'))
            ++i;
        return i;
    }
    std::size_t end = digits(i);
    if (at(end) == '.' && at(end + 1) != '.') // 1..2 is a range of two integers
        end = digits(end + 1);
    if (lower(at(end)) == 'e') {
        std::size_t exponent = end + 1;
        if (at(exponent) == '+' || at(exponent) == '-')
            ++exponent;
        if (is_digit(at(exponent)))
            end = digits(exponent);
    }
    return end;
}

// An operator ends where a comment starts; one of several characters does not end in + or - unless it holds one of the
// characters that SQL has no other use for (scan.l): "=-1" is "=" and "-", "@-" is one operator.
std::size_t Lexer::end_of_operator(std::size_t i) const {
    std::size_t end = i;
    while (end < text_.size() && is_operator_char(text_[end])) {
        if (end > i && ((text_[end] == '/' && at(end + 1) == '*') || (text_[end] == '-' && at(end + 1) == '-')))
            break;
        ++end;
    }
    if (text_.substr(i, end - i).find_first_of("~!@#%^&|`?") == std::string_view::npos)
        while (end - i > 1 && (text_[end - 1] == '+' || text_[end - 1] == '-'))
            --end;
    return end;
}

// Length of "$tag$" at i, 0 when it is none.
std::size_t Lexer::dollar_tag_length(std::size_t i) const {
    std::size_t end = i + 1;
    if (is_identifier_start(at(end)) && end < text_.size())
        while (end < text_.size() && is_identifier_part(text_[end]) && text_[end] != '$')
            ++end;
    return end < text_.size() && text_[end] == '$' ? end + 1 - i : 0;
}

Token Lexer::next() {
    const std::size_t start = position_;
    if (start >= text_.size())
        return {TokenKind::end, text_.size(), 0};

    const char c = text_[start];
    TokenKind kind = TokenKind::punctuation;
    std::size_t end = start + 1;

    if (is_space(c)) {
        kind = TokenKind::whitespace;
        end = skip_whitespace(start);
    } else if (c == '-' && at(start + 1) == '-') {
        kind = TokenKind::comment;
        while (end < text_.size() && !is_newline(text_[end]))
            ++end;
    } else if (c == '/' && at(start + 1) == '*') {
        kind = TokenKind::comment;
        end = end_of_block_comment(start);
    } else if (c == '\'') {
        kind = TokenKind::string;
        end = end_of_string(start, !standard_strings_);
    } else if (c == '"') {
        kind = TokenKind::quoted_identifier;
        end = end_of_quoted_identifier(start);
    } else if (at(start + 1) == '\'' && std::string_view("eEnNbBxX").find(c) != std::string_view::npos) {
        kind = TokenKind::string;
        const char prefix = lower(c);
        end = end_of_string(start + 1, prefix == 'e' || (prefix == 'n' && !standard_strings_));
    } else if (lower(c) == 'u' && at(start + 1) == '&' && (at(start + 2) == '\'' || at(start + 2) == '"')) {
        const bool literal = at(start + 2) == '\'';
        kind = literal ? TokenKind::string : TokenKind::quoted_identifier;
        end = end_of_uescape(literal ? end_of_string(start + 2, false) : end_of_quoted_identifier(start + 2));
    } else if (is_identifier_start(c)) {
        kind = TokenKind::identifier;
        end = end_of_identifier(start);
    } else if (is_digit(c) || (c == '.' && is_digit(at(start + 1)))) {
        kind = TokenKind::number;
        end = end_of_number(start);
    } else if (c == '$' && is_digit(at(start + 1))) {
        kind = TokenKind::parameter;
        while (is_digit(at(end)))
            ++end;
    } else if (const std::size_t tag = c == '$' ? dollar_tag_length(start) : 0; tag > 0) {
        kind = TokenKind::string;
        const std::size_t close = text_.find(text_.substr(start, tag), start + tag);
        end = close == std::string_view::npos ? text_.size() : close + tag;
    } else if (c == ':' && at(start + 1) == ':') {
        kind = TokenKind::typecast;
        end = start + 2;
    } else if (c == '.' && at(start + 1) == '.') {
        end = start + 2;
    } else if (is_operator_char(c)) {
        kind = TokenKind::operator_token;
        end = end_of_operator(start);
    }

    if (end > text_.size()) // an escape at the very end
        end = text_.size();
    position_ = end;
    return {kind, start, end - start};
}

} // namespace citadel::capture
