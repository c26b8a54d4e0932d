#include "text/version.hpp"

#include <algorithm>

namespace citadel {

namespace {

std::string_view take_part(std::string_view& rest) {
    const std::size_t end = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
}

bool is_number(std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
}

// Without a limit on how many digits there are.
int compare_numbers(std::string_view one, std::string_view other) {
    one.remove_prefix(std::min(one.find_first_not_of('0'), one.size()));
    other.remove_prefix(std::min(other.find_first_not_of('0'), other.size()));
    if (one.size() != other.size())
        return one.size() < other.size() ? -1 : 1;
    return one.compare(other);
}

} // namespace

int compare_versions(std::string_view one, std::string_view other) {
    while (!one.empty() && !other.empty()) {
        const std::string_view a = take_part(one);
        const std::string_view b = take_part(other);
        const int order = is_number(a) && is_number(b) ? compare_numbers(a, b) : a.compare(b);
        if (order != 0)
            return order;
    }
    return static_cast<int>(!one.empty()) - static_cast<int>(!other.empty());
}

} // namespace citadel
