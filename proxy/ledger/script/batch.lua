-- The batch: how the script is asked, and what it answers
--
-- KEYS[1]  hash: '' -> head, bucket -> count; each a MessagePack array as Python packs it
-- KEYS[2]  sorted set: receipt -> where it is booked; who is in it was granted and not yet settled
-- ARGV[1]  MessagePack: {latest, epoch, {{bucket, rule}, ...}, {question, ...}, caller, known}
--          epoch: the name of the ledger's life, if it begins one; known: {epoch, revision} that the
--          caller saw last, or nil
-- Returns  {MessagePack {now, wall, {decision, ...}}, head, count, ... in the order of the rules};
--          or {MessagePack {now, wall, {}}}, and nothing done, where the caller knows more than is
--          here: it must tell first
--
-- Question  {0, order} | {1, ending} | {2, adjustment} | {3} | {4, telling} | {5, spender} |
--           {6, {bucket, ...}}
-- Decision  {0, until, probe} booked | {1, until} held | {2, index} short | {3} none
-- Needs nothing beyond Redis 6.2: effects are replicated by default since 5.0, so TIME may be read.

local request = cmsgpack.unpack(ARGV[1])
local buckets, state = {}, {rules = {}, counts = {}}
local names = {''}
for i, ruled in ipairs(request[3]) do
  buckets[i] = ruled[1]
  names[i + 1] = ruled[1]
  state.rules[ruled[1]] = unruled(ruled[2])
end
local stored = redis.call('HMGET', KEYS[1], unpack(names))
if stored[1] then
  state.head = cmsgpack.unpack(stored[1])
  if state.head[1] > VERSION then
    return redis.error_reply('NEWERVERSION the counts are of version ' .. state.head[1])
  end
else
  state.head = {VERSION, request[2], 0, 0, {0, 0, 0, 0}, {0, 0, 0, '', 0, ''}, 0, {}}
end
for i, bucket in ipairs(buckets) do
  state.counts[bucket] = stored[i + 1] and cmsgpack.unpack(stored[i + 1])
    or fresh(state.rules[bucket])
end

local time = redis.call('TIME')
local wall = tonumber(time[1]) + tonumber(time[2]) / 1000000
local now = wall - state.head[4]
if request[1] and now > request[1] then now = request[1] end
now = max(now, state.head[3])
local known, telling = request[6], nil
for _, question in ipairs(request[4]) do telling = telling or (question[1] == 4 and question[2]) end
if telling then
  now = max(now, telling[2])
  local lost_writes = known and state.head[2] == known[1] and state.head[7] < known[2]
  if lost_writes then state.head[2] = request[2] end  -- whoever else wrote since must tell too
elseif known and (state.head[2] ~= known[1] or state.head[7] < known[2]) then
  return {cmsgpack.pack({now, wall, {}})}
end
state.head[3], state.head[4] = now, wall - now
local decisions, changed, renewed, pruned = {}, false, false, {}
if request[5] ~= '' then
  renewed = last_seen(state.head[8], request[5]) < now - RENEW
  state.head[8] = met(state.head[8], request[5], now)
end
local moment = {now = now, wall = wall, offset = state.head[5]}
moment.withheld = withheld(state.head[8], now)
moment.in_turns = in_turns(state.head[8], now)
for i, question in ipairs(request[4]) do
  local kind, decision = question[1], {3}
  if kind == 0 then
    local id = question[2][1]
    local booked = redis.call('ZSCORE', KEYS[2], id)
    if booked then  -- the call is repeated: its answer was lost
      decision = {0, tonumber(booked), state.head[6][4] == id}
    else
      decision = spend(state, question[2], moment)
      if decision[1] == 0 then
        changed = true
        redis.call('ZADD', KEYS[2], string.format('%.17g', decision[2]), id)
      end
    end
  elseif kind == 1 then
    if redis.call('ZREM', KEYS[2], question[2][1]) == 1 then
      changed = true
      settle(state, question[2], moment)
    end
  elseif kind == 2 then
    changed = true
    adjust(state, question[2], moment)
  elseif kind == 4 then
    changed = true
    told(state, question[2], moment, redis.call('ZSCORE', KEYS[2], question[2][1]))
    redis.call('ZADD', KEYS[2], string.format('%.17g', now + LEASE), question[2][1])
    for _, receipt in ipairs(question[2][7]) do
      redis.call('ZADD', KEYS[2], string.format('%.17g', receipt[2]), receipt[1])
    end
  end
  if kind == 5 then
    changed = true
    state.head[8] = parted(state.head[8], question[2])
  end
  if kind == 6 then
    for _, bucket in ipairs(question[2]) do
      local rule, count = state.rules[bucket], state.counts[bucket]
      current(rule, count, moment)
      if idle(rule, count, moment) then
        state.counts[bucket] = fresh(rule)
        pruned[#pruned + 1] = bucket
      end
    end
  end
  decisions[i] = decision
end

if changed then state.head[7] = state.head[7] + 1 end
local reply = {cmsgpack.pack({now, wall, decisions}), cmsgpack.pack(state.head)}
local write = {'', reply[2]}
for i, bucket in ipairs(buckets) do
  reply[i + 2] = cmsgpack.pack(state.counts[bucket])
  write[2 * i + 1], write[2 * i + 2] = bucket, reply[i + 2]
end
if changed then
  redis.call('HSET', KEYS[1], unpack(write))
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.17g', now - LATE))
elseif renewed then
  redis.call('HSET', KEYS[1], '', reply[2])
end
for _, bucket in ipairs(pruned) do
  local rule, count = state.rules[bucket], state.counts[bucket]
  current(rule, count, moment)
  if idle(rule, count, moment) then redis.call('HDEL', KEYS[1], bucket) end
end
return reply
