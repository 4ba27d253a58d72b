-- Requests from a file, one after the other and then from the beginning again: each is four octets of length, then itself.
local requests, at = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local octets = file:read("*a")
  file:close()
  local place = 1
  while place <= #octets do
    local a, b, c, d = octets:byte(place, place + 3)
    local length = ((a * 256 + b) * 256 + c) * 256 + d
    requests[#requests + 1] = octets:sub(place + 4, place + 3 + length)
    place = place + 4 + length
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("PRESSURE %d %d %d %d\n", summary.requests, summary.duration, errors.status, broken))
end
