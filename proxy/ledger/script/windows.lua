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
