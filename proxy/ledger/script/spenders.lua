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
