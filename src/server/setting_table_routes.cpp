// The table, fourth part: which backend answers which request.
#include "server/setting_form.hpp"
#include "server/setting_member.hpp"

#include <array>

namespace deepseek::server {
namespace {

using C = Configuration;
using R = C::Route;
constexpr auto routes = &C::routes;

const std::array table{
    Setting{.name = "routes[].model",
            .help = "Model that a request names: the name, or a beginning with * behind it; * "
                    "alone is every one.",
            .example = "deepseek-*",
            .minimum = 1,
            .maximum = 256,
            .form = form::model_pattern,
            .accepts = form::is_model_pattern,
            .field = in_entry<&R::model, routes>},
    Setting{.name = "routes[].headers",
            .help = "Header fields that a request must have, with these values.",
            .example = "x-team=research",
            .maximum = 16,
            .form = form::field_name,
            .accepts = form::is_field_name,
            .field = in_entry<&R::headers, routes>},
    Setting{.name = "routes[].tenant",
            .help = "Tenant whose requests it takes; empty is every one.",
            .example = "research",
            .maximum = 64,
            .field = in_entry<&R::tenant, routes>},
    Setting{.name = "routes[].features",
            .help = "What a request must have, all of it: an image, tools, a response schema, a "
                    "streamed answer, thinking.",
            .example = "image, tools",
            .field = in_entry<&R::features, routes>},
    Setting{.name = "routes[].prompt_tokens_min",
            .help = "Fewest tokens of the prompt, as estimated.",
            .example = "4000",
            .maximum = 100'000'000,
            .field = in_entry<&R::prompt_tokens_min, routes>},
    Setting{.name = "routes[].prompt_tokens_max",
            .help = "Most tokens of the prompt, as estimated. 0 is no bound.",
            .example = "32000",
            .maximum = 100'000'000,
            .field = in_entry<&R::prompt_tokens_max, routes>},
    Setting{.name = "routes[].language",
            .help = "Language that most of the prompt is in; empty is any.",
            .example = "zh",
            .maximum = 16,
            .form = form::language,
            .accepts = form::is_small_letters,
            .field = in_entry<&R::language, routes>},
    Setting{.name = "routes[].hours",
            .help = "When the route is there; may go over midnight, may name days and a zone: "
                    "\"Mon-Fri 09:00-18:00; UTC+8\". Empty is always.",
            .example = "18:00-09:00",
            .maximum = 256,
            .form = form::hours,
            .accepts = form::is_hours,
            .field = in_entry<&R::hours, routes>},
    Setting{.name = "routes[].backends",
            .help = "Names of backends or models, in their order; local is the engine of the "
                    "default model.",
            .example = "first, second",
            .minimum = 1,
            .maximum = 32,
            .field = in_entry<&R::backends, routes>},
    Setting{.name = "routes[].split",
            .help = "Share of the requests in percent that begin at a backend: `{first: 90, "
                    "second: 10}`, 100 in all.",
            .example = "first=90, second=10",
            .maximum = 100,
            .field = in_entry<&R::split, routes>},
    Setting{.name = "routes[].strategy",
            .help = "How one is chosen among those that can: priority takes them in their order, "
                    "the others weigh load, price, speed or what a backend has in its cache.",
            .example = "priority",
            .field = in_entry<&R::strategy, routes>},
    Setting{.name = "routes[].shadow",
            .help = "Backend that gets a copy of the requests; its answers are ignored, its usage "
                    "is in the ledger. At most 64 copies run at a time.",
            .example = "second",
            .maximum = 256,
            .field = in_entry<&R::shadow, routes>},
    Setting{.name = "routes[].shadow_percent",
            .help = "Share of the requests that are copied.",
            .example = "100",
            .maximum = 100,
            .field = in_entry<&R::shadow_percent, routes>},
    Setting{.name = "routes[].first_token_goal",
            .help = "A local engine that is not ready, or whose queue would take longer than this, "
                    "is passed over while another backend can be asked. 0 never is.",
            .example = "2s",
            .maximum = hour,
            .field = in_entry<&R::first_token_goal, routes>},
    Setting{.name = "routes[].hedge",
            .help = "Ask a second backend too when the first has not begun to answer within the "
                    "time that suffices for 95 % of the route's requests; the first to answer "
                    "wins, the other is ended and its usage counted.",
            .example = "false",
            .field = in_entry<&R::hedge, routes>},
    Setting{.name = "routes[].cache",
            .help = "The response cache may answer here.",
            .example = "true",
            .field = in_entry<&R::cache, routes>},
};

}  // namespace

std::span<const Setting> route_settings() {
  return table;
}

}  // namespace deepseek::server
