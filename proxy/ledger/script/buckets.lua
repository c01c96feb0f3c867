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
