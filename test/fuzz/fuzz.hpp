// What the fuzz targets share. A target is a function over bytes that must neither crash nor, under sanitizers, be
// reported; what it says of its results is checked with `must`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace citadel::fuzz {

inline void must(bool holds) {
    if (!holds)
        std::abort();
}

// Takes values off the front of the input; zeros when it is used up.
class Bytes {
  public:
    Bytes(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

    template <typename T>
    T take() {
        T value{};
        const std::size_t bytes = rest_.size() < sizeof(T) ? rest_.size() : sizeof(T);
        if (bytes > 0)
            std::memcpy(&value, rest_.data(), bytes);
        rest_.remove_prefix(bytes);
        return value;
    }
    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
};

} // namespace citadel::fuzz
