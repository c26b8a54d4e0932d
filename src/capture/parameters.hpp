// A parameter set as it lies in shared memory: for each literal and bind its kind, type and bytes, one after another.
// The writer appends to a bounded buffer without allocating.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace citadel::capture {

class ParameterWriter {
  public:
    ParameterWriter(char* out, std::size_t size) : out_(out), size_(size) {}
    void literal(std::string_view token) { put('l', 0, token, false); }
    void bind(std::uint32_t type, std::string_view value) { put('b', type, value, false); }
    void null_bind(std::uint32_t type) { put('b', type, {}, true); }
    bool complete() const { return complete_; }
    std::string_view packed() const { return {out_, length_}; }

  private:
    struct Head {
        std::uint32_t type;
        std::uint32_t length; // no value: 0xffffffff
        char kind;
    };
    friend class ParameterReader;
    void put(char kind, std::uint32_t type, std::string_view value, bool null) {
        if (!complete_ || length_ + sizeof(Head) + value.size() > size_) {
            complete_ = false;
            return;
        }
        Head head{};
        head.type = type;
        head.length = null ? 0xffffffffU : static_cast<std::uint32_t>(value.size());
        head.kind = kind;
        std::memcpy(out_ + length_, &head, sizeof head);
        length_ += sizeof head;
        if (!value.empty())
            std::memcpy(out_ + length_, value.data(), value.size());
        length_ += value.size();
    }

    char* out_;
    std::size_t size_;
    std::size_t length_ = 0;
    bool complete_ = true;
};

class ParameterReader {
  public:
    explicit ParameterReader(std::string_view packed) : packed_(packed) {}
    struct Item {
        char kind; // 'l' literal, 'b' bind
        std::uint32_t type;
        bool null;
        std::string_view value;
    };
    bool next(Item& item) {
        ParameterWriter::Head head;
        if (packed_.size() < sizeof head)
            return false;
        std::memcpy(&head, packed_.data(), sizeof head);
        const bool null = head.length == 0xffffffffU;
        const std::size_t length = null ? 0 : head.length;
        packed_.remove_prefix(sizeof head);
        if (length > packed_.size())
            return false;
        item = {head.kind, head.type, null, packed_.substr(0, length)};
        packed_.remove_prefix(length);
        return true;
    }

  private:
    std::string_view packed_;
};

} // namespace citadel::capture
