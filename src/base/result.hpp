// Result<T>: a value or an Error. Expected failures travel in it; exceptions are for bugs and
// start-up.
//
// Pure. Aborting on value() of an error is not possible by accident: it throws, and the request's
// or task's catch reports it.
#pragma once

#include "base/error.hpp"

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>

namespace deepseek::base {

[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location& location) {
  throw_exception_from_error(error, static_cast<const void*>(&location));
}

template <class T = void>
using Result = boost::system::result<T, Error>;

}  // namespace deepseek::base
