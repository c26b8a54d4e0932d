#include "lifecycle/archive_file_pg.hpp"

#include "lifecycle/archive_folder.hpp"
#include "pg/compat.hpp"
#include "pg/fault.hpp"
#include "pg/role.hpp"
#include "settings/settings.hpp"
#include "text/hex.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>

extern "C" {
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
}

namespace citadel::lifecycle::archive::file {

namespace {

constexpr const char* unfinished = ".partial";

// Runs `body` and gives its failures the server's codes.
template <class Body>
auto translated(Body&& body) {
    try {
        return body();
    } catch (const std::system_error& error) {
        const int reason = error.code().value();
        const int code = reason == ENOSPC || reason == EDQUOT || reason == EFBIG  ? ERRCODE_DISK_FULL
                         : reason == ENOENT || reason == ENOTDIR                  ? ERRCODE_UNDEFINED_FILE
                         : reason == EACCES || reason == EPERM || reason == ELOOP ? ERRCODE_INSUFFICIENT_PRIVILEGE
                         : reason == EEXIST                                       ? ERRCODE_DUPLICATE_FILE
                                                                                  : ERRCODE_IO_ERROR;
        pg::raise(code, error.what());
    } catch (const std::invalid_argument& error) {
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, error.what());
    } catch (const format::Error& error) {
        pg::raise(ERRCODE_DATA_CORRUPTED, error.what());
    }
}

class Sha256 {
  public:
    Sha256() : context_(pg::guard([] { return pg_cryptohash_create(PG_SHA256); })) {
        check(pg_cryptohash_init(context_));
    }
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;
    ~Sha256() { pg_cryptohash_free(context_); }
    void add(const char* data, std::size_t bytes) {
        check(pg_cryptohash_update(context_, reinterpret_cast<const uint8*>(data), bytes));
    }
    std::string hex() {
        uint8 digest[PG_SHA256_DIGEST_LENGTH];
        check(pg_cryptohash_final(context_, digest, sizeof digest));
        return hexadecimal(digest, sizeof digest);
    }

  private:
    static void check(int result) {
        if (result < 0)
            pg::raise(ERRCODE_INTERNAL_ERROR, "could not compute SHA-256");
    }
    pg_cryptohash_ctx* context_;
};

std::string sha256_of(const std::string& text) {
    Sha256 sha;
    sha.add(text.data(), text.size());
    return sha.hex();
}

std::string root_path() {
    std::string path = settings::archive_directory != nullptr ? settings::archive_directory : "";
    if (path.empty())
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "archives in files are switched off", {},
                  "A superuser names the folder below which they may lie in citadel_opt.archive_directory.");
    if (path[0] != '/')
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE,
                  "citadel_opt.archive_directory must be an absolute path, not \"" + path + "\"");
    return path;
}

// The folder that holds the last step of `location`, and that step.
struct Place {
    Folder parent;
    std::string name;
};

Place place_of(const std::string& location, bool create) {
    const std::string root = root_path();
    const std::vector<std::string> steps = steps_below(root, location);
    if (steps.empty())
        throw std::invalid_argument("an archive has a folder of its own");
    Folder folder = Folder::open_root(root);
    for (std::size_t i = 0; i + 1 < steps.size(); ++i)
        folder = folder.enter(steps[i], create);
    return {std::move(folder), steps.back()};
}

// Compressed bytes on their way to the file.
class FileSink : public format::Sink {
  public:
    FileSink(const Descriptor& file, std::string path) : file_(file), path_(std::move(path)) {}
    void write(const char* data, std::size_t count) override {
        sha.add(data, count);
        write_all(file_, data, count, path_);
        bytes += static_cast<std::int64_t>(count);
    }
    Sha256 sha;
    std::int64_t bytes = 0;

  private:
    const Descriptor& file_;
    std::string path_;
};

class FileInput : public format::Input {
  public:
    FileInput(const Descriptor& file, std::string path) : file_(file), path_(std::move(path)) {}
    std::size_t read(char* data, std::size_t count) override {
        const std::size_t got = read_some(file_, data, count, path_);
        sha.add(data, got);
        bytes += static_cast<std::int64_t>(got);
        return got;
    }
    Sha256 sha;
    std::int64_t bytes = 0;

  private:
    const Descriptor& file_;
    std::string path_;
};

std::string read_text(const Folder& folder, const std::string& name, std::size_t limit) {
    const std::string path = folder.path() + "/" + name;
    const Descriptor file = folder.open(name);
    std::string text;
    char buffer[8192];
    while (const std::size_t got = read_some(file, buffer, sizeof buffer, path)) {
        text.append(buffer, got);
        if (text.size() > limit)
            throw format::Error("\"" + path + "\" is too large for a manifest");
    }
    return text;
}

// Writes a file so that it is either there whole or not at all. `fill` gets the open file and its path.
template <class Fill>
void write_file(const Folder& folder, const std::string& name, Fill&& fill) {
    const std::string temporary = name + unfinished;
    // Left by a crash; nobody knows of them yet.
    folder.remove(temporary);
    folder.remove(name);
    {
        const Descriptor file = folder.create(temporary);
        fill(file, folder.path() + "/" + temporary);
        pg::fault_point("archive_file_sync");
        sync_file(file, folder.path() + "/" + temporary);
    }
    folder.rename(temporary, name);
    folder.sync();
}

format::Manifest manifest_of(const Entry& entry, const std::vector<Part>& parts) {
    format::Manifest manifest;
    const std::size_t slash = entry.location.rfind('/');
    manifest.archive = slash == std::string::npos ? entry.location : entry.location.substr(slash + 1);
    manifest.database = pg::guard([] { return get_database_name(MyDatabaseId); });
    manifest.server = PG_VERSION;
    manifest.encoding = GetDatabaseEncodingName();
    manifest.schema = entry.source_schema;
    manifest.name = entry.source_name;
    manifest.origin_schema = entry.origin_schema;
    manifest.origin_name = entry.origin_name;
    manifest.owner = entry.owner_name;
    manifest.lower_bound = entry.lower_bound;
    manifest.upper_bound = entry.upper_bound;
    manifest.partition_bound = entry.bound;
    manifest.created_at = entry.created_at;
    manifest.columns = entry.columns;
    for (const Part& part : parts)
        manifest.segments.push_back(
            {format::segment_name(part.number), part.hash.rows, part.bytes, part.sha256, part.hash.hex()});
    const ContentHash sum = sum_of(parts);
    manifest.rows = sum.rows;
    manifest.hash = sum.hex();
    return manifest;
}

std::string safe_name(const std::string& name) {
    std::string safe;
    for (const char c : name.substr(0, 60))
        safe += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ? c : '_';
    return safe;
}

} // namespace

std::string problem(const std::string& folder, Oid owner) {
    try {
        translated([&] {
            if (!pg::guard([owner] { return has_privs_of_role(owner, ROLE_PG_WRITE_SERVER_FILES); }))
                pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "the table's owner is no member of pg_write_server_files");
            Folder place = Folder::open_root(root_path());
            for (const std::string& step : steps_below(root_path(), folder)) {
                if (!place.contains(step))
                    return;
                place = place.enter(step);
            }
        });
        return {};
    } catch (const pg::Error& error) {
        return error.what();
    }
}

std::string new_location(const std::string& folder, const std::string& name) {
    return translated([&] {
        std::string location;
        for (const std::string& step : steps_below(root_path(), folder))
            location += step + "/";
        return location + safe_name(name) + "." + unique_digits();
    });
}

void write_part(const Entry& entry, const OpenRelation& source, Part& part) {
    translated([&] {
        const Place place = place_of(entry.location, true);
        const Folder folder = place.parent.enter(place.name + unfinished, true);
        write_file(folder, format::segment_name(part.number), [&](const Descriptor& file, const std::string& path) {
            FileSink sink(file, path);
            format::Writer writer(sink);
            {
                pg::RoleScope owner(entry.owner);
                const RowEncoder encoder(source.shape(), entry.column_names(), GetDatabaseEncoding());
                part.hash = scan_blocks(source, encoder, part.first, part.end,
                                        [&writer](const char* rows, std::size_t bytes) { writer.write(rows, bytes); });
                owner.leave();
            }
            writer.finish();
            pg::fault_point("archive_file_written");
            part.bytes = sink.bytes;
            part.sha256 = sink.sha.hex();
        });
    });
    pg::fault_point("archive_file_renamed");
}

std::string finish(const Entry& entry, const std::vector<Part>& parts) {
    return translated([&] {
        const std::string text = format::write_manifest(manifest_of(entry, parts));
        const Place place = place_of(entry.location, true);
        // A crash may have come between the rename and our commit.
        if (!place.parent.contains(place.name)) {
            const Folder folder = place.parent.enter(place.name + unfinished, true);
            write_file(folder, format::manifest_file, [&text](const Descriptor& file, const std::string& path) {
                write_all(file, text.data(), text.size(), path);
            });
            pg::fault_point("archive_file_manifest");
            place.parent.rename(place.name + unfinished, place.name);
            place.parent.sync();
        }
        pg::fault_point("archive_file_finished");
        return sha256_of(text);
    });
}

void discard(const Entry& entry) {
    translated([&] {
        const Place place = place_of(entry.location, true);
        place.parent.remove_folder(place.name + unfinished);
        place.parent.remove_folder(place.name);
        place.parent.sync();
    });
}

format::Manifest read_manifest(const std::string& location, const std::string& sha256, std::string* found) {
    return translated([&] {
        const Place place = place_of(location, false);
        const Folder folder = place.parent.enter(place.name);
        const std::string text = read_text(folder, format::manifest_file, format::max_manifest_bytes);
        if (found != nullptr)
            *found = sha256_of(text);
        if (!sha256.empty() && sha256_of(text) != sha256)
            throw format::Error("the manifest in \"" + folder.path() + "\" is not the one that was written");
        return format::read_manifest(text);
    });
}

namespace {

// Deep enough for folders by year and month; a bound, whatever lies there.
constexpr int max_depth = 8;

void collect_locations(const Folder& folder, const std::string& location, int depth,
                       std::vector<std::string>& locations) {
    if (!location.empty() && folder.contains(format::manifest_file)) {
        locations.push_back(location);
        return;
    }
    if (depth == max_depth)
        return;
    for (const std::string& name : folder.list()) {
        if (name.size() > strlen(unfinished) && name.substr(name.size() - strlen(unfinished)) == unfinished)
            continue;
        try {
            std::string below = location;
            if (!below.empty())
                below += '/';
            below += name;
            collect_locations(folder.enter(name), below, depth + 1, locations);
        } catch (const std::system_error&) {
            // A file, a link, or a folder that is not ours to read.
            continue;
        }
    }
}

// A segment file of an archive, open for reading from its beginning.
struct OpenPart {
    OpenPart(const Entry& entry, const Part& wanted)
        : part(wanted), place(place_of(entry.location, false)), folder(place.parent.enter(place.name)),
          path(folder.path() + "/" + format::segment_name(wanted.number)),
          file(folder.open(format::segment_name(wanted.number))), input(file, path) {}

    [[noreturn]] void damaged(const std::string& what) const { throw format::Error("\"" + path + "\": " + what); }
    // Once all was read.
    void check_bytes() {
        if (input.bytes != part.bytes || input.sha.hex() != part.sha256)
            damaged("the file is not the one that was written: its SHA-256 is another");
    }

    const Part& part;
    Place place;
    Folder folder;
    std::string path;
    Descriptor file;
    FileInput input;
};

} // namespace

std::vector<std::string> all_locations() {
    std::vector<std::string> locations;
    if (settings::archive_directory == nullptr || settings::archive_directory[0] == '\0')
        return locations;
    translated([&] { collect_locations(Folder::open_root(root_path()), "", 0, locations); });
    return locations;
}

int encoding_of(const Entry& entry) {
    const std::string name = read_manifest(entry.location, entry.checksum).encoding;
    const int encoding = pg_char_to_encoding(name.c_str());
    if (encoding < 0)
        pg::raise(ERRCODE_DATA_CORRUPTED, "the manifest names an encoding that does not exist: \"" + name + "\"");
    return encoding;
}

void check_part(const Entry& entry, const Part& part) {
    translated([&] {
        OpenPart open(entry, part);
        std::string buffer(std::size_t{1} << 16, '\0');
        while (open.input.read(buffer.data(), buffer.size()) > 0)
            pg::guard([] { CHECK_FOR_INTERRUPTS(); });
        open.check_bytes();
    });
}

void read_part(const Entry& entry, const Part& part, const RowTaker& row) {
    translated([&] {
        OpenPart open(entry, part);
        ContentHash hash;
        try {
            format::Reader reader(open.input, entry.columns.size());
            while (reader.next()) {
                hash.add(reader.tuple().data(), reader.tuple().size());
                if (hash.rows > part.hash.rows)
                    throw format::Error("there are more rows than the catalogue knows of");
                if (row)
                    row(reader);
                if ((hash.rows & 0xfff) == 0)
                    pg::guard([] { CHECK_FOR_INTERRUPTS(); });
            }
        } catch (const format::Error& error) {
            open.damaged(error.what());
        }
        open.check_bytes();
        if (hash != part.hash)
            open.damaged("its rows are not those that were written");
    });
}

} // namespace citadel::lifecycle::archive::file
