// Whether an address is one of the public Internet: what may be asked for on a stranger's word.
//
// Pure.
#pragma once

#include <boost/asio/ip/address.hpp>

namespace deepseek::io {

// False for every range that is private, of this machine, of this link (cloud metadata lies there),
// shared, multicast, reserved, for documents, or stands for another address (mapped, translated,
// tunnelled); an IPv4 address inside an IPv6 one makes that one no more public than it is.
bool is_public(const boost::asio::ip::address& address);

}  // namespace deepseek::io
