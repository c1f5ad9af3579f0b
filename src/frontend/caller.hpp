// Who asks: the tenant whose key a request has, and what its head says of the caller.
//
// Pure.
#pragma once

#include "access/key_table.hpp"
#include "base/clock.hpp"
#include "gateway/gateway.hpp"
#include "io/http_message.hpp"

namespace deepseek::frontend {

// From the Authorization or x-api-key field; lives as long as the table. unauthenticated otherwise.
base::Result<const access::Tenant*> authenticate(const access::KeyTable& keys,
                                                 const io::HttpFields& fields);

// The same for what costs money: insufficient_balance if the tenant has none left.
base::Result<const access::Tenant*> authenticate_to_spend(const access::KeyTable& keys,
                                                          const io::HttpFields& fields);

// What it refers to lives as long as the request. The DeepSeek-Priority field counts as far as the
// tenant may raise it; anything but a number means 0.
gateway::Caller make_caller(const access::Tenant& tenant, const io::HttpFields& fields,
                            base::TimePoint arrived);

}  // namespace deepseek::frontend
