// Tells systemd (Type=notify) about readiness, by the sd_notify protocol, without libsystemd.
//
// Any thread. Without NOTIFY_SOCKET in the environment it does nothing.
#pragma once

#include "base/result.hpp"

#include <string_view>

namespace deepseek::io {

// `state` as "READY=1", "STOPPING=1", "STATUS=text", several separated by '\n'. Sends one datagram
// and never waits. Fails with `internal` and the reason when NOTIFY_SOCKET is set but cannot be
// used.
base::Result<void> notify_systemd(std::string_view state);

}  // namespace deepseek::io
