// The lexical rules of PostgreSQL's SQL (src/backend/parser/scan.l), as far as a reader needs them who wants to know
// where the literals are. Reads a text of any content and length without allocating, and never past its end: the
// executor hooks run it over statements, the plan redaction runs it over deparsed expressions.
#pragma once

#include <cstddef>
#include <string_view>

namespace citadel::capture {

enum class TokenKind : unsigned char {
    whitespace,
    comment,
    identifier, // also keywords
    quoted_identifier,
    parameter, // $1
    number,
    string,   // every quoted form, with its prefix, continuation lines and UESCAPE clause
    typecast, // ::
    operator_token,
    punctuation, // ( ) [ ] , ; : . and any byte that starts nothing else
    end,
};

struct Token {
    TokenKind kind = TokenKind::end;
    std::size_t offset = 0;
    std::size_t length = 0;
};

class Lexer {
  public:
    // standard_conforming_strings = false makes backslashes escape in plain '...' too, as in the server.
    explicit Lexer(std::string_view text, bool standard_conforming_strings = true)
        : text_(text), standard_strings_(standard_conforming_strings) {}

    Token next();
    Token next_significant(); // that is neither white space nor comment
    std::string_view text(const Token& token) const { return text_.substr(token.offset, token.length); }
    std::size_t position() const { return position_; }

  private:
    char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
    std::size_t skip_whitespace(std::size_t i) const;
    std::size_t end_of_block_comment(std::size_t i) const;
    std::size_t end_of_identifier(std::size_t i) const;
    std::size_t end_of_quoted_identifier(std::size_t i) const;
    std::size_t end_of_string(std::size_t quote, bool backslash_escapes) const;
    std::size_t end_of_uescape(std::size_t i) const;
    std::size_t end_of_number(std::size_t i) const;
    std::size_t end_of_operator(std::size_t i) const;
    std::size_t dollar_tag_length(std::size_t i) const;

    std::string_view text_;
    std::size_t position_ = 0;
    bool standard_strings_;
};

// ASCII case-insensitive comparison with a lower-case keyword.
bool is_keyword(std::string_view token, std::string_view lower_case_keyword);

} // namespace citadel::capture
