-- Customers ----------------------------------------------------------------------------------------

local function customer_of(s, name)
  local customer = s.customers[name]
  if customer then return customer end
  local raw = s.raw[name]
  if raw == nil then raw = redis.call('HGET', s.key .. ':c', name) end
  customer = {units = 0}
  if raw then
    customer.units = read('<I6', raw)
    customer.last = sub(raw, 7, 12)
    customer.first = #raw > 12 and sub(raw, 13, 18) or customer.last
  end
  s.customers[name] = customer
  return customer
end

local function give_back(s, order)
  local customer = customer_of(s, order.customer)
  customer.units = customer.units - order.quantity
  s.dirty[order.customer] = customer
end

-- The rules ----------------------------------------------------------------------------------------

local function expire_due(s, now)
  if not s.exists or s.held == 0 then return 0 end
  local due = redis.call('ZRANGEBYSCORE', s.key .. ':h', '-inf', now, 'LIMIT', 0, EXPIRIES_MAX)
  for _, place in ipairs(due) do
    local order = order_at(s, place)
    append(s, now, EXPIRED_FACT, NO_STATUS, order.id)
    s.status[place] = EXPIRED
    s.over[#s.over + 1] = place
    s.held = s.held - order.quantity
    s.available = s.available + order.quantity
    s.expired = s.expired + order.quantity
    give_back(s, order)
  end
  return #due
end

-- Why nothing can be bought now, or nil.
local function shut(s, now)
  if s.switch == CLOSED_SWITCH or (s.closes ~= '' and now >= millis(s.closes)) then return CLOSED end
  if s.opens ~= '' and now < millis(s.opens) then return NOT_OPEN end
  if s.switch == PAUSED_SWITCH then return PAUSED end
  return nil
end

local function replay(s, now, head, place)
  local order = order_at(s, place)
  local hold = byte(head) == HELD_FACT
  if order.quantity ~= read('<I4', head, 18) or order.hold ~= hold then
    return refused(KEY_REUSED)
  end
  return told(order, status_at(order, now), true)
end

local function place_order(s, now, head, print, name, key)
  local known = s.keys[print]
  if known then return replay(s, now, head, known) end
  local quantity = read('<I4', head, 18)
  if quantity == 0 then return refused(INVALID_QUANTITY) end
  if not s.exists then return refused(SALE_NOT_FOUND) end
  local why = shut(s, now)
  if why then return refused(why) end
  local customer = customer_of(s, name)
  if s.limit and customer.units + quantity > s.limit then return refused(LIMIT_REACHED) end
  if quantity > s.available then return refused(SOLD_OUT) end
  local id = sub(head, 2, 17)
  if s.ids[id] then return refused(ORDER_ID_TAKEN) end

  local tag = byte(head)
  local expires = 0
  local place
  s.available = s.available - quantity
  if tag == HELD_FACT then
    expires = now + s.hold * 1000
    place = append(s, now, tag, HELD, sub(head, 2) .. pack('<I8', expires) .. name .. key)
    s.held = s.held + quantity
    insert(s.due, expires)
    insert(s.due, place)
  else
    place = append(s, now, tag, CONFIRMED, sub(head, 2) .. name .. key)
    s.sold = s.sold + quantity
  end
  s.keys[print], s.ids[id] = place, place
  local new_keys, new_ids = s.new_keys, s.new_ids
  new_keys[#new_keys + 1] = print
  new_keys[#new_keys + 1] = place
  new_ids[#new_ids + 1] = id
  new_ids[#new_ids + 1] = place
  customer.units = customer.units + quantity
  if customer.last then
    s.next[customer.last] = place
  else
    customer.first = place
  end
  customer.last = place
  s.dirty[name] = customer
  return pack('<BI8I8', 5, s.sequence, expires)
end

local function settle(s, now, tag, id, by)
  if not s.exists then return refused(SALE_NOT_FOUND) end
  local place = s.ids[id]
  if not place then return refused(ORDER_NOT_FOUND) end
  local order = order_at(s, place)
  if by ~= '' and sub(by, 2) ~= order.customer then return refused(ORDER_NOT_FOUND) end
  local confirms = tag == CONFIRMED_FACT
  local status = status_at(order, now)
  if status == EXPIRED then return refused(HOLD_EXPIRED) end
  if status == CONFIRMED then
    return confirms and told(order, status, true) or refused(ORDER_CONFIRMED)
  end
  if status == CANCELLED then
    return confirms and refused(ORDER_CANCELLED) or told(order, status, true)
  end
  append(s, now, tag, NO_STATUS, id)
  s.over[#s.over + 1] = place
  s.held = s.held - order.quantity
  status = confirms and CONFIRMED or CANCELLED
  s.status[place] = status
  if confirms then
    s.sold = s.sold + order.quantity
  else
    s.available = s.available + order.quantity
    s.cancelled = s.cancelled + order.quantity
    give_back(s, order)
  end
  return told(order, status, false)
end

-- `why` is what the terms themselves are refused for, or 0: who asks has looked.
local function create(s, now, stripes, head, terms, supply, limit, hold, opens, closes)
  if s.exists then
    local same = s.terms or sub(stored_record(s, NOWHERE), 29)
    return same == terms and char(2) or refused(SALE_EXISTS)
  end
  local number, why = read('<I4B', head, 2)
  if why ~= 0 then return refused(why) end
  s.exists, s.created, s.terms = true, true, terms
  s.number, s.limit, s.hold = number, tonumber(limit), tonumber(hold)
  s.opens, s.closes, s.switch = opens, closes, OPEN_SWITCH
  s.supply = tonumber(supply)
  s.available, s.held, s.sold, s.cancelled, s.expired = s.supply, 0, 0, 0, 0
  s.sequence, s.log_end, s.moved, s.moved_to = 0, 0, 0, 0
  s.stripe, s.stripes = stripes > 1 and 1 or 0, stripes
  s.given, s.taken, s.epoch, s.era = 0, 0, 0, 0
  append(s, now, CREATED, NO_STATUS, terms)
  return char(1)
end

-- What a change makes of a time: '' leaves it, 'n' takes it away, 't' and 8 bytes set it.
local function rescheduled(time, change)
  if change == '' then return time end
  return sub(change, 2)
end

local function change_sale(s, now, head, key, body, more, switch, opens, closes)
  if not s.exists then return refused(SALE_NOT_FOUND) end
  local made = s.changes[key]
  if made == nil then made = redis.call('HGET', s.key .. ':a', key) end
  if made then return made == body and char(4) or refused(KEY_REUSED) end
  if byte(head, 2) ~= 0 then return refused(byte(head, 2)) end
  if shut(s, now) == CLOSED then return refused(CLOSED) end
  opens, closes = rescheduled(s.opens, opens), rescheduled(s.closes, closes)
  if opens ~= '' and closes ~= '' and not is_before(opens, closes) then
    return refused(INVALID_SCHEDULE)
  end
  local units = tonumber(more)
  if s.supply + units > SUPPLY_MAX then return refused(SUPPLY_OVERFLOW) end
  local count = (s.changes_len or redis.call('HLEN', s.key .. ':a'))
  if count >= CHANGES_MAX then return refused(FULL) end
  s.changes_len = count + 1
  s.changes[key] = body
  insert(s.new_changes, key)
  insert(s.new_changes, body)
  s.supply, s.available = s.supply + units, s.available + units
  s.opens, s.closes = opens, closes
  if switch ~= '' then s.switch = tonumber(switch) end
  if s.stripes > 1 then s.epoch = s.epoch + 1 end
  append(s, now, CHANGED, NO_STATUS, body)
  return char(3)
end

-- Reading ahead ------------------------------------------------------------------------------------

-- Arguments that follow a command's head.
local OPERANDS = {[CREATED] = 6, [CHANGED] = 6, [BOUGHT] = 3, [HELD_FACT] = 3, [CONFIRMED_FACT] = 1, [CANCELLED_FACT] = 1}

local function fetch(key, wanted, into)
  for first = 1, #wanted, ARGUMENTS do
    local last = math.min(first + ARGUMENTS - 1, #wanted)
    local found = redis.call('HMGET', key, unpack(wanted, first, last))
    for n = first, last do into[wanted[n]] = found[n - first + 1] end
  end
end

-- Reads what `count` commands from argument `at` on will need, all at once. Returns where they end.
local function read_ahead(s, args, at, count)
  local prints, ids, names = {}, {}, {}
  for _ = 1, count do
    local head = args[at]
    local op = byte(head)
    if op == BOUGHT or op == HELD_FACT then
      prints[#prints + 1] = args[at + 1]
      ids[#ids + 1] = sub(head, 2, 17)
      names[#names + 1] = args[at + 2]
    elseif op == CONFIRMED_FACT or op == CANCELLED_FACT then
      ids[#ids + 1] = sub(head, 2, 17)
    end
    at = at + 1 + OPERANDS[op]
  end
  if s.exists then
    fetch(s.key .. ':k', prints, s.keys)
    fetch(s.key .. ':i', ids, s.ids)
    fetch(s.key .. ':c', names, s.raw)
  end
  return at
end

local function answer(s, now, stripes, args, at, op)
  local head = args[at]
  if op == BOUGHT or op == HELD_FACT then
    return place_order(s, now, head, args[at + 1], args[at + 2], args[at + 3])
  elseif op == CONFIRMED_FACT or op == CANCELLED_FACT then
    return settle(s, now, op, sub(head, 2, 17), args[at + 1])
  elseif op == CREATED then
    return create(s, now, stripes, head, unpack(args, at + 1, at + 6))
  end
  return change_sale(s, now, head, unpack(args, at + 1, at + 6))
end

-- Writing ------------------------------------------------------------------------------------------

local function write_all(command, key, list)
  for first = 1, #list, ARGUMENTS do
    redis.call(command, key, unpack(list, first, math.min(first + ARGUMENTS - 1, #list)))
  end
end

local function write_customers(s)
  local list = {}
  for name, customer in pairs(s.dirty) do
    local value = pack('<I6', customer.units) .. customer.last
    if customer.first ~= customer.last then value = value .. customer.first end
    list[#list + 1] = name
    list[#list + 1] = value
  end
  write_all('HSET', s.key .. ':c', list)
end

local function patch(s, place, at, bytes)
  local where = read('>I6', place)
  local offset = where % CHUNK
  redis.call('SETRANGE', chunk_key(s, (where - offset) / CHUNK), offset + at, bytes)
end

local function write_sale(s)
  if #s.blocks == 0 then return end
  local key = s.key
  -- The first write is one that Redis refuses when memory runs out; after it none is.
  redis.call('HSET', key .. ':s', 'switch', s.switch, 'opens', s.opens, 'closes', s.closes,
    'supply', s.supply, 'available', s.available, 'held', s.held, 'sold', s.sold,
    'cancelled', s.cancelled, 'expired', s.expired, 'sequence', s.sequence, 'clock', s.clock,
    'end', s.log_end)
  if s.created then
    redis.call('HSET', key .. ':s', 'format', s.stripes > 1 and FORMAT_STRIPED or FORMAT, 'number', s.number,
      'limit', s.limit or '', 'hold', s.hold, 'moved', 0, 'moved_to', 0)
  end
  if s.stripes > 1 then
    redis.call('HSET', key .. ':s', 'stripe', s.stripe, 'stripes', s.stripes, 'epoch', s.epoch)
  end
  for _, block in ipairs(s.blocks) do
    redis.call('APPEND', chunk_key(s, block.number), concat(block))
  end
  if #s.marks > 0 then redis.call('APPEND', key .. ':m', concat(s.marks)) end
  write_all('HSET', key .. ':k', s.new_keys)
  write_all('HSET', key .. ':i', s.new_ids)
  write_all('HSET', key .. ':a', s.new_changes)
  write_customers(s)
  write_all('ZADD', key .. ':h', s.due)
  write_all('ZREM', key .. ':h', s.over)
  for place, status in pairs(s.status) do patch(s, place, 0, char(status)) end
  for place, following in pairs(s.next) do patch(s, place, 1, following) end
end
