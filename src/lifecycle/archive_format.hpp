// The data files of an archive: PostgreSQL's binary COPY format inside one zstd frame. `zstd -dc FILE | psql -c "COPY t
// FROM STDIN (FORMAT binary)"` reads one without this extension.
//
// What a reader gets from a file is checked, never trusted: every length against what is there, memory only for what
// arrived, the frame's own checksum, and that nothing follows the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace citadel::lifecycle::format {

// The bytes are not what they should be.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class Sink {
  public:
    virtual ~Sink() = default;
    virtual void write(const char* data, std::size_t bytes) = 0;
};

class Input {
  public:
    virtual ~Input() = default;
    // Up to `bytes` bytes; 0 at the end.
    virtual std::size_t read(char* data, std::size_t bytes) = 0;
};

// 1 compresses faster than a disk of today writes; higher levels save little on such data.
inline constexpr int default_level = 1;

// A reader refuses frames that want more memory than this to unpack (2^23 bytes; ours want a quarter of it).
inline constexpr int max_window_log = 23;

// A tuple is limited as in the server, which cannot make a larger one either.
inline constexpr std::size_t max_tuple_bytes = 0x3fffffff;

class Writer {
  public:
    explicit Writer(Sink& sink, int level = default_level);
    // Whole tuples in the form of binary COPY: 16-bit number of columns, then each as a 32-bit length and its bytes.
    void write(const char* tuples, std::size_t bytes);
    // The end mark of COPY and of the frame. A writer that was not finished leaves a file that no reader accepts.
    void finish();

  private:
    struct Free {
        void operator()(ZSTD_CCtx_s* context) const;
    };
    void compress(const char* data, std::size_t bytes, bool end);
    Sink& sink_;
    std::unique_ptr<ZSTD_CCtx_s, Free> context_;
    std::vector<char> output_;
};

struct Field {
    const char* data = nullptr;
    std::int32_t bytes = -1; // -1: NULL
};

class Reader {
  public:
    // `columns`: what each tuple must have.
    Reader(Input& input, std::size_t columns, std::size_t tuple_limit = max_tuple_bytes);
    // Goes to the next tuple; false after the last, when the file has ended as it should. Throws Error.
    bool next();
    // The current tuple whole, and its columns; valid until the next call of next().
    std::string_view tuple() const { return {buffer_.data() + tuple_at_, at_ - tuple_at_}; }
    const std::vector<Field>& fields() const { return fields_; }

  private:
    struct Free {
        void operator()(ZSTD_DCtx_s* context) const;
    };
    // Makes `bytes` bytes available behind at_, keeping those from tuple_at_ on.
    void need(std::size_t bytes);
    bool unpack_more();
    std::uint32_t integer(std::size_t bytes);
    void read_header();
    void read_end();

    Input& input_;
    std::size_t columns_;
    std::size_t tuple_limit_;
    std::unique_ptr<ZSTD_DCtx_s, Free> context_;
    std::vector<char> packed_;
    std::size_t packed_at_ = 0, packed_end_ = 0;
    bool input_ended_ = false, frame_ended_ = false;
    std::vector<char> buffer_;
    std::size_t tuple_at_ = 0, at_ = 0, end_ = 0;
    std::vector<Field> fields_;
    std::vector<std::size_t> offsets_;
};

} // namespace citadel::lifecycle::format
