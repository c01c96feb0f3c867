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
