// Data files of archives: damaged frames, and whole frames around any tuples.
#include "fuzz.hpp"
#include "lifecycle/archive_format.hpp"

#include <algorithm>
#include <string>

using namespace citadel::lifecycle;
using citadel::fuzz::must;

namespace {

class Content : public format::Input {
  public:
    Content(std::string_view content, std::size_t piece) : content_(content), piece_(piece) {}
    std::size_t read(char* data, std::size_t bytes) override {
        const std::size_t count = std::min({bytes, piece_, content_.size()});
        std::memcpy(data, content_.data(), count);
        content_.remove_prefix(count);
        return count;
    }

  private:
    std::string_view content_;
    std::size_t piece_;
};

class Memory : public format::Sink {
  public:
    void write(const char* data, std::size_t bytes) override { content.append(data, bytes); }
    std::string content;
};

void read(std::string_view file, std::size_t columns, std::size_t piece) {
    Content content(file, piece);
    try {
        format::Reader reader(content, columns, 1 << 16);
        std::size_t rows = 0;
        while (reader.next() && ++rows < 100000) {
            must(reader.fields().size() == columns);
            const std::string_view tuple = reader.tuple();
            for (const format::Field& field : reader.fields())
                must(field.bytes < 0 ||
                     (field.data >= tuple.data() && field.data + field.bytes <= tuple.data() + tuple.size()));
        }
    } catch (const format::Error&) {
        // Refused.
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    citadel::fuzz::Bytes bytes(data, size);
    const std::size_t columns = bytes.take<std::uint8_t>() % 8;
    const std::size_t piece = 1 + bytes.take<std::uint8_t>() * std::size_t{16};
    read(bytes.rest(), columns, piece);
    Memory file;
    format::Writer writer(file);
    writer.write(bytes.rest().data(), bytes.rest().size());
    writer.finish();
    read(file.content, columns, piece);
    return 0;
}
