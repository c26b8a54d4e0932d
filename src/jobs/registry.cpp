#include "jobs/jobs.hpp"

#include <array>
#include <stdexcept>
#include <string>

namespace citadel::jobs {

namespace {

std::array<Tick, max_ticks> ticks{};
std::array<JobDefinition, max_jobs> jobs{};
size_t ticks_used = 0;
size_t jobs_used = 0;

void check_name(const char* name) {
    if (name == nullptr || *name == '\0')
        throw std::logic_error("a tick or job needs a name");
    if (std::string_view(name).size() > max_job_name)
        throw std::logic_error(std::string("name too long: ") + name);
}

} // namespace

void register_tick(const Tick& tick) {
    check_name(tick.name);
    if (tick.run == nullptr || tick.period_ms == nullptr)
        throw std::logic_error(std::string("tick without a function: ") + tick.name);
    for (size_t i = 0; i < ticks_used; ++i)
        if (std::string_view(ticks[i].name) == tick.name)
            throw std::logic_error(std::string("tick registered twice: ") + tick.name);
    if (ticks_used == max_ticks)
        throw std::logic_error(std::string("no room for tick: ") + tick.name);
    ticks[ticks_used++] = tick;
}

void register_job(const JobDefinition& job) {
    check_name(job.name);
    if (job.run == nullptr || job.default_schedule == nullptr || job.description == nullptr)
        throw std::logic_error(std::string("incomplete job: ") + job.name);
    if (find_job(job.name) != nullptr)
        throw std::logic_error(std::string("job registered twice: ") + job.name);
    if (jobs_used == max_jobs)
        throw std::logic_error(std::string("no room for job: ") + job.name);
    jobs[jobs_used++] = job;
}

size_t tick_count() {
    return ticks_used;
}
const Tick& tick_at(size_t i) {
    return ticks.at(i);
}
size_t job_count() {
    return jobs_used;
}
const JobDefinition& job_at(size_t i) {
    return jobs.at(i);
}

const JobDefinition* find_job(std::string_view name) {
    for (size_t i = 0; i < jobs_used; ++i)
        if (name == jobs[i].name)
            return &jobs[i];
    return nullptr;
}

void forget_registrations() {
    ticks_used = 0;
    jobs_used = 0;
}

} // namespace citadel::jobs
