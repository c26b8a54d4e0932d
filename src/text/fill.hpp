// Statements whose parts vary, written as they will be read.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace citadel {

// The form with each {name} replaced by that name's text; texts are not looked into again. Braces around anything but
// letters, digits and underscores stand for themselves, as in '{}'. A name that is not given is a std::logic_error.
std::string fill(std::string_view form, std::initializer_list<std::pair<std::string_view, std::string_view>> texts);

} // namespace citadel
