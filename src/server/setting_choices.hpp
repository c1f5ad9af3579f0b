// The words of every setting that is a choice, in the order of its enum. Constant; private to
// setting_value.cpp and setting_describe.cpp.
#pragma once

#include "server/configuration.hpp"

#include <array>
#include <cstddef>
#include <string_view>

namespace deepseek::server {

template <class Enum>
inline constexpr std::array<std::string_view, 0> choices{};
template <>
inline constexpr std::array<std::string_view, 2> choices<base::LogFormat>{"text", "json"};
template <>
inline constexpr std::array<std::string_view, 4> choices<base::LogLevel>{"debug", "info", "warning",
                                                                         "error"};
template <>
inline constexpr std::array<std::string_view, 3> choices<FlashAttention>{"auto", "on", "off"};
template <>
inline constexpr std::array<std::string_view, 2> choices<Layout>{"auto", "as_is"};
template <>
inline constexpr std::array<std::string_view, 3> choices<KvType>{"f16", "q8_0", "q4_0"};
template <>
inline constexpr std::array<std::string_view, 4> choices<PrefixSharing>{"none", "user", "tenant",
                                                                        "all"};
template <>
inline constexpr std::array<std::string_view, 2> choices<Speculation>{"none", "prompt_lookup"};
template <>
inline constexpr std::array<std::string_view, 6> choices<BackendType>{
    "openai", "deepseek", "azure", "managed", "grpc", "anthropic"};
template <>
inline constexpr std::array<std::string_view, 4> choices<ManagedEngine>{"none", "vllm", "sglang",
                                                                        "llama-server"};
template <>
inline constexpr std::array<std::string_view, 4> choices<Continuation>{
    "none", "prefix", "continue_final_message", "assistant_last"};
template <>
inline constexpr std::array<std::string_view, 9> choices<Strategy> = gateway::strategy_names;
template <>
inline constexpr std::array<std::string_view, 5> choices<RouteFeature>{"image", "tools", "schema",
                                                                       "stream", "thinking"};
template <>
inline constexpr std::array<std::string_view, 2> choices<CacheStoreKind>{"memory", "sqlite"};

template <class Enum>
std::string_view choice_word(Enum value) {
  return choices<Enum>[static_cast<std::size_t>(value)];
}

}  // namespace deepseek::server
