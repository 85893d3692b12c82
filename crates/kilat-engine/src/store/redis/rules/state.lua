-- The rules of a sale inside Redis: those of `Ledger::decide`, in the same order. Everything of a
-- batch is decided before anything is written, so an error on the way leaves nothing behind.
--
-- Knows one format of keys, the one below. Keys of a sale share a hash tag and so a slot; {S} is
-- the name handed in as a key.
--
--   {S}:s    hash    state: numbers as text; opens and closes as 8 bytes, little-endian, or empty
--   {S}:k    hash    print of (customer, key) -> place of the order
--   {S}:i    hash    order id -> place
--   {S}:c    hash    customer -> units (6 bytes), place of the last order, and of the first if it is another
--   {S}:h    zset    place of a held order, by when the hold ends
--   {S}:a    hash    key of a change -> what was asked
--   {S}:l:N  string  the facts, in sequence: a log cut into chunks
--   {S}:m    string  place of each MARK_EVERYth fact
--   {S}:t    hash    the books of transfers: 'g' stripe -> units ever given to it, 'r' stripe -> units ever
--                    received from it
--
-- A sale may be split into stripes, each a {S} of its own; the first is the leader. It has the sale's
-- supply and changes, and its format is one that versions without stripes refuse. Units move
-- between stripes by transfers: given away by one, taken by the other. What one has given more than the
-- other has received is in transit. Both only know sums, so that either can be brought up to the other
-- when a failover lost its half. A transfer counts in its era only: whoever comes to a sale anew begins
-- the next one, so that halves from before can't arrive later.
--
-- A place is where a record begins in the log, as 6 bytes, the greatest first. A record is
-- [status u8][place of the customer's next order, 0 for none][instant u48][length u16][fact as in
-- `kilat-ledger`'s `batch`]. Only status and next change later.

-- Lua's own libraries are not there while Redis loads a library, so each call finds them.
local byte, char, sub, concat, insert, pack, read

local FORMAT = '1'
-- Of a sale in stripes.
local FORMAT_STRIPED = '3'
local CHUNK = 8388608
local MARK_EVERY = 256
local EXPIRIES_MAX = 8192
local CHANGES_MAX = 65536
local SUPPLY_MAX = 1000000000000
-- Arguments of one call: Lua's stack has room for a little less than 8,000.
local ARGUMENTS = 4000
-- Enough for a record with common names.
local RECORD_GUESS = 200

local CREATED, CHANGED, BOUGHT, HELD_FACT, CONFIRMED_FACT, CANCELLED_FACT, EXPIRED_FACT = 1, 2, 3, 4, 5, 6, 7
local HELD, CONFIRMED, CANCELLED, EXPIRED = 0, 1, 2, 3
local NO_STATUS = 255
local SALE_NOT_FOUND, SALE_EXISTS, KEY_REUSED, CLOSED, NOT_OPEN, PAUSED, LIMIT_REACHED, SOLD_OUT,
  ORDER_NOT_FOUND, HOLD_EXPIRED, ORDER_CONFIRMED, ORDER_CANCELLED, ORDER_ID_TAKEN,
  INVALID_QUANTITY, INVALID_SCHEDULE, SUPPLY_OVERFLOW, TOO_LONG, FULL =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18
local OPEN_SWITCH, PAUSED_SWITCH, CLOSED_SWITCH = 0, 1, 2

local NOWHERE = '\0\0\0\0\0\0'

local function refused(code)
  return char(0, code)
end

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function millis(time)
  -- Beyond 2^53 this is a little off, which no comparison with an instant of ours notices.
  return read('<i8', time)
end

local function is_before(a, b)
  local high_a, high_b = read('<i4', a, 5), read('<i4', b, 5)
  if high_a ~= high_b then return high_a < high_b end
  return read('<I4', a) < read('<I4', b)
end

local function chunk_key(s, number)
  return s.key .. ':l:' .. string.format('%.0f', number)
end

-- The state of a sale ------------------------------------------------------------------------------

local STATE = {
  'format', 'number', 'limit', 'hold', 'opens', 'closes', 'switch', 'supply', 'available', 'held',
  'sold', 'cancelled', 'expired', 'sequence', 'clock', 'end', 'moved', 'moved_to', 'stripe', 'stripes',
  'given', 'taken', 'epoch', 'era',
}

local function find_libraries()
  byte, char, sub = string.byte, string.char, string.sub
  concat, insert = table.concat, table.insert
  pack, read = struct.pack, struct.unpack
end

local function load_sale(key)
  local s = {
    key = key, keys = {}, ids = {}, customers = {}, raw = {}, changes = {},
    fresh = {}, status = {}, next = {}, blocks = {}, marks = {}, due = {}, over = {},
    new_keys = {}, new_ids = {}, new_changes = {}, dirty = {},
  }
  local f = redis.call('HMGET', key .. ':s', unpack(STATE))
  if not f[1] then return s end
  if f[1] ~= FORMAT and f[1] ~= FORMAT_STRIPED then
    -- Its key, its format, and the newest that is read here.
    error({err = 'KILATFORMAT ' .. key .. ' ' .. f[1] .. ' ' .. FORMAT_STRIPED})
  end
  s.exists = true
  s.number = tonumber(f[2])
  s.limit = tonumber(f[3])
  s.hold = tonumber(f[4])
  s.opens, s.closes = f[5], f[6]
  s.switch = tonumber(f[7])
  s.supply, s.available, s.held, s.sold = tonumber(f[8]), tonumber(f[9]), tonumber(f[10]), tonumber(f[11])
  s.cancelled, s.expired = tonumber(f[12]), tonumber(f[13])
  s.sequence, s.clock, s.log_end = tonumber(f[14]), tonumber(f[15]), tonumber(f[16])
  s.moved, s.moved_to = tonumber(f[17]), tonumber(f[18])
  s.stripe, s.stripes = tonumber(f[19]) or 0, tonumber(f[20]) or 1
  s.given, s.taken, s.epoch = tonumber(f[21]) or 0, tonumber(f[22]) or 0, tonumber(f[23]) or 0
  s.era = tonumber(f[24]) or 0
  s.changes_len = nil
  return s
end

local function next_due(s)
  if s.held == 0 then
    -- A hold of nothing can't be: no units held, no holds.
    return -1
  end
  local first = redis.call('ZRANGE', s.key .. ':h', 0, 0, 'WITHSCORES')
  return tonumber(first[2]) or -1
end

local function describe(s)
  if not s.exists then return '' end
  return pack('<I4I8I8I8I8I8I8I8Bi8', s.number, s.sequence, s.supply, s.available, s.held, s.sold,
    s.cancelled, s.expired, s.switch, next_due(s))
    .. pack('B', #s.opens) .. s.opens .. pack('B', #s.closes) .. s.closes
    .. pack('<I8I8I8I8', s.given, s.taken, s.epoch, s.era)
end

-- Records ------------------------------------------------------------------------------------------

local function stored_record(s, place)
  local at = read('>I6', place)
  local offset = at % CHUNK
  local key = chunk_key(s, (at - offset) / CHUNK)
  local record = redis.call('GETRANGE', key, offset, offset + RECORD_GUESS - 1)
  local length = read('<I2', record, 14) + 15
  if #record < length then
    record = redis.call('GETRANGE', key, offset, offset + length - 1)
  end
  return sub(record, 1, length)
end

local function order_at(s, place)
  local record = s.fresh[place]
  if not record then
    record = stored_record(s, place)
    s.fresh[place] = record
  end
  local hold = byte(record, 16) == HELD_FACT
  local customer_at = 52
  local expires = 0
  if hold then
    expires = read('<I8', record, 52)
    customer_at = 60
  end
  local customer_len = read('<I2', record, 49)
  return {
    place = place,
    status = s.status[place] or byte(record, 1),
    sequence = read('<I8', record, 21),
    id = sub(record, 29, 44),
    quantity = read('<I4', record, 45),
    hold = hold,
    expires = expires,
    customer = sub(record, customer_at, customer_at + customer_len - 1),
  }
end

-- A hold is over at its end, whether or not its expiry has been recorded.
local function status_at(order, now)
  if order.status == HELD and now >= order.expires then return EXPIRED end
  return order.status
end

local function told(order, status, replayed)
  return pack('<BBB', replayed and 7 or 6, status, order.hold and 1 or 0) .. order.id
    .. pack('<I4I8I8', order.quantity, order.sequence, order.expires)
end

-- Appends a fact and returns its place. `rest` is what follows tag, number and sequence.
local function append(s, now, tag, status, rest)
  s.sequence = s.sequence + 1
  s.clock = now
  local fact_bytes = 13 + #rest
  local record = pack('<BI6I6I2BI4I8', status, 0, now, fact_bytes, tag, s.number, s.sequence) .. rest
  local offset = s.log_end % CHUNK
  if offset + #record > CHUNK then
    s.log_end = s.log_end - offset + CHUNK
    offset = 0
  end
  local block = s.blocks[#s.blocks]
  local number = (s.log_end - offset) / CHUNK
  if not block or block.number ~= number then
    block = {number = number}
    insert(s.blocks, block)
  end
  block[#block + 1] = record
  local place = pack('>I6', s.log_end)
  if (s.sequence - 1) % MARK_EVERY == 0 then insert(s.marks, place) end
  s.fresh[place] = record
  s.log_end = s.log_end + #record
  return place
end
