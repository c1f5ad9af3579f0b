// What differs between upstreams that speak different forms: where a request goes, what is in it,
// and what their refusals mean. All I/O and the reading of answers is the same for all of them.
//
// Stateless and constant; used from any thread.
#pragma once

#include "gateway/backend.hpp"
#include "io/http_message.hpp"
#include "protocol/said_space.hpp"
#include "protocol/upstream_chunk.hpp"

#include <string>
#include <string_view>

namespace deepseek::gateway {

struct RelayBackendOptions;

// What one attempt sends.
struct RelayBody {
  std::string text;
  bool own = false;            // not `text`, but the client's own body
  bool hide_usage = false;     // the client did not ask for the usage chunk that will come
  bool complete = false;       // nothing is left to ask for: the answer has ended by its length
  protocol::SaidSpace said{};  // to be left out of the answer
};

class RelayForm {
 public:
  virtual ~RelayForm() = default;

  virtual protocol::UpstreamWire wire() const = 0;
  // Whether a client of this form may get the upstream's own bytes.
  virtual bool is_of(protocol::ClientForm form) const = 0;
  virtual std::string_view path(const protocol::Request& request) const = 0;
  virtual std::string target(std::string_view path, std::string_view model,
                             const RelayBackendOptions& options) const = 0;
  // Who we are to it.
  virtual void add_fields(io::HttpFields& fields, const RelayBackendOptions& options) const = 0;
  // An error is what this upstream cannot be asked: another one may be.
  virtual base::Result<RelayBody> body(const Attempt& attempt, const std::string& model,
                                       const RelayBackendOptions& options) const = 0;
  // What ends the stream of a client of the same form, if the upstream left it out.
  virtual std::string_view stream_end() const = 0;

  // What a status other than 200 means; `body` is what came with it, `continues`: we had asked for
  // the rest of an answer.
  virtual FailureKind failure_of(int status, std::string_view body, bool continues) const = 0;
  // The same for an error inside an answer.
  virtual FailureKind failure_of_error(std::string_view error) const = 0;
};

const RelayForm& openai_form();
const RelayForm& anthropic_form();

}  // namespace deepseek::gateway
