// A limit on how long the planner may take over one statement.
#pragma once

namespace citadel::advisor {

// While alive, planning in this backend raises 54000 once it has taken so many milliseconds; 0: no limit. Looked at
// whenever the planner joins two relations, so what is planned without a join runs to its end. The inner of nested ones
// counts.
class PlanningLimit {
  public:
    explicit PlanningLimit(int milliseconds);
    PlanningLimit(const PlanningLimit&) = delete;
    PlanningLimit& operator=(const PlanningLimit&) = delete;
    ~PlanningLimit();

  private:
    double outer_deadline_;
    int outer_limit_;
};

// Installs the planner hook.
void install_planning_limit();

} // namespace citadel::advisor
