// Named fault points: places where a test makes an error, a crash or a delay happen.
#pragma once

namespace citadel::pg {

// Does nothing unless citadel_opt.debug_fault names this point:
//   'name:error'      raises an error (SQLSTATE XX000)
//   'name:crash'      ends the process with SIGKILL
//   'name:sleep=MS'   sleeps that long, interruptibly
//   'name:wait'       sleeps until the configuration is read anew, interruptibly
void fault_point(const char* name);

// Tells the fault points where their setting lives; the settings own the variable.
void set_fault_source(char* const* setting);

} // namespace citadel::pg
