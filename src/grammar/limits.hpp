// Bounds of what a client may ask for, so that no constraint is a bomb. A refusal names the bound.
//
// Constants alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace deepseek::grammar {

inline constexpr std::size_t kSchemaBytesMax = 256 << 10;
inline constexpr std::size_t kSchemaDepthMax = 64;       // nested values of the schema's text
inline constexpr std::size_t kKeywordsMax = 20'000;      // of all of the schema
inline constexpr std::size_t kPropertiesMax = 500;       // of all objects of the schema together
inline constexpr std::size_t kEnumValuesMax = 2000;      // of all enumerations together
inline constexpr std::size_t kEnumBytesMax = 64 << 10;   // of their texts
inline constexpr std::size_t kAlternativesMax = 200;     // of one anyOf or oneOf
inline constexpr std::size_t kPatternBytesMax = 1024;    // of a pattern in a schema
inline constexpr std::int64_t kRepeatMax = 1000;         // {m,n} of an expression or a grammar
inline constexpr std::int64_t kRepeatProductMax = 2000;  // of repetitions in repetitions
inline constexpr std::int64_t kLengthMax = 10'000;       // minLength, maxLength, minItems, maxItems
inline constexpr std::size_t kGivenGrammarBytesMax = 64 << 10;  // of a client's grammar
inline constexpr std::size_t kExpressionBytesMax = 16 << 10;    // of a client's expression
inline constexpr std::size_t kChoicesMax = 1024;
inline constexpr std::size_t kChoiceBytesMax = 256 << 10;  // of all together

}  // namespace deepseek::grammar
