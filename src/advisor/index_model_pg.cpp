#include "advisor/index_model_pg.hpp"

#include "advisor/index_size_pg.hpp"

namespace citadel::advisor {

std::function<IndexSize(double)> size_model(const HypotheticalIndex& index, const IndexOptInfo& form, Oid table) {
    const int fill_factor = index.fill_factor;
    return [table, fill_factor, &form](double rows) {
        SizedIndex sized = sized_index(table, rows, form);
        if (fill_factor > 0)
            sized.fill_factor = fill_factor;
        return btree_size(sized);
    };
}

} // namespace citadel::advisor
