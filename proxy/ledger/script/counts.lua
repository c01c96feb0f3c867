-- Counts: {slot, own, foreign, told, level, at, owed}
-- Told by the provider: {at, asked, start, top, counted, size, lag, sure, seen, span, stride, dearest}

local AT, ASKED, START, TOP, COUNTED, SIZE, LAG, SURE, SEEN, SPAN, STRIDE, DEAREST =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

local function untold() return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} end

local function fresh(rule) return {rule.slot, {{}, {}, 0}, {{}, {}, 0}, untold(), 0, 0, 0} end
