#include "lifecycle/archive_manifest.hpp"

#include "lifecycle/archive_format.hpp"
#include "lifecycle/content_hash.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace citadel::lifecycle::format {

namespace {

constexpr std::string_view first_line = "citadel_opt archive\t1";

void append_escaped(std::string& out, std::string_view text) {
    for (const char c : text) {
        switch (c) {
        case '\\':
            out += "\\\\";
            break;
        case '\t':
            out += "\\t";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        default:
            out += c;
        }
    }
}

std::string unescaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        const char c = ++i < text.size() ? text[i] : '\0';
        if (c == '\\')
            out += '\\';
        else if (c == 't')
            out += '\t';
        else if (c == 'n')
            out += '\n';
        else if (c == 'r')
            out += '\r';
        else
            throw Error("the manifest has an escape that does not exist");
    }
    return out;
}

void append_line(std::string& out, std::initializer_list<std::string_view> fields) {
    bool first = true;
    for (const std::string_view field : fields) {
        if (!first)
            out += '\t';
        first = false;
        append_escaped(out, field);
    }
    out += '\n';
}

std::string checksum_of(std::string_view text) {
    ContentHash hash;
    hash.add(text.data(), text.size());
    return hash.hex();
}

std::vector<std::string> split(std::string_view line) {
    std::vector<std::string> fields;
    for (;;) {
        const std::size_t tab = line.find('\t');
        fields.push_back(unescaped(line.substr(0, tab)));
        if (tab == std::string_view::npos)
            return fields;
        line.remove_prefix(tab + 1);
    }
}

std::int64_t count(const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0)
        throw Error("the manifest has \"" + text + "\" where a number belongs");
    return value;
}

bool is_hexadecimal(std::string_view text, std::size_t digits) {
    return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

// The facts that are one text each, and in which line they stand.
struct Fact {
    std::string_view key;
    std::string Manifest::*value;
};
constexpr Fact facts[] = {
    {"archive", &Manifest::archive},
    {"database", &Manifest::database},
    {"server", &Manifest::server},
    {"encoding", &Manifest::encoding},
    {"schema", &Manifest::schema},
    {"name", &Manifest::name},
    {"origin_schema", &Manifest::origin_schema},
    {"origin_name", &Manifest::origin_name},
    {"owner", &Manifest::owner},
    {"lower_bound", &Manifest::lower_bound},
    {"upper_bound", &Manifest::upper_bound},
    {"partition_bound", &Manifest::partition_bound},
    {"created_at", &Manifest::created_at},
};

void read_line(Manifest& manifest, const std::vector<std::string>& fields) {
    const std::string& key = fields[0];
    const auto expect = [&fields](std::size_t n) {
        if (fields.size() != n)
            throw Error("a line of the manifest (" + fields[0] + ") has " + std::to_string(fields.size()) +
                        " fields instead of " + std::to_string(n));
    };
    for (const Fact& fact : facts) {
        if (fact.key == key) {
            expect(2);
            manifest.*fact.value = fields[1];
            return;
        }
    }
    if (key == "column") {
        expect(6);
        if (fields[1].empty() || fields[2].empty() || (fields[4] != "null" && fields[4] != "not null"))
            throw Error("the manifest has a column without a name, a type or its nullability");
        manifest.columns.push_back({fields[1], fields[2], fields[3], fields[4] == "not null", fields[5]});
    } else if (key == "segment") {
        expect(6);
        if (!is_segment_name(fields[1]))
            throw Error("the manifest names a file that archives do not have: \"" + fields[1] + "\"");
        if (!is_hexadecimal(fields[4], 64) || !is_hexadecimal(fields[5], 32))
            throw Error("the manifest has a checksum that is none");
        manifest.segments.push_back({fields[1], count(fields[2]), count(fields[3]), fields[4], fields[5]});
    } else if (key == "content") {
        expect(3);
        manifest.rows = count(fields[1]);
        if (!is_hexadecimal(fields[2], 32))
            throw Error("the manifest has a checksum that is none");
        manifest.hash = fields[2];
    } else {
        throw Error("the manifest has a line \"" + key + "\" that this version does not know");
    }
}

// The segments together must be the whole.
void check_sums(const Manifest& manifest) {
    ContentHash sum;
    std::vector<std::string_view> files;
    for (const Segment& segment : manifest.segments) {
        if (segment.rows > std::numeric_limits<std::int64_t>::max() - sum.rows)
            throw Error("the manifest contradicts itself: its files have more rows than can be counted");
        sum += ContentHash::from_hex(segment.rows, segment.hash).value();
        files.push_back(segment.file);
    }
    std::sort(files.begin(), files.end());
    if (std::adjacent_find(files.begin(), files.end()) != files.end())
        throw Error("the manifest names a file twice");
    if (sum.rows != manifest.rows || sum.hex() != manifest.hash)
        throw Error("the manifest contradicts itself: its files do not add up to its content");
}

} // namespace

std::string segment_name(std::int64_t number) {
    std::string digits = std::to_string(number);
    if (digits.size() < 6)
        digits.insert(0, 6 - digits.size(), '0');
    return digits + ".copy.zst";
}

bool is_segment_name(std::string_view name) {
    constexpr std::string_view ending = ".copy.zst";
    if (name.size() < ending.size() + 6 || name.size() > ending.size() + 18 ||
        name.substr(name.size() - ending.size()) != ending)
        return false;
    name.remove_suffix(ending.size());
    return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string write_manifest(const Manifest& manifest) {
    std::string text(first_line);
    text += '\n';
    for (const Fact& fact : facts)
        append_line(text, {fact.key, manifest.*fact.value});
    for (const Column& column : manifest.columns)
        append_line(text, {"column", column.name, column.type, column.collation, column.not_null ? "not null" : "null",
                           column.generation});
    for (const Segment& segment : manifest.segments)
        append_line(text, {"segment", segment.file, std::to_string(segment.rows), std::to_string(segment.bytes),
                           segment.sha256, segment.hash});
    append_line(text, {"content", std::to_string(manifest.rows), manifest.hash});
    append_line(text, {"checksum", checksum_of(text)});
    return text;
}

Manifest read_manifest(std::string_view text) {
    if (text.substr(0, first_line.size() + 1) != std::string(first_line) + "\n")
        throw Error("this is no manifest of an archive, or one of a later version");
    constexpr std::string_view key = "checksum\t";
    constexpr std::size_t last_line = key.size() + 32 + 1;
    if (text.size() < first_line.size() + 1 + last_line || text.back() != '\n' ||
        text.substr(text.size() - last_line, key.size()) != key)
        throw Error("the manifest is not whole: it does not end with its checksum");
    const std::string_view body = text.substr(0, text.size() - last_line);
    if (text.substr(body.size() + key.size(), 32) != checksum_of(body))
        throw Error("the manifest was changed: its checksum is another");
    Manifest manifest;
    for (std::string_view rest = body.substr(first_line.size() + 1); !rest.empty();) {
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos)
            throw Error("the manifest has a line without an end");
        read_line(manifest, split(rest.substr(0, end)));
        rest.remove_prefix(end + 1);
    }
    if (manifest.hash.empty())
        throw Error("the manifest does not say what its content is");
    check_sums(manifest);
    return manifest;
}

} // namespace citadel::lifecycle::format
