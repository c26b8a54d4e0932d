// Statement texts: the lexer covers every byte, buffers are kept, literals go back to where they were.
#include "capture/lexer.hpp"
#include "capture/normalize.hpp"
#include "fuzz.hpp"

#include <memory>
#include <string>

using namespace citadel::capture;
using citadel::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    citadel::fuzz::Bytes bytes(data, size);
    const auto flags = bytes.take<std::uint8_t>();
    const bool standard = (flags & 1U) != 0;
    const std::size_t room = bytes.take<std::uint8_t>();
    // A copy of its own size: a read past its end is a report.
    const std::string text(bytes.rest());
    const std::unique_ptr<char[]> exact(new char[text.size()]);
    std::memcpy(exact.get(), text.data(), text.size());
    const std::string_view statement(exact.get(), text.size());

    Lexer lexer(statement, standard);
    std::size_t at = 0;
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
        must(token.offset == at && token.length > 0);
        at += token.length;
    }
    must(at == statement.size());

    const std::string_view part = plannable_part(statement, standard);
    must(part.empty() ||
         (part.data() >= statement.data() && part.data() + part.size() <= statement.data() + statement.size()));

    NormalizeOptions options;
    options.standard_conforming_strings = standard;
    options.bind_parameters = flags >> 4;
    const std::unique_ptr<char[]> out(new char[room]);
    Span spans[8];
    const Normalized cut = normalize_into(statement, options, out.get(), room, spans, 8);
    must(cut.length <= room && cut.literals <= 8);
    for (std::size_t i = 0; i < cut.literals; ++i)
        must(std::size_t{spans[i].offset} + spans[i].length <= statement.size());

    const NormalizedText whole = normalize(statement, options);
    const std::string restored = restore_literals(whole.text, whole.literals);
    must(normalize(restored, options).literals.size() >= whole.literals.size() || !standard);
    highest_parameter(statement, standard);
    parsable_text(statement);
    must(redact_expression_into(statement, out.get(), room) <= room);
    return 0;
}
