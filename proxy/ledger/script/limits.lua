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
