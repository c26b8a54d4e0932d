// Which operator classes can use a comparison: by membership in their families, or through planner support functions.
#include "advisor/raw_facts_pg.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "parser/parse_coerce.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace citadel::advisor::raw {

namespace {

bool method_of(Oid oid, AccessMethod* method) {
    switch (oid) {
    case BTREE_AM_OID:
        *method = AccessMethod::btree;
        return true;
    case GIN_AM_OID:
        *method = AccessMethod::gin;
        return true;
    case GIST_AM_OID:
        *method = AccessMethod::gist;
        return true;
    case BRIN_AM_OID:
        *method = AccessMethod::brin;
        return true;
    default:
        return false; // hash is seen by the type cache, others are not built
    }
}

bool has_choice(const Items<AccessChoice>& choices, const AccessChoice& choice) {
    for (const AccessChoice& known : choices)
        if (known == choice)
            return true;
    return false;
}

RegProcedure support_function(Node* clause) {
    if (IsA(clause, OpExpr)) {
        set_opfuncid(reinterpret_cast<OpExpr*>(clause));
        return get_func_support(reinterpret_cast<OpExpr*>(clause)->opfuncid);
    }
    if (IsA(clause, FuncExpr))
        return get_func_support(reinterpret_cast<FuncExpr*>(clause)->funcid);
    return InvalidOid;
}

// Would the planner derive an index condition for a column of this family?
bool derives_condition(const Scan& scan, RegProcedure support, Node* clause, int argument, Oid family, Oid collation) {
    IndexOptInfo index = {};
    index.type = T_IndexOptInfo;
    index.rel = scan.relation;
    SupportRequestIndexCondition request = {};
    request.type = T_SupportRequestIndexCondition;
    request.root = scan.root;
    request.funcid =
        IsA(clause, OpExpr) ? reinterpret_cast<OpExpr*>(clause)->opfuncid : reinterpret_cast<FuncExpr*>(clause)->funcid;
    request.node = clause;
    request.indexarg = argument;
    request.index = &index;
    request.opfamily = family;
    request.indexcollation = collation;
    request.lossy = true;
    return DatumGetPointer(OidFunctionCall1(support, PointerGetDatum(&request))) != nullptr;
}

} // namespace

OperatorClassId class_of_family(Oid method, Oid family, Oid type) {
    const Oid usual = GetDefaultOpClass(type, method);
    if (OidIsValid(usual) && get_opclass_family(usual) == family)
        return 0;
    OperatorClassId found = no_class;
    CatCList* classes = SearchSysCacheList1(CLAAMNAMENSP, ObjectIdGetDatum(method));
    for (int i = 0; i < classes->n_members; ++i) {
        const auto* row = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(&classes->members[i]->tuple));
        if (row->opcfamily != family || !IsBinaryCoercible(type, row->opcintype))
            continue;
        if (row->opcintype == type || row->oid < found)
            found = row->oid;
        if (row->opcintype == type)
            break;
    }
    ReleaseCatCacheList(classes);
    return found;
}

OperatorUse operator_use(Oid operator_id, const Term& term) {
    OperatorUse use;
    const TypeCacheEntry* type = lookup_type_cache(term.type, TYPECACHE_BTREE_OPFAMILY | TYPECACHE_HASH_OPFAMILY);
    if (OidIsValid(type->btree_opf))
        use.btree_strategy = get_op_opfamily_strategy(operator_id, type->btree_opf);
    if (OidIsValid(type->hash_opf))
        use.hashes = get_op_opfamily_strategy(operator_id, type->hash_opf) == HTEqualStrategyNumber;
    CatCList* members = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(operator_id));
    for (int i = 0; i < members->n_members; ++i) {
        const auto* row = reinterpret_cast<Form_pg_amop>(GETSTRUCT(&members->members[i]->tuple));
        AccessMethod method = AccessMethod::btree;
        if (row->amoppurpose != AMOP_SEARCH || !method_of(row->amopmethod, &method))
            continue;
        if (method == AccessMethod::btree && (use.btree_strategy != 0 || row->amopfamily == type->btree_opf))
            continue; // the default class serves
        // What a B-tree can do it does better than an inverted index or a GiST.
        if (use.btree_strategy != 0 && method != AccessMethod::brin)
            continue;
        const OperatorClassId operator_class = class_of_family(row->amopmethod, row->amopfamily, term.type);
        if (operator_class == no_class || (method == AccessMethod::brin && operator_class != 0))
            continue;
        const AccessChoice choice{method, operator_class};
        if (!has_choice(use.others, choice))
            use.others.add(choice);
    }
    ReleaseCatCacheList(members);
    return use;
}

OperatorClassId distance_class(Oid operator_id, const Term& term) {
    OperatorClassId found = no_class;
    CatCList* members = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(operator_id));
    for (int i = 0; i < members->n_members && found == no_class; ++i) {
        const auto* row = reinterpret_cast<Form_pg_amop>(GETSTRUCT(&members->members[i]->tuple));
        if (row->amoppurpose == AMOP_ORDER && row->amopmethod == GIST_AM_OID)
            found = class_of_family(GIST_AM_OID, row->amopfamily, term.type);
    }
    ReleaseCatCacheList(members);
    return found;
}

bool is_distance(Oid operator_id) {
    bool found = false;
    CatCList* members = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(operator_id));
    for (int i = 0; i < members->n_members; ++i)
        found =
            found || reinterpret_cast<Form_pg_amop>(GETSTRUCT(&members->members[i]->tuple))->amoppurpose == AMOP_ORDER;
    ReleaseCatCacheList(members);
    return found;
}

Items<AccessChoice> supported_classes(const Scan& scan, Node* clause, int argument, const Term& term) {
    Items<AccessChoice> found;
    const RegProcedure support = support_function(clause);
    if (!OidIsValid(support))
        return found;
    for (const Oid method_oid : {Oid{BTREE_AM_OID}, Oid{GIST_AM_OID}}) {
        AccessMethod method = AccessMethod::btree;
        (void)method_of(method_oid, &method);
        CatCList* classes = SearchSysCacheList1(CLAAMNAMENSP, ObjectIdGetDatum(method_oid));
        for (int i = 0; i < classes->n_members; ++i) {
            const auto* row = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(&classes->members[i]->tuple));
            if (!IsBinaryCoercible(term.type, row->opcintype) ||
                !derives_condition(scan, support, clause, argument, row->opcfamily, term.collation))
                continue;
            const OperatorClassId operator_class = class_of_family(method_oid, row->opcfamily, term.type);
            const AccessChoice choice{method, operator_class};
            if (operator_class != no_class && !has_choice(found, choice))
                found.add(choice);
        }
        ReleaseCatCacheList(classes);
    }
    return found;
}

} // namespace citadel::advisor::raw
