#include "lifecycle/archive_format.hpp"
#include "lifecycle/archive_manifest.hpp"
#include "lifecycle/content_hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <zstd.h>

using namespace citadel::lifecycle; // NOLINT(google-build-using-namespace)

namespace {

class Memory : public format::Sink {
  public:
    void write(const char* data, std::size_t bytes) override { content.append(data, bytes); }
    std::string content;
};

// Gives out its bytes in pieces, as a file system may.
class Pieces : public format::Input {
  public:
    explicit Pieces(std::string content, std::size_t piece = 1 << 16) : content_(std::move(content)), piece_(piece) {}
    std::size_t read(char* data, std::size_t bytes) override {
        const std::size_t count = std::min({bytes, piece_, content_.size() - at_});
        std::memcpy(data, content_.data() + at_, count);
        at_ += count;
        return count;
    }

  private:
    std::string content_;
    std::size_t piece_;
    std::size_t at_ = 0;
};

std::string integer(std::uint32_t value, int bytes) {
    std::string out;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        out += static_cast<char>(value >> shift & 0xff);
    return out;
}

using Row = std::vector<std::optional<std::string>>;

std::string tuple_of(const Row& row) {
    std::string out = integer(static_cast<std::uint32_t>(row.size()), 2);
    for (const auto& value : row)
        out += value ? integer(static_cast<std::uint32_t>(value->size()), 4) + *value : integer(0xffffffff, 4);
    return out;
}

std::string file_of(const std::vector<Row>& rows) {
    Memory memory;
    format::Writer writer(memory);
    for (const Row& row : rows) {
        const std::string tuple = tuple_of(row);
        writer.write(tuple.data(), tuple.size());
    }
    writer.finish();
    return memory.content;
}

// A frame around bytes of our choice, with everything right but what the test got wrong.
std::string frame_around(const std::string& content) {
    std::string out(ZSTD_compressBound(content.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), content.data(), content.size(), 1));
    return out;
}

const std::string header("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);

std::vector<Row> read_all(const std::string& file, std::size_t columns, std::size_t piece = 1 << 16,
                          std::size_t limit = format::max_tuple_bytes) {
    Pieces input(file, piece);
    format::Reader reader(input, columns, limit);
    std::vector<Row> rows;
    while (reader.next()) {
        Row row;
        for (const format::Field& field : reader.fields()) {
            if (field.bytes < 0)
                row.emplace_back(std::nullopt);
            else
                row.emplace_back(std::string(field.data, static_cast<std::size_t>(field.bytes)));
        }
        EXPECT_EQ(std::string(reader.tuple()), tuple_of(row));
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string error_of(const std::string& file, std::size_t columns) {
    try {
        read_all(file, columns);
    } catch (const format::Error& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST(ArchiveFormat, GivesBackWhatWasWritten) {
    const std::vector<Row> rows = {{"1", "one", std::nullopt},
                                   {"2", "", "x"},
                                   {std::nullopt, std::nullopt, std::nullopt},
                                   {"4", std::string(300, '\0'), "z"}};
    EXPECT_EQ(read_all(file_of(rows), 3), rows);
    EXPECT_EQ(read_all(file_of(rows), 3, 1), rows);
    EXPECT_TRUE(read_all(file_of({}), 3).empty());
    EXPECT_EQ(read_all(file_of({{}, {}}), 0).size(), 2U);
}

TEST(ArchiveFormat, RowsLargerThanTheBuffers) {
    std::mt19937 random(7); // NOLINT(cert-msc32-c,cert-msc51-cpp)
    std::vector<Row> rows;
    for (const std::size_t bytes : {100U, 3000000U, 7U, 900000U, 0U}) {
        std::string value(bytes, '\0');
        for (char& c : value)
            c = static_cast<char>(random());
        rows.push_back({value, std::to_string(bytes)});
    }
    EXPECT_EQ(read_all(file_of(rows), 2), rows);
    EXPECT_EQ(read_all(file_of(rows), 2, 4097), rows);
}

TEST(ArchiveFormat, IsTheServersOwnFormat) {
    const std::string file = file_of({{"a"}});
    std::string plain(1000, '\0');
    plain.resize(ZSTD_decompress(plain.data(), plain.size(), file.data(), file.size()));
    EXPECT_EQ(plain, header + tuple_of({"a"}) + integer(0xffff, 2));
}

TEST(ArchiveFormat, EveryTruncationIsFound) {
    const std::string file = file_of({{"1", "one"}, {"2", std::nullopt}});
    for (std::size_t length = 0; length < file.size(); ++length)
        EXPECT_NE(error_of(file.substr(0, length), 2), "") << length << " of " << file.size();
}

TEST(ArchiveFormat, EveryFlippedBitIsFound) {
    const std::vector<Row> rows = {{"1", "one one one one"}, {"2", std::nullopt}, {"3", "three"}};
    const std::string file = file_of(rows);
    for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
        std::string damaged = file;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
        // A few bits of a frame's header mean nothing to its content; whatever is read without an error is right.
        if (error_of(damaged, 2).empty()) {
            EXPECT_EQ(read_all(damaged, 2), rows) << "bit " << bit;
        }
    }
}

TEST(ArchiveFormat, NothingMayFollow) {
    const std::string file = file_of({{"1"}});
    EXPECT_EQ(error_of(file + "x", 1), "there are bytes behind the end of the file's frame");
    EXPECT_EQ(error_of(file + file, 1), "there are bytes behind the end of the file's frame");
    EXPECT_EQ(error_of(frame_around(header + integer(0xffff, 2) + "x"), 1), "there are data behind the last row");
}

TEST(ArchiveFormat, RefusesWhatIsNotOurs) {
    EXPECT_NE(error_of("", 1), "");
    EXPECT_NE(error_of("no zstd at all, but long enough to look at", 1), "");
    EXPECT_EQ(error_of(frame_around("a,b,c\n1,2,3\n4,5,6\n7,8,9\n"), 1),
              "the data are not in the binary format of COPY");
    std::string flags = header;
    flags[12] = 1; // OIDs, as old servers had them
    EXPECT_NE(error_of(frame_around(flags + integer(0xffff, 2)), 1).find("variant"), std::string::npos);
    EXPECT_EQ(error_of(frame_around(header), 1), "the data end in the middle of a row");
}

TEST(ArchiveFormat, LengthsAreClaims) {
    // A value that claims a gigabyte and brings three bytes: refused at the end of the data, without the gigabyte.
    EXPECT_EQ(error_of(frame_around(header + integer(1, 2) + integer(0x3ffffffe, 4) + "abc"), 1),
              "a row is longer than the server allows");
    EXPECT_EQ(error_of(frame_around(header + integer(1, 2) + integer(0x30000000, 4) + "abc"), 1),
              "the data end in the middle of a row");
    EXPECT_EQ(error_of(frame_around(header + integer(1, 2) + integer(0xfffffffe, 4) + "abc"), 1),
              "a value has a negative length");
    EXPECT_EQ(error_of(frame_around(header + integer(1, 2) + integer(0x7fffffff, 4) + "abc"), 1),
              "a row is longer than the server allows");
    EXPECT_EQ(error_of(file_of({{"1", "2"}}), 1), "a row has 2 columns instead of 1");
    EXPECT_EQ(error_of(file_of({{"1"}}), 2), "a row has 1 columns instead of 2");
    EXPECT_THROW(read_all(file_of({{"12345"}, {std::string(100, 'x')}}), 1, 1 << 16, 50), format::Error);
}

TEST(ArchiveFormat, WantsNoMoreMemoryThanItShould) {
    // A frame with a window of 128 MB.
    const std::string content = header + tuple_of({std::string(1000, 'x')}) + integer(0xffff, 2);
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
    ZSTD_inBuffer in{content.data(), content.size(), 0};
    std::string file(4096, '\0');
    ZSTD_outBuffer out{file.data(), file.size(), 0};
    // Flushed before its end, so that the frame does not know its own size.
    ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
    ZSTD_compressStream2(context, &out, &in, ZSTD_e_end);
    ZSTD_freeCCtx(context);
    file.resize(out.pos);
    EXPECT_NE(error_of(file, 1).find("memory"), std::string::npos) << error_of(file, 1);
}

// Whatever the bytes are, the reader ends with rows or an error: nothing else.
TEST(ArchiveFormat, RandomDamageNeverCrashes) {
    std::mt19937 random(11); // NOLINT(cert-msc32-c,cert-msc51-cpp)
    std::string plain = header;
    for (int i = 0; i < 50; ++i)
        plain += tuple_of({std::to_string(i), std::string(static_cast<std::size_t>(i), 'v'), std::nullopt});
    plain += integer(0xffff, 2);
    for (int round = 0; round < 3000; ++round) {
        std::string damaged = plain;
        for (int change = 0; change < 3; ++change)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        try {
            read_all(frame_around(damaged), 3, 1 + random() % 100);
        } catch (const format::Error& error) {
            EXPECT_STRNE(error.what(), "");
        }
    }
}

namespace {

format::Manifest a_manifest() {
    format::Manifest manifest;
    manifest.archive = "16384.17";
    manifest.database = "tasks";
    manifest.server = "15.20";
    manifest.encoding = "UTF8";
    manifest.schema = "public";
    manifest.name = "odd\tname\nwith \\ everything\r";
    manifest.owner = "o'wner";
    manifest.lower_bound = "2024-01-01 00:00:00+00";
    manifest.partition_bound = "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')";
    manifest.columns = {{"id", "bigint", "", true, ""},
                        {"a\tb", "numeric(10,2)", "", false, "(id * 2)"},
                        {"c", "text", "pg_catalog.\"C\"", false, ""}};
    ContentHash first;
    first.add("a", 1);
    ContentHash second;
    second.add("b", 1);
    manifest.segments = {{format::segment_name(1), 1, 100, std::string(64, 'a'), first.hex()},
                         {format::segment_name(2), 1, 200, std::string(64, 'b'), second.hex()}};
    ContentHash sum = first;
    sum += second;
    manifest.rows = sum.rows;
    manifest.hash = sum.hex();
    return manifest;
}

// Puts the right checksum under changed lines: what somebody would do who means it.
std::string with_checksum(std::string text) {
    text.resize(text.rfind("checksum\t"));
    ContentHash hash;
    hash.add(text.data(), text.size());
    return text + "checksum\t" + hash.hex() + "\n";
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    text.replace(text.find(what), what.size(), by);
    return text;
}

std::string manifest_error(const std::string& text) {
    try {
        format::read_manifest(text);
    } catch (const format::Error& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST(ArchiveManifest, GivesBackWhatWasWritten) {
    EXPECT_EQ(format::read_manifest(format::write_manifest(a_manifest())), a_manifest());
    format::Manifest empty;
    empty.hash = ContentHash{}.hex();
    EXPECT_EQ(format::read_manifest(format::write_manifest(empty)), empty);
}

TEST(ArchiveManifest, EveryTruncationAndEveryChangeIsFound) {
    const std::string text = format::write_manifest(a_manifest());
    for (std::size_t length = 0; length < text.size(); ++length)
        EXPECT_NE(manifest_error(text.substr(0, length)), "") << length;
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string changed = text;
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        EXPECT_NE(manifest_error(changed), "") << i;
    }
    EXPECT_NE(manifest_error(text + "x"), "");
}

TEST(ArchiveManifest, WithTheRightChecksumStillChecked) {
    const std::string text = format::write_manifest(a_manifest());
    EXPECT_EQ(manifest_error(with_checksum(text)), "");
    EXPECT_NE(manifest_error(with_checksum(replaced(text, "000001.copy.zst", "../../etc/passwd"))).find("names a file"),
              std::string::npos);
    EXPECT_NE(manifest_error(with_checksum(replaced(text, "000002.copy.zst", "000001.copy.zst"))).find("twice"),
              std::string::npos);
    EXPECT_NE(manifest_error(with_checksum(replaced(text, "content\t2", "content\t3"))).find("contradicts"),
              std::string::npos);
    EXPECT_NE(manifest_error(with_checksum(replaced(text, "content\t2", "content\t-2"))).find("number"),
              std::string::npos);
    EXPECT_NE(
        manifest_error(with_checksum(replaced(text, "content\t2", "content\t99999999999999999999"))).find("number"),
        std::string::npos);
    EXPECT_NE(manifest_error(with_checksum(replaced(text, "column\tid", "colunm\tid"))).find("does not know"),
              std::string::npos);
    EXPECT_NE(manifest_error(with_checksum(replaced(text, "column\tid\t", "column\tid\t\\q"))).find("escape"),
              std::string::npos);
    EXPECT_NE(manifest_error(with_checksum(replaced(text, "column\tid\t", "column\tid\tx\t"))).find("fields"),
              std::string::npos);
    EXPECT_NE(manifest_error(with_checksum(replaced(text, "owner\t", "owner\tx\t"))).find("fields"), std::string::npos);
    format::Manifest uncountable = a_manifest();
    for (format::Segment& segment : uncountable.segments)
        segment.rows = std::numeric_limits<std::int64_t>::max();
    EXPECT_NE(manifest_error(format::write_manifest(uncountable)).find("more rows"), std::string::npos);
}

TEST(ArchiveManifest, NamesOfSegments) {
    EXPECT_EQ(format::segment_name(1), "000001.copy.zst");
    EXPECT_TRUE(format::is_segment_name(format::segment_name(12345678)));
    for (const char* name :
         {"", ".", "..", "1.copy.zst", "000001.copy", "/00001.copy.zst", "00000a.copy.zst", "../../000001.copy.zst"})
        EXPECT_FALSE(format::is_segment_name(name)) << name;
}
