# Libraries that others keep. Versions and reasons: docs/dependencies.md.
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL 3 REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(Threads REQUIRED)
find_package(GTest 1.12 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)

# Asio, its TLS half and Beast are compiled once, in boost_asio.cpp; everyone else sees declarations.
add_library(deepseek_boost STATIC ${CMAKE_CURRENT_LIST_DIR}/boost_separate.cpp)
target_compile_definitions(deepseek_boost PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_NO_DEPRECATED)
target_include_directories(deepseek_boost SYSTEM PUBLIC ${Boost_INCLUDE_DIRS})
target_link_libraries(deepseek_boost PUBLIC Boost::json OpenSSL::SSL OpenSSL::Crypto Threads::Threads)

# llama.cpp is built by `./dev` outside the tree and found here: DEEPSEEK_LLAMA_PREFIX holds include/ and lib/.
set(DEEPSEEK_LLAMA_PREFIX "" CACHE PATH "Where the built llama.cpp is installed; ./dev sets it")
