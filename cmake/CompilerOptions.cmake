# Language level, warnings and sanitizers of every target of ours.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")

option(DEEPSEEK_WARNINGS_AS_ERRORS "Treat compiler warnings as errors" ON)
option(DEEPSEEK_FUZZ "Build the fuzzers of tests/fuzz; needs clang" OFF)
set(DEEPSEEK_SANITIZE "" CACHE STRING
  "Sanitizers, as -fsanitize takes them: address,undefined or thread")

add_library(deepseek_options INTERFACE)
target_compile_options(deepseek_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow
  -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  $<$<BOOL:${DEEPSEEK_WARNINGS_AS_ERRORS}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these inside Boost and libstdc++ headers that it inlines.
  target_compile_options(deepseek_options INTERFACE -fcoroutines -Wno-maybe-uninitialized
    -Wno-mismatched-new-delete -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread
    -Wno-array-bounds)
endif()
# Our programs are whole: nobody puts another function in the place of one of theirs, so the
# compiler may inline it.
add_compile_options(-fno-semantic-interposition)
if(DEEPSEEK_FUZZ)
  # Coverage everywhere, the driver of libFuzzer only in the programs of tests/fuzz.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(DEEPSEEK_SANITIZE)
  add_compile_options(-fsanitize=${DEEPSEEK_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DEEPSEEK_SANITIZE})
  if(DEEPSEEK_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Asio uses fences, which GCC's sanitizer does not follow.
  endif()
  if(DEEPSEEK_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

# An RPATH instead of a RUNPATH: it also serves what our libraries need, so the package finds all of
# it in its own lib/.
add_link_options(-Wl,--disable-new-dtags)
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
