-- Reserves one unit for each key in ARGV, exactly once per key.
-- KEYS[1]: units left. KEYS[2]: hash from idempotency key to the order's sequence.
-- Returns a sequence for each key; 0 says sold out. A key seen before gets its first answer.

local outcomes = {}
for index, key in ipairs(ARGV) do
  local sequence = redis.call("HGET", KEYS[2], key)
  if not sequence then
    sequence = redis.call("DECR", KEYS[1])
    if sequence < 0 then
      redis.call("INCR", KEYS[1])
      sequence = 0
    else
      redis.call("HSET", KEYS[2], key, sequence)
    end
  end
  outcomes[index] = tonumber(sequence)
end
return outcomes
