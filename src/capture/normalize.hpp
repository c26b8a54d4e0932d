// Statement texts without their literals.
//
// A literal becomes the placeholder $n, numbered after the highest bind parameter, and is put aside as the source token
// it was; putting the tokens back gives the statement again. Comments are dropped (people write values into them),
// hints
// (/*+ ... */) are kept. Positions in GROUP BY / ORDER BY lists and type modifiers stay: there a placeholder would not
// parse, and pg_stat_statements leaves them as well. NULL, TRUE and FALSE are keywords and stay.
//
// The hook versions write into the caller's buffers and allocate nothing. Truncation happens between tokens, so it
// never cuts a multibyte character, whatever the encoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace citadel::capture {

struct Span { // of the source text
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
};

struct NormalizeOptions {
    bool standard_conforming_strings = true;
    int bind_parameters = 0; // how many the statement was given: placeholders are numbered after these too
};

struct Normalized {
    std::size_t length = 0;   // bytes written
    std::size_t literals = 0; // spans written
    bool truncated = false;   // the text did not fit
    bool literals_complete = true;
    int first_placeholder = 1; // number of the first literal's placeholder
};

// The part of a statement's text that is a plannable query: "COPY (query) TO ...", "DECLARE c CURSOR FOR query",
// "CREATE TABLE t AS query", "PREPARE p AS query", "EXPLAIN query" give their query, a plain query itself, anything
// else (a utility statement, whose text is never kept) an empty view. Leading and trailing space, comments and
// semicolons are cut off.
std::string_view plannable_part(std::string_view statement, bool standard_conforming_strings = true);

// Without allocation. literals may be null with max_literals 0.
Normalized normalize_into(std::string_view statement, const NormalizeOptions& options, char* out, std::size_t out_size,
                          Span* literals, std::size_t max_literals);

struct NormalizedText {
    std::string text;
    std::vector<std::string> literals;
    int first_placeholder = 1;
};
NormalizedText normalize(std::string_view statement, const NormalizeOptions& options = {});

// Puts the literals back: the placeholders with the highest numbers are theirs. With a text and literals of different
// statements the result is meaningless but well-defined.
std::string restore_literals(std::string_view normalized, const std::vector<std::string>& literals);

// The highest $n of a text, 0 without any.
int highest_parameter(std::string_view text, bool standard_conforming_strings = true);

// A normalised text is not always one that the parser takes: "interval $1" was "interval '1 day'". This rewrites such
// a typed literal to "$1::interval", for callers that plan the text without its literals.
std::string parsable_text(std::string_view normalized);

// Replaces the literals of a deparsed expression by "?". Returns the bytes written; what does not fit is cut off
// between tokens.
std::size_t redact_expression_into(std::string_view expression, char* out, std::size_t out_size);

} // namespace citadel::capture
