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
