#include "jobs/jobs.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

using namespace citadel::jobs;

namespace {

void tick_run() {}
int tick_period() {
    return 1000;
}
void job_run(int64_t) {}

class Registry : public ::testing::Test {
  protected:
    void SetUp() override { forget_registrations(); }
    void TearDown() override { forget_registrations(); }
};

} // namespace

TEST_F(Registry, KeepsOrderAndFindsByName) {
    register_job({"advise", "finds indexes", "1 hour", false, job_run});
    register_job({"maintain", "tidies up", "1 day", false, job_run});
    register_tick({"drain", tick_run, tick_period});
    EXPECT_EQ(job_count(), 2U);
    EXPECT_STREQ(job_at(1).name, "maintain");
    EXPECT_EQ(find_job("advise"), &job_at(0));
    EXPECT_EQ(find_job("advis"), nullptr);
    EXPECT_EQ(find_job(""), nullptr);
    EXPECT_EQ(tick_count(), 1U);
    EXPECT_EQ(tick_at(0).urgent, nullptr);
}

TEST_F(Registry, RefusesWhatCannotWork) {
    register_job({"advise", "finds indexes", "1 hour", false, job_run});
    EXPECT_THROW(register_job({"advise", "again", "1 hour", false, job_run}), std::logic_error);
    EXPECT_THROW(register_job({"", "no name", "1 hour", false, job_run}), std::logic_error);
    EXPECT_THROW(register_job({nullptr, "no name", "1 hour", false, job_run}), std::logic_error);
    EXPECT_THROW(register_job({"empty", "no function", "1 hour", false, nullptr}), std::logic_error);
    const std::string long_name(max_job_name + 1, 'x');
    EXPECT_THROW(register_job({long_name.c_str(), "", "1 hour", false, job_run}), std::logic_error);
    EXPECT_THROW(register_tick({"drain", nullptr, tick_period}), std::logic_error);
    EXPECT_EQ(job_count(), 1U);
    EXPECT_EQ(tick_count(), 0U);
}

TEST_F(Registry, SaysWhenItIsFull) {
    std::string names[max_jobs + 1];
    for (size_t i = 0; i <= max_jobs; ++i)
        names[i] = "job" + std::to_string(i);
    for (size_t i = 0; i < max_jobs; ++i)
        register_job({names[i].c_str(), "", "1 hour", false, job_run});
    EXPECT_THROW(register_job({names[max_jobs].c_str(), "", "1 hour", false, job_run}), std::logic_error);
}
