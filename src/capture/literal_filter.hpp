// Walks over the tokens of a text and says which of them are literals to be taken out. Knows the few places where a
// number is not a value: positions in GROUP BY / ORDER BY, and type modifiers.
#pragma once

#include "capture/lexer.hpp"

namespace citadel::capture {

class LiteralFilter {
  public:
    enum class Text { statement, expression };

    LiteralFilter(std::string_view text, bool standard_conforming_strings, Text kind = Text::statement)
        : lexer_(text, standard_conforming_strings), keep_positions_(kind == Text::statement) {}

    struct Item {
        Token token;
        bool is_literal = false;
        bool after_placeholder = false; // the token before this one was a literal
    };
    Item next();

  private:
    enum class Previous : unsigned char { nothing, operand, keyword, operator_token, comma, by, open };

    bool starts_negative_number(const Token& minus) const;
    bool is_list_position(const Token& number) const;
    bool is_modifier(const Token& number) const;
    Token following() const; // the next significant token; it is not taken
    void remember(const Token& token);
    void remember_word(std::string_view word);

    Lexer lexer_;
    bool keep_positions_;
    bool last_was_literal_ = false;
    Previous previous_ = Previous::nothing;
    int depth_ = 0;
    int list_depth_ = -1;         // parenthesis depth of the GROUP BY / ORDER BY list we are in, -1 outside of any
    int modifier_depth_ = -1;     // depth inside the parentheses of a type modifier
    bool after_typecast_ = false; // between :: and the end of the type's name
    bool type_name_ = false;      // the last word was a type's name: a parenthesis now opens its modifier
    bool group_or_order_ = false;
};

} // namespace citadel::capture
