#include "jobs/figures.hpp"

#include <array>
#include <stdexcept>
#include <string>

namespace citadel::jobs {

namespace {

std::array<Figure, max_figures> figures{};
std::size_t figures_used = 0;

bool missing(const char* text) {
    return text == nullptr || *text == '\0';
}

} // namespace

void register_figure(const Figure& figure) {
    if (missing(figure.name))
        throw std::logic_error("a figure needs a name");
    if (missing(figure.unit) || missing(figure.description) || missing(figure.sql))
        throw std::logic_error(std::string("incomplete figure: ") + figure.name);
    if (find_figure(figure.name) != nullptr)
        throw std::logic_error(std::string("figure registered twice: ") + figure.name);
    if (figures_used == max_figures)
        throw std::logic_error(std::string("no room for figure: ") + figure.name);
    figures[figures_used++] = figure;
}

std::size_t figure_count() {
    return figures_used;
}
const Figure& figure_at(std::size_t i) {
    return figures.at(i);
}

const Figure* find_figure(std::string_view name) {
    for (std::size_t i = 0; i < figures_used; ++i)
        if (name == figures[i].name)
            return &figures[i];
    return nullptr;
}

void forget_figures() {
    figures_used = 0;
}

} // namespace citadel::jobs
