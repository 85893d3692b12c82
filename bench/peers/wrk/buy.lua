-- One purchase a request from the seed's stack. It knows neither customers nor keys,
-- so all requests are equal and are made once.

dofile("bench/peers/wrk/result.lua")

local buy

function init()
  buy = wrk.format("POST", "/buy")
end

function request()
  return buy
end
