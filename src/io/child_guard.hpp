// The process between the server and a program that it manages: whatever becomes of either, nothing
// that the program started stays behind.
//
// Runs in a process of its own, started by GuardedChild as this same program with
// `child_guard_flag`; one thread, no Asio. It adopts every process that the program leaves behind
// (PR_SET_CHILD_SUBREAPER), so that also those in sessions of their own are found and killed when
// the program ends, or when the server's end of the control pipe closes, which SIGKILL does too.
#pragma once

#include <string_view>

namespace deepseek::io {

inline constexpr std::string_view child_guard_flag = "--guard-child";
inline constexpr int child_guard_control = 3;  // bytes are signals for the program; its end: kill

// `program` is argv of the program, ended by a null pointer; its file is looked for in PATH.
// Returns the exit status to end with, as the program's; ends by the same signal as the program.
int run_child_guard(char** program);

}  // namespace deepseek::io
