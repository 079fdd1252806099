#include "src/base/net.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

namespace lapidary {

namespace {

/// The local end of a datagram socket that is connected there: connecting only looks up the route.
std::string local_end(const addrinfo& there) {
  const int fd = socket(there.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  sockaddr_storage here{};
  socklen_t size = sizeof(here);
  char text[NI_MAXHOST] = {};
  auto* address = reinterpret_cast<sockaddr*>(&here);
  const bool found =
      connect(fd, there.ai_addr, there.ai_addrlen) == 0 && getsockname(fd, address, &size) == 0 &&
      getnameinfo(address, size, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0;
  close(fd);
  return found ? text : "";
}

}  // namespace

std::string own_address_towards(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> held(found, freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next)
    if (std::string out = local_end(*each); !out.empty()) return out;
  return {};
}

}  // namespace lapidary
