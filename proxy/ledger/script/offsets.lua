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
