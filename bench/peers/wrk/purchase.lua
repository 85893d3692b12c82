-- One purchase a request, each by a customer of its own with a key of its own.
-- Kilat and nginx get exactly this load, so that it costs the generator the same for both.
--
-- Arguments: the sale, and the number before the one that the first request carries.
-- Numbers have ten digits, so that all requests have one length.

dofile("bench/peers/wrk/result.lua")

local before_key, before_customer, after_customer
local number

function init(args)
  number = tonumber(args[2])
  local body_bytes = #'{"customer":"c0000000000","quantity":1}'
  before_key = table.concat({
    "POST /v1/sales/" .. args[1] .. "/orders HTTP/1.1",
    "Host: 127.0.0.1",
    "Content-Type: application/json",
    "Content-Length: " .. body_bytes,
    "Idempotency-Key: k",
  }, "\r\n")
  before_customer = '\r\n\r\n{"customer":"c'
  after_customer = '","quantity":1}'
end

function request()
  number = number + 1
  return before_key .. number .. before_customer .. number .. after_customer
end
