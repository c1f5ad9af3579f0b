// In which form the messages of the service are on the wire. A value.
#pragma once

namespace deepseek::protocol {

enum class RpcCodec { binary, json };

}  // namespace deepseek::protocol
