// A copy of a request at another backend, whose answer nobody sees: only its cost is recorded.
//
// The copy is its own: it goes on when the client has left, and ends at shutdown. It never makes
// the client wait, and what fails in it fails alone.
#pragma once

#include "gateway/attempt_record.hpp"
#include "gateway/side_work.hpp"
#include "gateway/target.hpp"
#include "protocol/request.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <string>

namespace deepseek::gateway {

struct ShadowOptions {
  std::uint32_t percent = 100;  // of the requests
  base::Milliseconds request_timeout{600'000};
};

// Starts a copy, if chance (`random`) and the percentage want it, the target serves the model, has
// a place free and is in order, and fewer than `shadows_max` run. `target`, `observer` (may be
// null) and `side_work` outlive the tasks of `side_work`.
void start_shadow(const protocol::Request& request, const ShadowOptions& options, Target& target,
                  std::string tenant, AttemptObserver* observer, SideWork& side_work,
                  boost::asio::any_io_executor executor, std::uint64_t random);

}  // namespace deepseek::gateway
