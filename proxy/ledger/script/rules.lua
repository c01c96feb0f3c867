-- The arithmetic of proxy/core, word for word: a part for each of its files, joined in the order of
-- `wire.PARTS` into one script, which counts on the server's clock. A property test holds it to the
-- Python: change both or neither, and keep the order of every sum (both count in the same doubles).
-- How it is asked stands in batch.lua.

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
