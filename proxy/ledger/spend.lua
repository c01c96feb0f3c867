-- The arithmetic of proxy/core/{limits,windows,buckets,tallies,offsets,reports,holds}.py, word for
-- word, on the server's clock. A property test holds this to the Python: change both or neither,
-- and keep the order of every sum (both count in the same doubles).
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

local VERSION = 1
local SLIDING, FIXED, BUCKET = 0, 1, 2
local SLOTS, CRUMB = 256, 1e-9
local ASSUMED, TRUSTED = 2.0, 0.5
local SHORTEST_PACE, MOST_FORETOLD, MEMORY = 1.0, 0.5, 0.5
local COST_MEMORY, LAG_MEMORY, FADES = 0.99, 0.9, 4.0
local DRIFT, DISTRUST, TOLERANCE = 1e-4, -16, 0.001
local SHORTEST, LONGEST, JITTER = 1.0, 7 * 86400.0, 0.1
local LATE = 60.0
local REMEMBERED = 4.0
local LEASE, SILENT, LONG_SILENT, RENEW = 20.0, 2.0, 3.0, 0.25
local floor, min, max = math.floor, math.min, math.max

local function finite(x) return x == x and x > -math.huge and x < math.huge end

-- A rule: {kind, size, window, slot, phase, edges, strict, reserve, pace}
local function unruled(r)
  return {kind = r[1], size = r[2], window = r[3], slot = r[4], phase = r[5], edges = r[6],
          strict = r[7], reserve = r[8], pace = r[9]}
end

-- Tallies: {slots, tokens, total}; changed in place here

local function slot_at(moment, width) return floor(moment / width) + 1 end

local function place(slots, slot)  -- bisect_left, from the end, where new ones go
  local at = #slots
  while at > 0 and slots[at] >= slot do at = at - 1 end
  return at + 1
end

local function added(tally, slot, tokens)
  local slots, at = tally[1], place(tally[1], slot)
  tally[3] = tally[3] + tokens
  if slots[at] == slot then
    tally[2][at] = tally[2][at] + tokens
  else
    table.insert(slots, at, slot)
    table.insert(tally[2], at, tokens)
  end
end

local function taken(tally, slot, tokens)
  local slots, at = tally[1], place(tally[1], slot)
  if slots[at] ~= slot or tally[2][at] < tokens - CRUMB then return false end
  local left = tally[2][at] - tokens
  tally[3] = tally[3] - tokens
  if left > CRUMB then
    tally[2][at] = left
  else
    table.remove(slots, at)
    table.remove(tally[2], at)
    if #slots == 0 then tally[3] = 0 end
  end
  return true
end

local function dropped(tally, gone)  -- the first `gone` slots
  local slots, tokens, n = tally[1], tally[2], #tally[1]
  for i = 1, n do
    slots[i], tokens[i] = slots[i + gone], tokens[i + gone]
  end
end

local function since(tally, cut, width)
  local slots, tokens, gone = tally[1], tally[2], 0
  while gone < #slots and slots[gone + 1] * width <= cut do
    tally[3] = tally[3] - tokens[gone + 1]
    gone = gone + 1
  end
  if gone == 0 then return end
  if gone == #slots then tally[3] = 0 end
  dropped(tally, gone)
end

local function merged(tally, past, width)
  local slots, tokens = tally[1], tally[2]
  if #slots < 2 or slots[2] * width > past then return end
  local sum, at = tokens[1], 1
  while at < #slots and slots[at + 1] * width <= past do
    sum = sum + tokens[at + 1]
    at = at + 1
  end
  dropped(tally, at - 1)
  tokens[1] = sum
end

local function ended_by(tally, moment, width)
  local sum, last = 0, moment / width
  for i, slot in ipairs(tally[1]) do
    if slot > last then break end
    sum = sum + tally[2][i]
  end
  return sum
end

local function resized(tally, width, new)
  local result = {{}, {}, 0}
  for i, slot in ipairs(tally[1]) do added(result, slot_at(slot * width, new), tally[2][i]) end
  return result
end

-- Counts: {slot, own, foreign, told, level, at, owed}
-- Told by the provider: {at, asked, start, top, counted, size, lag, sure, seen, span, stride, dearest}

local AT, ASKED, START, TOP, COUNTED, SIZE, LAG, SURE, SEEN, SPAN, STRIDE, DEAREST =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

local function untold() return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} end

local function fresh(rule) return {rule.slot, {{}, {}, 0}, {{}, {}, 0}, untold(), 0, 0, 0} end

-- Windows

local function bounds(offset, now)
  if offset[4] <= 0 then return nil end
  local wide = DRIFT * max(0, now - offset[3])
  return offset[1] - wide, offset[2] + wide
end

local function provider_clock(rule, moment)
  if rule.kind ~= FIXED then return nil end
  local low, high = bounds(moment.offset, moment.now)
  if low and high - low < rule.window * TRUSTED then return low, high end
  if rule.strict then return nil end
  local assumed = moment.wall - moment.now
  return assumed - ASSUMED, assumed + ASSUMED
end

local function window_of(rule, time)
  if #rule.edges == 0 then
    local start = floor((time - rule.phase) / rule.window) * rule.window + rule.phase
    return start, start + rule.window
  end
  local start = 0
  for _, edge in ipairs(rule.edges) do
    if edge > time then return start, edge end
    start = edge
  end
  return start, start + rule.window
end

local function frame(rule, moment)
  local low, high = provider_clock(rule, moment)
  if not low then
    local start = moment.now - rule.window
    return {cut = start, start = start, stop = moment.now, fixed = false, low = 0, high = 0}
  end
  local start, stop = window_of(rule, moment.now + low)
  return {cut = start - high, start = start, stop = stop, fixed = true, low = low, high = high}
end

local function rolled(rule, count, moment)
  local window = frame(rule, moment)
  since(count[2], window.cut, rule.slot)
  since(count[3], window.cut, rule.slot)
  if window.fixed then
    local past = moment.now - SLOTS * rule.slot
    merged(count[2], past, rule.slot)
    merged(count[3], past, rule.slot)
  end
end

local function size_of(rule, count)
  local stated = count[4][SIZE]
  return stated > 0 and min(rule.size, stated) or rule.size
end

local function withholdable(rule, count, size)
  if rule.kind == FIXED and not rule.strict then
    return max(0, size - (count[2][3] + count[3][3]))
  end
  return size
end

local function allowed(rule, count, moment, urgent)
  local size = size_of(rule, count)
  if moment.withheld > 0 then
    size = size - moment.withheld * withholdable(rule, count, size)
  end
  if urgent then return size end
  local most = size - size * rule.reserve
  if rule.pace < 0 then return most end
  local window = frame(rule, moment)
  if not window.fixed then return most end
  local passed = (moment.now + window.low - window.start) / (window.stop - window.start)
  return min(most, size * (passed + rule.pace))
end

local function last_told(rule, own, told)
  local later = own[3] - ended_by(own, told[ASKED], rule.slot) - told[COUNTED]
  return told[TOP] + max(0, later)
end

local function observed(told, window)
  return told[START] > 0 and max(0, told[AT] + window.high - told[START]) or 0
end

local function foretold(rule, count, moment, window)
  local told, rate = count[4], nil
  local from = told[ASKED]
  if window.fixed then
    rate = (told[SEEN] + told[SURE]) / max(told[SPAN] + observed(told, window), SHORTEST_PACE)
    if told[START] ~= window.start then from = window.start - window.high end
  else
    rate = max(told[SEEN], count[3][3]) / rule.window
  end
  if rate <= 0 and told[STRIDE] <= 0 then return 0 end
  local at_once = max(told[STRIDE], told[DEAREST])
  local expected = rate * max(0, moment.now - from + told[LAG]) + at_once
  return min(expected, size_of(rule, count) * MOST_FORETOLD)
end

local function spare(rule, count, moment, most)
  local left, told = most - (count[2][3] + count[3][3]), count[4]
  if told[AT] == 0 then return left end
  local window = frame(rule, moment)
  left = left - foretold(rule, count, moment, window)
  if rule.kind == FIXED and not window.fixed and moment.now < told[AT] + rule.window then
    left = min(left, most - last_told(rule, count[2], told))
  end
  return left
end

local function turned(told, window)
  if told[START] == window.start then return end
  told[SEEN] = told[SEEN] * MEMORY + told[SURE]
  told[SPAN] = told[SPAN] * MEMORY + observed(told, window)
  told[STRIDE] = told[STRIDE] * MEMORY
  told[START], told[TOP], told[COUNTED], told[SURE] = window.start, 0, 0, 0
end

-- Buckets

local function in_flight(count, now, width)
  local flying, slots, tokens = 0, count[2][1], count[2][2]
  for i = #slots, 1, -1 do
    if slots[i] * width <= now then break end
    flying = flying + tokens[i]
  end
  return flying
end

local function filled(rule, count, now, withheld)
  if now <= count[6] then return end
  local rate = rule.size / rule.window * (1 - withheld)
  local level, at, flying = count[5], count[6], in_flight(count, count[6], rule.slot)
  for i, slot in ipairs(count[2][1]) do
    local ended = slot * rule.slot
    if count[6] < ended and ended <= now then
      level = min(level + rate * (ended - at), rule.size - flying)
      at, flying = ended, flying - count[2][2][i]
    end
  end
  level = min(level + rate * (now - at), rule.size - flying)
  since(count[2], now - rule.window, rule.slot)
  if level >= rule.size - flying then count[7] = 0 end
  count[5], count[6] = level, now
end

local function current(rule, count, moment)
  if count[1] ~= rule.slot then
    count[2] = resized(count[2], count[1], rule.slot)
    count[3] = resized(count[3], count[1], rule.slot)
    count[1] = rule.slot
  end
  if rule.kind ~= BUCKET then return rolled(rule, count, moment) end
  if count[6] == 0 then
    count[5], count[6] = rule.size - count[2][3] - count[3][3], moment.now
    count[3] = {{}, {}, 0}
  end
  filled(rule, count, moment.now, moment.withheld)
end

-- Reports

local function made(foreign, tokens, slot)
  if tokens > foreign[3] + CRUMB then
    return added(foreign, slot, tokens - foreign[3])
  end
  while #foreign[1] > 0 and foreign[3] > tokens + CRUMB do
    taken(foreign, foreign[1][1], min(foreign[2][1], foreign[3] - tokens))
  end
end

local function stated(rule, count, size, sent)
  if not finite(size) or size <= 0 then return end
  if size >= rule.size then size = 0 end
  local told = count[4]
  local present = told[SIZE] > 0 and told[SIZE] or rule.size
  local lower = 0 < size and size < present
  if size ~= told[SIZE] and (lower or sent >= told[AT]) then told[SIZE] = size end
end

local function paced(rule, count, figure, window, moment)
  local told = count[4]
  if told[AT] == 0 then return end
  local known = (not window.fixed or told[START] == window.start) and count[3][3] or 0
  local surprise = figure[2] - count[2][3] - known - foretold(rule, count, moment, window)
  if surprise > told[STRIDE] then told[STRIDE] = surprise end
end

local function noted(told, figure, sent, now)  -- the same of every kind
  told[LAG] = max(now - sent, told[LAG] * LAG_MEMORY)
  told[DEAREST] = max(figure[4], told[DEAREST] * COST_MEMORY)
  told[AT] = now
end

local function topped(rule, count, figure, sent, window, moment)
  local now, told = moment.now, count[4]
  if sent + window.low < window.start or now + window.high >= window.stop then return end
  paced(rule, count, figure, window, moment)
  turned(told, window)
  local surely = ended_by(count[2], sent, rule.slot) + figure[4]
  if figure[2] < told[TOP] and sent >= told[AT] then
    told[TOP], told[COUNTED] = figure[2], surely
  else
    told[TOP] = max(told[TOP], figure[2])
    told[COUNTED] = max(told[COUNTED] + figure[4], surely)
  end
  told[ASKED], told[SURE] = max(told[ASKED], sent), max(0, told[TOP] - count[2][3])
  noted(told, figure, sent, now)
  made(count[3], max(0, told[TOP] - told[COUNTED]), slot_at(now, rule.slot))
end

local function last(rule, count, figure, sent, now)
  local told, taken = count[4], {}
  for i = 1, DEAREST do taken[i] = told[i] end
  taken[ASKED], taken[START], taken[TOP], taken[COUNTED] = sent, 0, figure[2], figure[4]
  noted(taken, figure, sent, now)
  local stale = told[AT] == 0 or sent >= told[AT] or now >= told[AT] + rule.window
  if stale or last_told(rule, count[2], taken) >= last_told(rule, count[2], told) then
    count[4] = taken
  end
end

local function estimated(rule, count, figure, sent, now)
  local most = max(0, figure[2] - ended_by(count[2], sent, rule.slot) - figure[4])
  local foreign, own, told = count[3], count[2], count[4]
  if most > foreign[3] then
    local least = max(foreign[3], figure[2] - own[3])
    local doubtful = most - least
    made(foreign, least, slot_at(now, rule.slot))
    local answered = #own[1] > 0 and own[1][#own[1]] * rule.slot or now
    if doubtful > CRUMB and answered > now then
      added(foreign, slot_at(answered - rule.window, rule.slot), doubtful)
    end
  elseif sent >= told[AT] then
    made(foreign, most, slot_at(now, rule.slot))
  end
  local faded = told[SEEN] * max(0, 1 - (now - told[AT]) / (rule.window * FADES))
  told[ASKED], told[SEEN] = max(told[ASKED], sent), max(foreign[3], faded)
  noted(told, figure, sent, now)
end

local function levelled(rule, count, figure, sent, now)
  local size = (finite(figure[3]) and figure[3] > 0) and figure[3] or rule.size
  local unsure = count[2][3] - ended_by(count[2], sent, rule.slot) - figure[4]
  local bound = size - figure[2] - max(0, unsure)
  local level, owed = count[5], count[7]
  if bound < level then
    owed, level = owed + (level - bound), bound
  elseif sent >= count[4][AT] then
    local room = rule.size - in_flight(count, now, rule.slot)
    local raised = max(level, min(level + owed, bound, room))
    owed, level = owed - (raised - level), raised
  end
  count[4][AT], count[5], count[7] = now, level, owed
end

local function corrected(rule, count, figure, sent, moment)
  stated(rule, count, figure[3], sent)
  if not finite(figure[2]) or figure[2] < 0 then return end
  if rule.kind == BUCKET then return levelled(rule, count, figure, sent, moment.now) end
  local window = frame(rule, moment)
  if window.fixed then return topped(rule, count, figure, sent, window, moment) end
  paced(rule, count, figure, window, moment)
  if rule.kind == FIXED then return last(rule, count, figure, sent, moment.now) end
  estimated(rule, count, figure, sent, moment.now)
end

-- The provider's clock: {low, high, at, agreed}

local function refined(offset, date, sent, received)
  if not finite(date) then return end
  local low, high, agreed = date - received, date + 1 - sent, 1
  if offset[4] ~= 0 then
    local wide = DRIFT * max(0, received - offset[3])
    local lowest, highest = max(low, offset[1] - wide), min(high, offset[2] + wide)
    if lowest > highest + TOLERANCE then
      agreed = DISTRUST
    else
      low, high, agreed = lowest, highest, offset[4] + 1
      if low > high then
        low = (low + high) / 2
        high = low
      end
      if agreed == 0 then agreed = 1 end
    end
  end
  offset[1], offset[2], offset[3], offset[4] = low, high, received, agreed
end

-- Holds: {until, since, refusals, probe, probe_until, reason}

local function held_until(holding, now)
  if holding[3] == 0 then return nil end
  if holding[1] > now then return holding[1] end
  if holding[4] ~= '' and holding[5] > now then return holding[5] end
  return nil
end

local function bounded(seconds)
  return finite(seconds) and max(SHORTEST, min(seconds, LONGEST)) or LONGEST
end

local function step(refusal, refusals)  -- refusal: {reason, seconds, first, most, jitter}
  if refusal[2] < 0 then
    return bounded(min(refusal[3] * 2 ^ (refusals - 1), refusal[4]) * (1 + JITTER * refusal[5]))
  end
  if refusals == 1 then return bounded(refusal[2]) end
  return bounded(max(refusal[2], min(refusal[3] * 2 ^ (refusals - 2), refusal[4])))
end

local function lengthened(holding, refusal, sent, now)
  if holding[3] > 0 and sent < holding[2] then
    holding[1] = max(holding[1], now + (refusal[2] < 0 and 0 or bounded(refusal[2])))
    return
  end
  local refusals = min(holding[3] + 1, 64)
  local stop = max(holding[1], now + step(refusal, refusals))
  holding[1], holding[2], holding[3] = stop, now, refusals
  holding[4], holding[5], holding[6] = '', 0, refusal[1]
end

local function ended(holding, id, sent, answered)
  if holding[3] == 0 then return end
  if answered and sent >= holding[2] then
    holding[1], holding[2], holding[3], holding[4], holding[5], holding[6] = 0, 0, 0, '', 0, ''
  elseif holding[4] == id then
    holding[4], holding[5] = '', 0
  end
end

-- Spend, settle, adjust

local function fits(rule, count, cost, moment, urgent)
  if rule.size < moment.in_turns then return false end
  if rule.kind == BUCKET then
    return count[5] - cost >= (urgent and 0 or rule.size * rule.reserve) - CRUMB
  end
  return cost <= spare(rule, count, moment, allowed(rule, count, moment, urgent)) + CRUMB
end

local function spend(state, order, moment)  -- order: {id, within, urgent, {{bucket, cost}, ...}}
  local stop = held_until(state.head[6], moment.now)
  if stop then return {1, stop} end
  for _, charge in ipairs(order[4]) do
    current(state.rules[charge[1]], state.counts[charge[1]], moment)
  end
  for i, charge in ipairs(order[4]) do
    local bucket, cost = charge[1], charge[2]
    if cost > 0 and not fits(state.rules[bucket], state.counts[bucket], cost, moment, order[3]) then
      return {2, i - 1}
    end
  end
  local booked = moment.now + order[2]
  for _, charge in ipairs(order[4]) do
    local rule, count, cost = state.rules[charge[1]], state.counts[charge[1]], charge[2]
    if cost > 0 then
      added(count[2], slot_at(booked, rule.slot), cost)
      if rule.kind == BUCKET then count[5] = count[5] - cost end
    end
  end
  local holding = state.head[6]
  if holding[3] > 0 then holding[4], holding[5] = order[1], booked end
  return {0, booked, holding[3] > 0}
end

-- ending: {id, until, within, sent, answered, {{bucket, cost, real}, ...}, date, figures, refusal}
local function moved(rule, count, ending, cost, real, now)
  if ending[4] and not ending[5] then return end
  local found = cost <= 0 or taken(count[2], slot_at(ending[2], rule.slot), cost)
  if not found and (now < ending[2] or not ending[4]) then return end
  local charged = ending[4] and max(0, real) or 0
  if charged > 0 then added(count[2], slot_at(now, rule.slot), charged) end
  if rule.kind == BUCKET then
    local room = rule.size - in_flight(count, now, rule.slot)
    count[5] = min(count[5] + (cost - charged), room)
  end
end

local function settle(state, ending, moment)
  local sent = ending[2] - ending[3]
  for _, charge in ipairs(ending[6]) do
    local rule, count = state.rules[charge[1]], state.counts[charge[1]]
    current(rule, count, moment)
    moved(rule, count, ending, charge[2], charge[3], moment.now)
  end
  if ending[5] then refined(state.head[5], ending[7], sent, moment.now) end
  for _, figure in ipairs(ending[8]) do
    local rule, count = state.rules[figure[1]], state.counts[figure[1]]
    current(rule, count, moment)
    corrected(rule, count, figure, sent, moment)
  end
  if ending[9] then
    lengthened(state.head[6], ending[9], sent, moment.now)
  else
    ended(state.head[6], ending[1], sent, ending[5])
  end
end

local function dated(rule, log, moment)
  local tally = {{}, {}, 0}
  for _, each in ipairs(log) do
    if each[2] > 0 then added(tally, slot_at(moment.now - each[1], rule.slot), each[2]) end
  end
  if rule.kind ~= BUCKET then since(tally, frame(rule, moment).cut, rule.slot) end
  return tally
end

local function without_newest(tally, tokens)
  while tokens > CRUMB and #tally[1] > 0 do
    local last = #tally[1]
    local part = min(tally[2][last], tokens)
    taken(tally, tally[1][last], part)
    tokens = tokens - part
  end
end

local function adjust(state, adjustment, moment)  -- {bucket, {{ago, tokens}, ...}, least}
  local rule, count = state.rules[adjustment[1]], state.counts[adjustment[1]]
  current(rule, count, moment)
  local told, present = dated(rule, adjustment[2], moment), count[2][3] + count[3][3]
  if rule.kind == BUCKET then present = rule.size - count[5] end
  if adjustment[3] and told[3] <= present then return end
  local flying = in_flight(count, moment.now, rule.slot)
  without_newest(told, flying)
  count[4] = untold()
  if rule.kind == BUCKET then
    count[5], count[7] = rule.size - (flying + told[3]), told[3]
  else
    since(count[2], moment.now, rule.slot)
    count[3] = told
  end
end

-- Spenders: {{id, seen, of, alone}, ...}

local function in_turns(spenders, now)
  local most = 0
  for _, each in ipairs(spenders) do
    if each[4] and each[2] < now - SILENT then most = max(most, each[3]) end
  end
  return most
end

local function parted(spenders, caller)
  local others = {}
  for _, each in ipairs(spenders) do
    if each[1] ~= caller then others[#others + 1] = each end
  end
  return others
end

local function met(spenders, caller, now)
  local alive = {}
  for _, each in ipairs(spenders) do
    if each[1] ~= caller and each[2] > now - LEASE then alive[#alive + 1] = each end
  end
  alive[#alive + 1] = {caller, now, #alive + 1, false}
  return alive
end

local function last_seen(spenders, caller)
  for _, each in ipairs(spenders) do
    if each[1] == caller then return each[2] end
  end
  return 0
end

local function withheld(spenders, now)
  local share = 0
  for _, each in ipairs(spenders) do
    if each[2] < now - SILENT then share = share + 1 / each[3] end
  end
  return min(1, share)
end

-- What a spender tells that was cut off: {id, now, spenders, holding, seen, spent,
-- receipts, alone}

local function slotwise(one, other)
  local there = {}
  for i, slot in ipairs(one[1]) do there[slot] = one[2][i] end
  for i, slot in ipairs(other[1]) do
    local more = other[2][i] - (there[slot] or 0)
    if more > 0 then added(one, slot, more) end
  end
end

local function told(state, telling, moment, known)
  for _, each in ipairs(telling[5]) do
    local rule, count, seen = state.rules[each[1]], state.counts[each[1]], each[2]
    current(rule, count, moment)
    current(rule, seen, moment)
    slotwise(count[2], seen[2])
    if rule.kind == BUCKET then
      local level = min(count[5], seen[5])
      count[5] = min(level, rule.size - in_flight(count, moment.now, rule.slot))
    else
      slotwise(count[3], seen[3])
    end
  end
  for _, each in ipairs(known and {} or telling[6]) do
    local rule, count, spent = state.rules[each[1]], state.counts[each[1]], each[2]
    current(rule, count, moment)
    for i, slot in ipairs(spent[1]) do added(count[2], slot, spent[2][i]) end
    if rule.kind == BUCKET then count[5] = count[5] - spent[3] end
  end
  local there, spenders = {}, {}
  for _, each in ipairs(state.head[8]) do there[each[1]] = true end
  for _, each in ipairs(telling[3]) do
    if not there[each[1]] then
      spenders[#spenders + 1] = {each[1], moment.now - LONG_SILENT, each[3], telling[8]}
    end
  end
  for _, each in ipairs(state.head[8]) do
    if telling[8] and each[2] < moment.now - SILENT then each[4] = true end
    spenders[#spenders + 1] = each
  end
  state.head[8] = spenders
  if telling[4][1] > state.head[6][1] then state.head[6] = telling[4] end
end

-- Whether all of a (current) count is back, and what the provider told of it is long past

local function idle(rule, count, moment)
  local told_at = count[4][1]
  if told_at > 0 and moment.now < told_at + REMEMBERED * rule.window then return false end
  if #count[2][1] > 0 or #count[3][1] > 0 then return false end
  return rule.kind ~= BUCKET or count[5] >= rule.size - CRUMB
end

-- The batch

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
