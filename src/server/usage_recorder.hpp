// Puts what every attempt used and cost into the ledger.
//
// Owned by Server, called on I/O threads; never waits.
#pragma once

#include "gateway/attempt_record.hpp"
#include "gateway/route/price.hpp"
#include "ledger/usage_ledger.hpp"
#include "server/configuration.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace deepseek::server {

class UsageRecorder final : public gateway::AttemptObserver {
 public:
  UsageRecorder(std::unique_ptr<ledger::UsageLedger> ledger, const Configuration& configuration);
  void on_attempt(const gateway::AttemptRecord& record) override;
  // Prices of a changed configuration. Any thread.
  void set_prices(const Configuration& configuration);
  // Writes what waits; nothing is recorded afterwards.
  void stop() { ledger_->stop(); }

 private:
  struct Priced {
    gateway::TokenPrices prices;
    std::string currency;
  };
  using Prices = std::map<std::string, Priced, std::less<>>;  // by backend
  std::shared_ptr<const Prices> prices() const;

  std::unique_ptr<ledger::UsageLedger> ledger_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Prices> prices_;  // backends that cost something
};

// Opens the ledger in the data directory; null when ledger.enabled is false. The error names the
// file.
base::Result<std::unique_ptr<UsageRecorder>> make_usage_recorder(const Configuration& configuration,
                                                                 base::Logger logger);

// Where the server keeps its files: data_dir, or the usual place of this user.
std::string data_directory(const Configuration& configuration);

}  // namespace deepseek::server
