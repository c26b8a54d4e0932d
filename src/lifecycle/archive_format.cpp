#include "lifecycle/archive_format.hpp"

#include <algorithm>
#include <cstring>

#include <zstd.h>

namespace citadel::lifecycle::format {

namespace {

// What every binary COPY starts with: signature, flags, length of the (empty) extension of the header.
constexpr char copy_header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
constexpr std::size_t header_bytes = sizeof copy_header - 1;
constexpr std::size_t signature_bytes = 11;
constexpr char copy_end[] = "\377\377";
static_assert(header_bytes == 19);

std::size_t checked(std::size_t result, const char* doing) {
    if (ZSTD_isError(result) != 0)
        throw Error(std::string("cannot ") + doing + ": " + ZSTD_getErrorName(result));
    return result;
}

} // namespace

void Writer::Free::operator()(ZSTD_CCtx_s* context) const {
    ZSTD_freeCCtx(context);
}

Writer::Writer(Sink& sink, int level) : sink_(sink), context_(ZSTD_createCCtx()), output_(ZSTD_CStreamOutSize()) {
    if (!context_)
        throw std::bad_alloc();
    checked(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level), "set the level of compression");
    checked(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1), "ask for checksums");
    compress(copy_header, header_bytes, false);
}

void Writer::compress(const char* data, std::size_t bytes, bool end) {
    ZSTD_inBuffer in{data, bytes, 0};
    const ZSTD_EndDirective directive = end ? ZSTD_e_end : ZSTD_e_continue;
    for (;;) {
        ZSTD_outBuffer out{output_.data(), output_.size(), 0};
        const std::size_t left = checked(ZSTD_compressStream2(context_.get(), &out, &in, directive), "compress");
        if (out.pos > 0)
            sink_.write(output_.data(), out.pos);
        if (end ? left == 0 : in.pos == in.size)
            return;
    }
}

void Writer::write(const char* tuples, std::size_t bytes) {
    compress(tuples, bytes, false);
}

void Writer::finish() {
    compress(copy_end, 2, true);
}

void Reader::Free::operator()(ZSTD_DCtx_s* context) const {
    ZSTD_freeDCtx(context);
}

Reader::Reader(Input& input, std::size_t columns, std::size_t tuple_limit)
    : input_(input), columns_(columns), tuple_limit_(tuple_limit), context_(ZSTD_createDCtx()),
      packed_(ZSTD_DStreamInSize()), buffer_(2 * ZSTD_DStreamOutSize()), fields_(columns), offsets_(columns) {
    if (!context_)
        throw std::bad_alloc();
    checked(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, max_window_log), "limit memory");
    read_header();
}

// Adds what one call of the decompressor gives; false when there is no more.
bool Reader::unpack_more() {
    if (frame_ended_)
        return false;
    if (packed_at_ == packed_end_ && !input_ended_) {
        packed_at_ = 0;
        packed_end_ = input_.read(packed_.data(), packed_.size());
        input_ended_ = packed_end_ == 0;
    }
    ZSTD_inBuffer in{packed_.data(), packed_end_, packed_at_};
    ZSTD_outBuffer out{buffer_.data(), buffer_.size(), end_};
    const std::size_t hint = checked(ZSTD_decompressStream(context_.get(), &out, &in), "unpack");
    const bool progress = out.pos > end_ || in.pos > packed_at_;
    packed_at_ = in.pos;
    end_ = out.pos;
    frame_ended_ = hint == 0;
    if (!progress && input_ended_)
        throw Error("the file ends in the middle");
    return true;
}

void Reader::need(std::size_t bytes) {
    while (end_ - at_ < bytes) {
        if (tuple_at_ > 0) {
            std::memmove(buffer_.data(), buffer_.data() + tuple_at_, end_ - tuple_at_);
            at_ -= tuple_at_;
            end_ -= tuple_at_;
            tuple_at_ = 0;
        }
        // A length in the file is a claim: memory grows with the bytes that came, not with what they promise.
        if (end_ == buffer_.size())
            buffer_.resize(buffer_.size() * 2);
        if (!unpack_more())
            throw Error("the data end in the middle of a row");
    }
}

std::uint32_t Reader::integer(std::size_t bytes) {
    need(bytes);
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        value = value << 8 | static_cast<unsigned char>(buffer_[at_ + i]);
    at_ += bytes;
    return value;
}

void Reader::read_header() {
    need(header_bytes);
    if (std::memcmp(buffer_.data(), copy_header, signature_bytes) != 0)
        throw Error("the data are not in the binary format of COPY");
    if (std::memcmp(buffer_.data(), copy_header, header_bytes) != 0)
        throw Error("the data use a variant of the binary COPY format that archives do not have");
    at_ = tuple_at_ = header_bytes;
}

void Reader::read_end() {
    while (end_ == at_ && unpack_more())
        continue;
    if (end_ != at_)
        throw Error("there are data behind the last row");
    char more = 0;
    if (packed_at_ != packed_end_ || (!input_ended_ && input_.read(&more, 1) != 0))
        throw Error("there are bytes behind the end of the file's frame");
}

bool Reader::next() {
    tuple_at_ = at_;
    const auto count = static_cast<std::uint16_t>(integer(2));
    if (count == 0xffff) {
        tuple_at_ = at_;
        read_end();
        return false;
    }
    if (count != columns_)
        throw Error("a row has " + std::to_string(count) + " columns instead of " + std::to_string(columns_));
    for (std::size_t i = 0; i < columns_; ++i) {
        const auto length = static_cast<std::int32_t>(integer(4));
        if (length < -1)
            throw Error("a value has a negative length");
        fields_[i].bytes = length;
        offsets_[i] = at_ - tuple_at_;
        if (length > 0) {
            if (static_cast<std::size_t>(length) > tuple_limit_ - std::min(tuple_limit_, at_ - tuple_at_))
                throw Error("a row is longer than the server allows");
            need(static_cast<std::size_t>(length));
            at_ += static_cast<std::size_t>(length);
        }
    }
    // The buffer may have moved while the tuple was read.
    for (std::size_t i = 0; i < columns_; ++i)
        fields_[i].data = fields_[i].bytes < 0 ? nullptr : buffer_.data() + tuple_at_ + offsets_[i];
    return true;
}

} // namespace citadel::lifecycle::format
