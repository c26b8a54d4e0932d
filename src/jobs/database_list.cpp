#include "jobs/database_list.hpp"

namespace citadel::jobs {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Compares the quoted name that begins behind list[at] (a quote) with `database` and moves `at` behind its end.
bool quoted_equals(std::string_view list, size_t& at, std::string_view database) {
    size_t matched = 0;
    bool equal = true;
    for (++at; at < list.size(); ++at) {
        if (list[at] == '"') {
            if (at + 1 >= list.size() || list[at + 1] != '"') {
                ++at;
                break;
            }
            ++at;
        }
        equal = equal && matched < database.size() && database[matched] == list[at];
        ++matched;
    }
    return equal && matched == database.size();
}

} // namespace

bool database_allowed(std::string_view list, std::string_view database) {
    bool names_something = false;
    size_t at = 0;
    while (at < list.size()) {
        if (is_blank(list[at]) || list[at] == ',') {
            ++at;
            continue;
        }
        names_something = true;
        if (list[at] == '"') {
            if (quoted_equals(list, at, database))
                return true;
            continue;
        }
        const size_t start = at;
        while (at < list.size() && list[at] != ',')
            ++at;
        size_t end = at;
        while (end > start && is_blank(list[end - 1]))
            --end;
        const std::string_view name = list.substr(start, end - start);
        if (name == "*" || name == database)
            return true;
    }
    return !names_something;
}

} // namespace citadel::jobs
