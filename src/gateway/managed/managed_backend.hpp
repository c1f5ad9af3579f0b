// A managed program as a Backend: a relay to its port, and a wait while it is not ready.
//
// Made by main(), used by all I/O threads; immutable. The process and the relay outlive it. Who
// asks while the program starts waits for a short time, as for a local engine, and is then told
// when to come again.
#pragma once

#include "gateway/backend.hpp"
#include "gateway/managed/managed_process.hpp"

namespace deepseek::gateway {

class ManagedBackend final : public Backend {
 public:
  // How long a request waits for a program that is not ready.
  static constexpr base::Milliseconds ready_wait{2'000};

  ManagedBackend(ManagedProcess& process, Backend& relay) : process_(process), relay_(relay) {}

  std::unique_ptr<EventStream> start(const Attempt& attempt) override;
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt& attempt) override;
  BackendStatus status() const override { return process_.status(); }
  bool ready() const override { return process_.ready(); }

 private:
  ManagedProcess& process_;
  Backend& relay_;
};

}  // namespace deepseek::gateway
