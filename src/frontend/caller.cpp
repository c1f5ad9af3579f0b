#include "frontend/caller.hpp"

#include <algorithm>
#include <charconv>

namespace deepseek::frontend {
namespace {

std::int32_t wanted_priority(const access::Tenant& tenant, std::optional<std::string_view> header) {
  std::int32_t wanted = 0;
  if (!header) return wanted;
  const auto end = header->data() + header->size();
  const auto read = std::from_chars(header->data(), end, wanted);
  if (read.ec != std::errc() || read.ptr != end) return 0;
  return std::clamp(wanted, 0, tenant.priority_max);
}

}  // namespace

base::Result<const access::Tenant*> authenticate(const access::KeyTable& keys,
                                                 const io::HttpFields& fields) {
  if (keys.needs_key() && (fields.count("authorization") > 1 || fields.count("x-api-key") > 1)) {
    return base::make_error(base::ErrorCode::unauthenticated,
                            "the header with the key is there twice; send it once");
  }
  return keys.authenticate({fields.find("authorization"), fields.find("x-api-key")});
}

base::Result<const access::Tenant*> authenticate_to_spend(const access::KeyTable& keys,
                                                          const io::HttpFields& fields) {
  auto tenant = authenticate(keys, fields);
  if (tenant.has_error() || (*tenant)->may_spend()) return tenant;
  return base::make_error(base::ErrorCode::insufficient_balance,
                          "Insufficient Balance: this key has " + (*tenant)->balance +
                              " left. Whoever runs this server can give it more.");
}

gateway::Caller make_caller(const access::Tenant& tenant, const io::HttpFields& fields,
                            base::TimePoint arrived) {
  gateway::Caller caller;
  caller.tenant = tenant.name;
  caller.weight = tenant.weight;
  caller.priority = wanted_priority(tenant, fields.find("deepseek-priority"));
  caller.headers.context = &fields;
  caller.headers.find = [](const void* context, std::string_view name) {
    return static_cast<const io::HttpFields*>(context)->find(name);
  };
  caller.arrived = arrived;
  return caller;
}

}  // namespace deepseek::frontend
