/** Pieces of Lua that several scripts begin with. Every script is atomic, and safe to repeat when its reply was lost. */

/**
 * `fence_refused(key, fence)`: nothing for the holder; else why not. An older token than the caller's has come back after a loss;
 * another one of the caller's own was taken by a call of its own that came late. It has to ask for its token in both cases.
 */
export const FENCE = `
local function fence_refused(key, fence)
  local held = redis.call('LINDEX', key, 0)
  if held == fence then return nil end
  local epoch, owner = string.match(held or '', '^(%d+)|(.*)$')
  local wanted, nonce = string.match(fence, '^(%d+)|(.*)$')
  if not epoch or owner == nonce or tonumber(epoch) < tonumber(wanted) then return 'gone' end
  return 'fenced'
end
`;

/** `header(text)`: attempt, run and id of a unit; nothing for what is none. As unitHeader of core/messages.ts. */
export const HEADER = `
local function header(text)
  local attempt, run, id = string.match(text, '^([1-9]%d*)|([^|]+)|(%d+%.%d+%.%d+)|')
  if attempt and #attempt <= 9 then return tonumber(attempt), run, id end
end
`;

/** `expire(key, ms)`, where ms may be the empty text for "stays". */
export const EXPIRE = `
local function expire(key, ms)
  if ms ~= '' then redis.call('PEXPIRE', key, ms) end
end
`;

/** `report(coord, res, texts)`: results of a run; they live as long as its coordinator's token. Returns an error, if there is one. */
export const REPORT = `
local function report(coord, res, texts)
  local length = redis.pcall('RPUSH', res, unpack(texts))
  if type(length) == 'table' then return length end
  if length == #texts then
    local left = redis.call('PTTL', coord)
    if left > 0 then redis.call('PEXPIRE', res, left) end
  end
end
`;

/**
 * `bury(dead, at, reason, worker, text, deliveries)`: to the dead units, of which the newest stay. Never fails: a caller that
 * must know asks before whether the key holds a list. `json(text)`: as JSON. A text is cut between two characters.
 */
export const bury = (limit: number, length: number): string => `
local function json(text)
  return (string.gsub(cjson.encode(text), '\\\\/', '/'))
end
local function bury(dead, at, reason, worker, text, deliveries)
  if #text > ${length} then
    local last = ${length}
    while last > ${length - 4} and string.find(text, '^[\\128-\\191]', last + 1) do last = last - 1 end
    text = string.sub(text, 1, last)
  end
  local entry = '{"at":' .. at .. ',"reason":' .. json(reason) .. ',"worker":' .. json(worker) .. ',"unit":' .. json(text) .. ',"deliveries":' .. deliveries .. '}'
  redis.pcall('RPUSH', dead, entry)
  redis.pcall('LTRIM', dead, -${limit}, -1)
end
`;

/** `enter(workers, lease, worker, entry, holder, ms)`: lists a worker once, as live. A lease holds `nonce|k` (see step.ts). */
export const ENTER = `
local function enter(workers, lease, worker, entry, holder, ms)
  for _, text in ipairs(redis.call('LRANGE', workers, 0, -1)) do
    if string.sub(text, 1, #worker + 1) == worker .. '|' then redis.call('LREM', workers, 0, text) end
  end
  redis.call('RPUSH', workers, entry)
  redis.call('DEL', lease)
  redis.call('RPUSH', lease, holder)
  redis.call('PEXPIRE', lease, ms)
end
`;

/** `push_front(key, texts)`: before everything else, in their order. Nothing is pushed if the key holds no list. */
export const PUSH_FRONT = `
local function push_front(key, texts)
  local reversed = {}
  for at = #texts, 1, -1 do
    reversed[#reversed + 1] = texts[at]
    if #reversed == 1000 or at == 1 then
      redis.call('LPUSH', key, unpack(reversed))
      reversed = {}
    end
  end
end
`;

/** `mark_gone(workers, entry, at)`: a worker that has gone stays listed for a while (see registry.ts). */
export const markGone = (goneMs: number): string => `
local function mark_gone(workers, entry, at)
  local since = string.match(entry, '^[^|]+|%d+|[^|]+|(%d+)$')
  if since and at - since <= ${goneMs} then return end
  redis.call('LREM', workers, 0, entry)
  if not since then redis.call('RPUSH', workers, entry .. '|' .. string.format('%.0f', at)) end
end
`;
