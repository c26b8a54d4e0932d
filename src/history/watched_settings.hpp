// Which settings can make a statement slower, and by what. Server-free.
#pragma once

#include <string_view>

namespace citadel::history {

enum class SettingEffect {
    none,     // not watched
    planning, // which plan is chosen
    memory,   // how much a plan node may use before it writes to disk; also part of the costs
    io        // caching, reading, writing, parallelism
};

SettingEffect effect_of(std::string_view setting);

} // namespace citadel::history
