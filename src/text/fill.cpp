#include "text/fill.hpp"

#include <algorithm>
#include <stdexcept>

namespace citadel {

namespace {

constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

} // namespace

std::string fill(std::string_view form, const std::map<std::string_view, std::string>& texts) {
    std::string filled;
    for (std::size_t at = 0; at < form.size();) {
        const std::size_t begin = std::min(form.find('{', at), form.size());
        filled.append(form.substr(at, begin - at));
        const std::size_t end = std::min(form.find_first_not_of(name_characters, begin + 1), form.size());
        if (begin == form.size() || end == begin + 1 || end == form.size() || form[end] != '}') {
            filled.append(form.substr(begin, end - begin));
            at = end;
            continue;
        }
        const std::string_view name = form.substr(begin + 1, end - begin - 1);
        const auto text = texts.find(name);
        if (text == texts.end())
            throw std::logic_error("no text for {" + std::string(name) + "}");
        filled.append(text->second);
        at = end + 1;
    }
    return filled;
}

} // namespace citadel
