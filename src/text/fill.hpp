// Statements whose parts vary, written as they will be read.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace citadel {

// The form with each {name} replaced by that name's text; texts are not looked into again. Braces around anything but
// letters, digits and underscores stand for themselves, as in '{}'. A name that is not given is a std::logic_error.
std::string fill(std::string_view form, const std::map<std::string_view, std::string>& texts);

} // namespace citadel
