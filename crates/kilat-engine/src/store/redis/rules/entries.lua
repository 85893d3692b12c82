-- What can be called -------------------------------------------------------------------------------

-- What is one stripe must not be taken for a whole sale, nor the other way round.
local function must_have(s, stripes)
  if s.exists and s.stripes ~= stripes then
    error({err = 'KILATSTRIPES ' .. s.key .. ' belongs to a sale of ' .. s.stripes .. ' stripes, not of ' .. stripes})
  end
end

-- Keys: sales. Arguments: for each sale its stripes, how many commands, and these. Answers with the instant,
-- how many holds were expired, and for each sale its state and its outcomes.
local function decide(keys, args)
  find_libraries()
  local now = clock()
  local sales = {}
  for n, key in ipairs(keys) do
    local s = load_sale(key)
    sales[n] = s
    if s.exists and s.clock > now then now = s.clock end
  end
  local reply = {pack('<I8', now), ''}
  local expired = 0
  local at = 1
  for _, s in ipairs(sales) do
    local stripes, count = tonumber(args[at]), tonumber(args[at + 1])
    must_have(s, stripes)
    at = at + 2
    local following = read_ahead(s, args, at, count)
    expired = expired + expire_due(s, now)
    local outcomes = {}
    for n = 1, count do
      local op = byte(args[at])
      outcomes[n] = answer(s, now, stripes, args, at, op)
      at = at + 1 + OPERANDS[op]
    end
    reply[#reply + 1] = s
    reply[#reply + 1] = concat(outcomes)
    at = following
  end
  for _, s in ipairs(sales) do write_sale(s) end
  for n = 3, #reply, 2 do reply[n] = describe(reply[n]) end
  reply[2] = pack('<I4', expired)
  return reply
end

-- Keys: sales. Answers with the instant and the state of each; changes nothing.
local function look(keys)
  find_libraries()
  local now = clock()
  local states = {}
  for n, key in ipairs(keys) do
    local s = load_sale(key)
    if s.exists and s.clock > now then now = s.clock end
    states[n] = describe(s)
  end
  insert(states, 1, pack('<I8', now))
  return states
end

local function instant_of(s)
  return pack('<I8', math.max(clock(), s.clock))
end

-- Key: a sale. Argument: an order id. Answers with the instant and the order's record.
local function find(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  if not s.exists then return {} end
  local place = redis.call('HGET', s.key .. ':i', args[1])
  return {instant_of(s), place and stored_record(s, place)}
end

-- The records of a chunk from a place on, in blocks: calls `visit` with each until it says stop.
local function walk(s, at, visit)
  while at < s.log_end do
    local offset = at % CHUNK
    local block = redis.call('GETRANGE', chunk_key(s, (at - offset) / CHUNK), offset, offset + 65535 + 15)
    local first = 1
    while #block - first + 1 >= 15 do
      local length = read('<I2', block, first + 13) + 15
      if #block - first + 1 < length then break end
      if visit(sub(block, first, first + length - 1), at) then return end
      first = first + length
      at = at + length
    end
    -- Nothing whole: the chunk is over.
    if first == 1 then at = at - offset + CHUNK end
  end
end

local function sequence_of(record)
  return read('<I8', record, 21)
end

local function is_order(record)
  local tag = byte(record, 16)
  return tag == BOUGHT or tag == HELD_FACT
end

-- Where the fact with this sequence begins, or a place a little before it.
local function near(s, sequence)
  if sequence > s.sequence then return s.log_end end
  local mark = math.floor((sequence - 1) / MARK_EVERY) * 6
  return read('>I6', redis.call('GETRANGE', s.key .. ':m', mark, mark + 5))
end

local function orders_of_sale(s, after, limit)
  local found = {}
  walk(s, near(s, after + 1), function(record)
    if is_order(record) and sequence_of(record) > after then found[#found + 1] = record end
    return #found >= limit
  end)
  return found
end

-- The place of the customer's order that follows the one with sequence `after`, if that is theirs.
local function place_after(s, after, name)
  local place
  if after == 0 or after > s.sequence then return nil end
  walk(s, near(s, after), function(record, at)
    local sequence = sequence_of(record)
    if sequence == after and is_order(record) then
      if order_at(s, pack('>I6', at)).customer == name then place = sub(record, 2, 7) end
    end
    return sequence >= after
  end)
  return place
end

local function orders_of_customer(s, name, after, limit)
  local customer = customer_of(s, name)
  local place = place_after(s, after, name) or customer.first or NOWHERE
  local found = {}
  while place ~= NOWHERE and #found < limit do
    local record = stored_record(s, place)
    if sequence_of(record) > after then found[#found + 1] = record end
    place = sub(record, 2, 7)
  end
  return found
end

-- Key: a sale. Arguments: sequence to begin after, how many at most, and '=' with a customer or ''.
local function orders(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  if not s.exists then return {} end
  local after, limit = tonumber(args[1]), tonumber(args[2])
  local found
  if args[3] == '' then
    found = orders_of_sale(s, after, limit)
  else
    found = orders_of_customer(s, sub(args[3], 2), after, limit)
  end
  insert(found, 1, instant_of(s))
  return found
end

-- Key: a sale. Arguments: how many at most, and how many bytes. Answers with records of facts that
-- have not been moved, and with what to tell `moved` when they are.
local function facts(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  if not s.exists or s.moved == s.sequence then return {} end
  local limit, bytes = tonumber(args[1]), tonumber(args[2])
  local found = {''}
  local last, stop
  walk(s, s.moved_to, function(record, at)
    found[#found + 1] = record
    bytes = bytes - #record
    last, stop = sequence_of(record), at + #record
    return #found > limit or bytes <= 0
  end)
  found[1] = pack('<I8I8', last, stop)
  return found
end

-- Key: a sale. Arguments: what `facts` said.
local function moved(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  local last, stop = read('<I8I8', args[1])
  if s.exists and last > s.moved and last <= s.sequence then
    redis.call('HSET', s.key .. ':s', 'moved', last, 'moved_to', stop)
  end
  return 1
end

-- Keys: the list of sales, and that of stripes. Arguments: a sale's id, how many sales there may be,
-- and the stripes of a new one. Answers with the sale's number and stripes.
local function register(keys, args)
  local number = redis.call('HGET', keys[1], args[1])
  if not number then
    number = redis.call('HLEN', keys[1])
    if number >= tonumber(args[2]) then return {-1, 1} end
    redis.call('HSET', keys[1], args[1], number)
    if args[3] ~= '1' then redis.call('HSET', keys[2], args[1], args[3]) end
  end
  return {tonumber(number), tonumber(redis.call('HGET', keys[2], args[1]) or 1)}
end

-- Key: a stripe that is not the leader. Arguments: number, stripe, stripes, limit, hold, the
-- leader's epoch, switch and schedule, and the era for a new one. Makes the stripe, or brings it up to a later epoch.
local function join(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  local key, epoch = keys[1] .. ':s', tonumber(args[6])
  if not s.exists then
    -- A byte before the log: no order's place may be 0, which stands for none.
    redis.call('SET', keys[1] .. ':l:0', '\0')
    redis.call('HSET', key, 'switch', args[7], 'opens', args[8], 'closes', args[9], 'supply', 0,
      'available', 0, 'held', 0, 'sold', 0, 'cancelled', 0, 'expired', 0, 'sequence', 0,
      'clock', clock(), 'end', 1, 'format', FORMAT_STRIPED, 'number', args[1], 'limit', args[4],
      'hold', args[5], 'moved', 0, 'moved_to', 1, 'stripe', args[2], 'stripes', args[3],
      'given', 0, 'taken', 0, 'epoch', epoch, 'era', args[10])
  else
    must_have(s, tonumber(args[3]))
    if epoch > s.epoch then
      redis.call('HSET', key, 'switch', args[7], 'opens', args[8], 'closes', args[9], 'epoch', epoch)
    end
  end
  return {describe(load_sale(keys[1]))}
end

-- Key: a stripe. Arguments: the least era and epoch that it is to be in. Answers with its era, its epoch and
-- its books: field, units, field, units, …
local function meet(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  if not s.exists then return {} end
  local era, epoch = math.max(s.era, tonumber(args[1])), math.max(s.epoch, tonumber(args[2]))
  if era > s.era or epoch > s.epoch then
    redis.call('HSET', keys[1] .. ':s', 'era', era, 'epoch', epoch)
  end
  local books = redis.call('HGETALL', keys[1] .. ':t')
  insert(books, 1, string.format('%.0f', era))
  insert(books, 2, string.format('%.0f', epoch))
  return books
end

local OTHER_ERA = {'era'}

local function booked(s, field)
  return tonumber(redis.call('HGET', s.key .. ':t', field) or 0)
end

-- Gives away as many of these units as there are. Returns what was ever given to that stripe.
local function hand_over(s, to, units)
  local field = 'g' .. to
  local given = booked(s, field)
  units = math.min(units, s.available)
  if units <= 0 then return {} end
  -- Called as a script, the first write is one that Redis refuses when memory runs out.
  redis.call('HSET', s.key .. ':t', field, given + units)
  redis.call('HSET', s.key .. ':s', 'available', s.available - units, 'given', s.given + units)
  return {string.format('%.0f', given + units), string.format('%.0f', units)}
end

-- Key: a stripe. Arguments: the era, the stripe that needs units, and how many. Answers with what was ever
-- given to that stripe and how much of it now, or with nothing when there is nothing left to give.
local function give(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  if not s.exists then return {} end
  if s.era ~= tonumber(args[1]) then return OTHER_ERA end
  return hand_over(s, args[2], tonumber(args[3]))
end

-- Key: a stripe. Arguments: the era, another stripe, and what that one ever received from here. Takes from
-- the stock what this stripe has forgotten that it gave, as far as it goes. Answers as `give`.
local function own_up(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  if not s.exists then return {} end
  if s.era ~= tonumber(args[1]) then return OTHER_ERA end
  local given = booked(s, 'g' .. args[2])
  local told = hand_over(s, args[2], tonumber(args[3]) - given)
  return #told > 0 and told or {string.format('%.0f', given), '0'}
end

-- Key: a stripe. Arguments: the era, the stripe that gave, and what it ever gave. Takes what of this has
-- not been taken yet.
local function take(keys, args)
  find_libraries()
  local s = load_sale(keys[1])
  if not s.exists then return {} end
  if s.era ~= tonumber(args[1]) then return OTHER_ERA end
  local field = 'r' .. args[2]
  local units = tonumber(args[3]) - booked(s, field)
  if units > 0 then
    redis.call('HSET', s.key .. ':t', field, args[3])
    redis.call('HSET', s.key .. ':s', 'available', s.available + units, 'taken', s.taken + units)
  end
  return {'1'}
end

-- Key: the lease. Arguments: who wants it, and for how many milliseconds. 1 if they have it now.
local function lease(keys, args)
  local holder = redis.call('GET', keys[1])
  if holder and holder ~= args[1] then return 0 end
  redis.call('SET', keys[1], args[1], 'PX', args[2])
  return 1
end

-- Key: the lease. Argument: who gives it up.
local function release(keys, args)
  if redis.call('GET', keys[1]) == args[1] then redis.call('DEL', keys[1]) end
  return 1
end

-- Key: one that nobody else uses. Does all that the rules will do, so that a user who may not is
-- found out before anything is half done.
local function probe(keys)
  local key = keys[1]
  local hash, set, text = key .. ':hash', key .. ':set', key .. ':text'
  redis.call('HSET', hash, 'a', 1)
  redis.call('HMGET', hash, 'a', 'b')
  redis.call('HGET', hash, 'a')
  redis.call('HLEN', hash)
  redis.call('HGETALL', hash)
  redis.call('HDEL', hash, 'a')
  redis.call('ZADD', set, 1, 'a')
  redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  redis.call('ZRANGEBYSCORE', set, '-inf', 1, 'LIMIT', 0, 1)
  redis.call('ZREM', set, 'a')
  redis.call('APPEND', text, 'a')
  redis.call('SETRANGE', text, 0, 'b')
  redis.call('GETRANGE', text, 0, 0)
  redis.call('SET', text, 'a', 'PX', 1000)
  redis.call('GET', text)
  clock()
  redis.call('DEL', hash, set, text)
  return 1
end
