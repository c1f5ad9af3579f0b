# Headers that nearly every file of ours includes, compiled once a preset: deepseek_precompiled for
# the rooms, deepseek_precompiled_test for their tests. They save time and nothing else: each file
# includes what it uses, and the fuzz preset (clang) does without them.
option(DEEPSEEK_PRECOMPILED "Use precompiled headers" ON)
if(DEEPSEEK_FUZZ)
  set(DEEPSEEK_PRECOMPILED OFF)
endif()

set(precompiled_headers <algorithm> <array> <atomic> <chrono> <cstdint> <deque> <functional> <map>
  <memory> <mutex> <optional> <span> <string> <string_view> <unordered_map> <utility> <variant>
  <vector> <boost/asio/any_io_executor.hpp> <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp>
  <boost/asio/io_context.hpp> <boost/asio/post.hpp> <boost/asio/steady_timer.hpp>
  <boost/asio/this_coro.hpp> <boost/asio/use_awaitable.hpp> <boost/json/value.hpp>)

if(DEEPSEEK_PRECOMPILED)
  add_library(deepseek_precompiled STATIC ${CMAKE_CURRENT_LIST_DIR}/precompiled.cpp)
  target_link_libraries(deepseek_precompiled PRIVATE deepseek_options deepseek_boost)
  target_precompile_headers(deepseek_precompiled PRIVATE ${precompiled_headers})
  add_library(deepseek_precompiled_test STATIC ${CMAKE_CURRENT_LIST_DIR}/precompiled.cpp)
  target_link_libraries(deepseek_precompiled_test PRIVATE deepseek_options deepseek_boost
    GTest::gtest GTest::gmock)
  target_precompile_headers(deepseek_precompiled_test PRIVATE ${precompiled_headers}
    <gmock/gmock.h> <gtest/gtest.h>)
endif()

# deepseek_precompile(target [TEST]): the target's files see them.
function(deepseek_precompile target)
  if(NOT DEEPSEEK_PRECOMPILED)
    return()
  endif()
  set(source deepseek_precompiled)
  if("TEST" IN_LIST ARGN)
    set(source deepseek_precompiled_test)
    target_compile_options(${target} PRIVATE -fPIC)  # as the library that made them; not -fPIE
  endif()
  target_precompile_headers(${target} REUSE_FROM ${source})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)  # ccache asks for it
  endif()
endfunction()
