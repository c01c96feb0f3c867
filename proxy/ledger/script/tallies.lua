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
