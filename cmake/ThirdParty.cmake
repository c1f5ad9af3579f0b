# Libraries that others keep. Versions and reasons: docs/dependencies.md.
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL 3 REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(GRPC REQUIRED grpc++>=1.51)  # for its version alone
find_package(Threads REQUIRED)
find_package(GTest 1.12 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)

# Asio, its TLS half and Beast are compiled once, in boost_separate.cpp; everyone else sees
# declarations.
add_library(deepseek_boost STATIC ${CMAKE_CURRENT_LIST_DIR}/boost_separate.cpp)
target_compile_definitions(deepseek_boost PUBLIC BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  # Memory of operations that a thread keeps for the next ones.
  BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=8
  # Frames of coroutines come from malloc: most are longer than what Asio would keep (1,020 bytes),
  # and jemalloc is quicker than its way around them.
  BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING)
target_include_directories(deepseek_boost SYSTEM PUBLIC ${Boost_INCLUDE_DIRS})
target_link_libraries(deepseek_boost PUBLIC Boost::json OpenSSL::SSL OpenSSL::Crypto
  Threads::Threads)

# Only src/io includes gRPC; its headers lock with Abseil's mutexes.
add_library(deepseek_grpc INTERFACE)
target_link_libraries(deepseek_grpc INTERFACE grpc++ grpc++_reflection grpc gpr
  absl_synchronization)

# llama.cpp is built by ./dev outside the tree: DEEPSEEK_LLAMA_PREFIX holds include/ and lib/.
# Only src/engine/llama links `deepseek_llama`. The libraries are copied beside the programs, so
# that build/PRESET/bin runs from where it is.
set(DEEPSEEK_LLAMA_PREFIX "" CACHE PATH "Where the built llama.cpp is installed; ./dev sets it")
set(DEEPSEEK_LLAMA_VERSION "unknown" CACHE STRING "Its release, for --version and the metrics")
if(DEEPSEEK_LLAMA_SOURCE)
  message(FATAL_ERROR "DEEPSEEK_LLAMA_SOURCE is for ./dev, which builds that tree first: "
    "./dev build PRESET -- -DDEEPSEEK_LLAMA_SOURCE=${DEEPSEEK_LLAMA_SOURCE}")
elseif(NOT DEEPSEEK_LLAMA_PREFIX)
  message(NOTICE "llama.cpp: DEEPSEEK_LLAMA_PREFIX is not set, so deepseek-engine is left out; "
    "`./dev build` builds llama.cpp and sets it.")
elseif(NOT EXISTS ${DEEPSEEK_LLAMA_PREFIX}/include/llama.h)
  message(FATAL_ERROR "llama.cpp: no include/llama.h under ${DEEPSEEK_LLAMA_PREFIX}. "
    "Remove that folder and run `./dev build`, which builds it again.")
else()
  add_library(deepseek_llama INTERFACE)
  file(GLOB llama_libraries ${DEEPSEEK_LLAMA_PREFIX}/lib/*.so*)
  file(COPY ${llama_libraries} DESTINATION ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
  foreach(library mtmd llama-common llama ggml ggml-base)
    add_library(deepseek_llama_${library} SHARED IMPORTED)
    set_target_properties(deepseek_llama_${library} PROPERTIES
      IMPORTED_LOCATION ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/lib${library}.so)
    target_link_libraries(deepseek_llama INTERFACE deepseek_llama_${library})
  endforeach()
  target_include_directories(deepseek_llama SYSTEM INTERFACE ${DEEPSEEK_LLAMA_PREFIX}/include
    ${DEEPSEEK_LLAMA_PREFIX}/include/common ${DEEPSEEK_LLAMA_PREFIX}/include/vendor
    ${DEEPSEEK_LLAMA_PREFIX}/include/inside)
endif()

# xgrammar is built by ./dev outside the tree too. Only src/grammar links `deepseek_xgrammar`.
set(DEEPSEEK_XGRAMMAR_PREFIX "" CACHE PATH "Where the built xgrammar is installed; ./dev sets it")
if(NOT DEEPSEEK_XGRAMMAR_PREFIX)
  message(NOTICE "xgrammar: DEEPSEEK_XGRAMMAR_PREFIX is not set, so deepseek-engine is left out; "
    "`./dev build` builds xgrammar and sets it.")
elseif(NOT EXISTS ${DEEPSEEK_XGRAMMAR_PREFIX}/include/xgrammar/xgrammar.h)
  message(FATAL_ERROR "xgrammar: no include/xgrammar/xgrammar.h under ${DEEPSEEK_XGRAMMAR_PREFIX}. "
    "Remove that folder and run `./dev build`, which builds it again.")
else()
  add_library(deepseek_xgrammar STATIC IMPORTED)
  set_target_properties(deepseek_xgrammar PROPERTIES
    IMPORTED_LOCATION ${DEEPSEEK_XGRAMMAR_PREFIX}/lib/libxgrammar.a)
  target_include_directories(deepseek_xgrammar SYSTEM INTERFACE ${DEEPSEEK_XGRAMMAR_PREFIX}/include)
  target_link_libraries(deepseek_xgrammar INTERFACE Threads::Threads)
endif()

# The default model lies where the programs look for it: <folder of the program>/../share/models.
set(DEEPSEEK_MODEL_FILE "" CACHE FILEPATH "The default model's GGUF file; ./dev sets it")
if(DEEPSEEK_MODEL_FILE)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/models)
  file(CREATE_LINK ${DEEPSEEK_MODEL_FILE}
    ${CMAKE_BINARY_DIR}/share/models/SmolLM2-135M-Instruct.Q4_1.gguf SYMBOLIC)
endif()
