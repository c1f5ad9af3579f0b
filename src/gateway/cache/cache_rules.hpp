// Which requests and answers the cache may have to do with, and what a client asked of it.
//
// Pure. The route's rules allow, the client's Cache-Control can only narrow.
#pragma once

#include "gateway/cache/cached_answer.hpp"
#include "protocol/request.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace deepseek::gateway {

// The directives of a request that mean something here.
struct CacheControl {
  bool no_store = false;
  bool no_cache = false;
  std::optional<std::chrono::seconds> max_age;
};

// `value` is the header's value, several headers of that name joined with commas. What is not
// understood is ignored, but a max-age that is no number counts as 0: the client wants fresh bytes.
CacheControl parse_cache_control(std::string_view value);

// Of one route.
struct CacheRules {
  bool enabled = false;
  std::chrono::seconds ttl{300};
  bool share_in_flight = true;  // identical requests at the same time make one
};

// What may be done for one request.
struct CacheUse {
  bool read = false;
  bool write = false;
  bool share = false;                           // join the same request if it runs now
  std::optional<std::chrono::seconds> max_age;  // older answers do not count
  std::string_view reason = {};                 // why not, in a word for the response's header
};

// An exact cache repeats whatever the route allows, random sampling included: the same question
// gets the same answer until it expires. Left out are a web search and images behind an address,
// whose content may be another tomorrow.
CacheUse cache_use(const protocol::Request& request, const CacheControl& control,
                   const CacheRules& rules);

// True when the answer may be kept and given again: it is whole, it was no error, and it ended for
// a reason of the model's own. `finish_reason` is as the client's form has it.
struct AnswerFacts {
  int status = 200;
  bool complete = false;
  std::string_view finish_reason = {};  // of every choice; the worst if they differ
};
bool storable(const AnswerFacts& facts);

// True when a question may be answered by a similar one: text alone, one choice, and neither tools
// nor an answer that a program reads by its form.
bool may_be_similar(const protocol::Request& request);

}  // namespace deepseek::gateway
