-- One event a request; the fifth of every five repeats one of the last million ids.
-- Kilat and nginx get exactly this load, so that it costs the generator the same for both.
--
-- Argument: how many events were sent before. Numbers have ten digits, so that all requests
-- have one length.

dofile("bench/peers/wrk/result.lua")

local FIRST_ID, RECENT_IDS = 1000000000, 1000000
local before_id, before_order, after_order
local index

function init(args)
  index = tonumber(args[1])
  local before = '{"topic":"orders.0","event_id":"e-'
  local between = '","timestamp":"2026-11-21T09:30:00.125Z","source":"shop-1","payload":{"order":"o-'
  after_order = '","customer":"c-1000000","amount":"150000","currency":"IDR"}}'
  before_id = table.concat({
    "POST /publish HTTP/1.1",
    "Host: 127.0.0.1",
    "Content-Type: application/json",
    "Content-Length: " .. #before + #between + #after_order + 2 * 10,
    "\r\n" .. before,
  }, "\r\n")
  before_order = between
end

function request()
  local number = index - math.floor(index / 5)
  if index % 5 == 4 then
    number = number - math.random(math.min(number, RECENT_IDS))
  end
  index = index + 1
  number = FIRST_ID + number
  return before_id .. number .. before_order .. number .. after_order
end
