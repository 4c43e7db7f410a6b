/** Scripts of coordinators. A comment before each names its keys and arguments. */
import { Script } from '../client.ts';
import { CANCEL_LIMIT } from '../requests.ts';
import { EXPIRE, FENCE } from './common.ts';

/** KEYS coord, seq, res, taken. ARGV nonce, fence or '', expireMs or ''. */
export const acquire = new Script(`${EXPIRE}
local held = redis.call('LINDEX', KEYS[1], 0)
local epoch, owner = string.match(held or '', '^(%d+)|(.*)$')
epoch = tonumber(epoch or 0)
local mine = ARGV[2]
if mine ~= '' then
  local wanted, nonce = string.match(mine, '^(%d+)|(.*)$')
  wanted = tonumber(wanted)
  if not held then return { 'gone' } end
  if owner ~= nonce and epoch >= wanted then return { 'fenced' } end
  if epoch > wanted then mine = held end
elseif owner == ARGV[1] then
  mine = held
else
  mine = string.format('%.0f', epoch + 1) .. '|' .. ARGV[1]
end
local last = redis.call('LINDEX', KEYS[2], 0)
local taken = redis.call('LLEN', KEYS[4])
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[1], mine)
for at = 1, 4 do expire(KEYS[at], ARGV[3]) end
return { 'acquired', mine, tonumber(last or 0) or 0, taken }
`);

/**
 * KEYS coord, seq, queue, and of each shared part. ARGV fence, batch, expireMs or '', number of units, units, texts of shared parts,
 * names of shared parts: these stand behind the number of the batch, so that whoever ends the run knows all that were ever stored.
 */
export const push = new Script(`${EXPIRE}${FENCE}
local why = fence_refused(KEYS[1], ARGV[1])
if why then return { why } end
local batch, units = tonumber(ARGV[2]), tonumber(ARGV[4])
local last = tonumber(redis.call('LINDEX', KEYS[2], 0) or 0) or 0
if batch <= last then return { 'ok' } end
if batch > last + 1 then return { 'gone' } end
for at = 4, #KEYS do
  redis.call('DEL', KEYS[at])
  redis.call('RPUSH', KEYS[at], ARGV[units + at + 1])
  expire(KEYS[at], ARGV[3])
end
if units > 0 then redis.call('RPUSH', KEYS[3], unpack(ARGV, 5, units + 4)) end
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('LSET', KEYS[2], 0, ARGV[2]) else redis.call('RPUSH', KEYS[2], ARGV[2]) end
local named = units + 4 + #KEYS - 3
for at = named + 1, #ARGV do
  if not redis.call('LPOS', KEYS[2], ARGV[at]) then redis.call('RPUSH', KEYS[2], ARGV[at]) end
end
expire(KEYS[2], ARGV[3])
return { 'ok' }
`);

/**
 * KEYS coord, taken, res, and what else is kept alive. ARGV fence, most, expireMs or '', from how many on the list is moved
 * as a whole. Reply: the items; or, where all results were moved at once, how many there are: no text has to go through Lua
 * then, which costs more than to read them from `taken`.
 */
export const take = new Script(`${EXPIRE}${FENCE}
local why = fence_refused(KEYS[1], ARGV[1])
if why then return { why } end
local items, most = {}, tonumber(ARGV[2])
local length = redis.call('LLEN', KEYS[3])
if length >= tonumber(ARGV[4]) and length <= most and redis.call('LLEN', KEYS[2]) == 0 then
  redis.call('RENAME', KEYS[3], KEYS[2])
  items = length
else
  for at = 1, math.min(length, most) do items[at] = redis.call('LMOVE', KEYS[3], KEYS[2], 'LEFT', 'RIGHT') end
end
if ARGV[3] ~= '' then
  for at = 1, #KEYS do expire(KEYS[at], ARGV[3]) end
end
return { 'ok', items, redis.call('LLEN', KEYS[2]) }
`);

/**
 * KEYS coord, taken, seq, shared parts that are to go. ARGV fence, count, header of the last, empty where it has none (as
 * resultHeader of core/messages.ts), names of the shared parts.
 */
export const trim = new Script(`${FENCE}
local why = fence_refused(KEYS[1], ARGV[1])
if why then return { why } end
local count = tonumber(ARGV[2])
if count > 0 then
  local last = redis.call('LINDEX', KEYS[2], count - 1)
  if not last or (string.match(last, '^([RPD]|%d+%.%d+%.%d+|%d+)|') or '') ~= ARGV[3] then return { 'mismatch' } end
  redis.call('LTRIM', KEYS[2], count, -1)
end
for at = 4, #KEYS do
  redis.call('UNLINK', KEYS[at])
  redis.call('LREM', KEYS[3], 0, ARGV[at])
end
return { 'ok' }
`);

/** KEYS coord, cancel. ARGV fence, forMs, channel, run, entries. */
export const cancel = new Script(`${FENCE}
local why = fence_refused(KEYS[1], ARGV[1])
if why then return { why } end
local known = {}
for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do known[entry] = true end
for at = 5, #ARGV do
  if not known[ARGV[at]] then redis.call('RPUSH', KEYS[2], ARGV[at]) end
  known[ARGV[at]] = true
  redis.call('PUBLISH', ARGV[3], 'C|' .. ARGV[4] .. '|' .. ARGV[at])
end
redis.call('LTRIM', KEYS[2], -${CANCEL_LIMIT}, -1)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return { 'ok' }
`);

/**
 * Takes a run's units out of a queue, from the back, so that what workers take at the front meanwhile shifts nothing. KEYS
 * coord, queue. ARGV fence, run, how many at the back are done, how many are looked at in one go, how often, entries.
 */
export const purge = new Script(`${FENCE}
local why = fence_refused(KEYS[1], ARGV[1])
if why then return { why } end
local run, behind, size = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local named = {}
for at = 6, #ARGV do named[ARGV[at]] = true end
local tombstone = '|purged|' .. run
local removed, more = 0, 1
for round = 1, tonumber(ARGV[5]) do
  local texts = redis.call('LRANGE', KEYS[2], -behind - size, -behind - 1)
  local found = 0
  for at, text in ipairs(texts) do
    local attempt, of, id, group = string.match(text, '^([1-9]%d*)|([^|]+)|((%d+)%.%d+%.%d+)|')
    if of == run and #attempt <= 9 and (named['*'] or named[id] or named[group]) then
      redis.call('LSET', KEYS[2], -behind - 1 - #texts + at, tombstone)
      found = found + 1
    end
  end
  if found > 0 then redis.call('LREM', KEYS[2], -found, tombstone) end
  removed = removed + found
  behind = behind + #texts - found
  if #texts < size then
    more = 0
    break
  end
end
return { 'ok', removed, behind, more }
`);

/** KEYS coord, and what else is removed. ARGV fence. */
export const release = new Script(`${FENCE}
local why = fence_refused(KEYS[1], ARGV[1])
if why then return { why } end
for at = 1, #KEYS do redis.call('UNLINK', KEYS[at]) end
return { 'ok' }
`);

/** KEYS coord, workers, res, taken, queues, slots. ARGV fence, run, number of queues and slots, the registry that the slots are from. */
export const audit = new Script(`${FENCE}
local why = fence_refused(KEYS[1], ARGV[1])
if why then return { why } end
local registry = redis.call('LRANGE', KEYS[2], 0, -1)
if #registry ~= #ARGV - 3 then return { 'changed' } end
for at, entry in ipairs(registry) do
  if entry ~= ARGV[at + 3] then return { 'changed' } end
end
local run, present = ARGV[2], {}
local function each(key, seen)
  local from = 0
  while true do
    local texts = redis.call('LRANGE', key, from, from + 499)
    for _, text in ipairs(texts) do seen(text) end
    if #texts < 500 then return end
    from = from + 500
  end
end
for at = 5, tonumber(ARGV[3]) + 4 do
  each(KEYS[at], function(text)
    local attempt, of, id = string.match(text, '^([1-9]%d*)|([^|]+)|(%d+%.%d+%.%d+)|')
    if of == run and #attempt <= 9 then present[#present + 1] = id end
  end)
end
for at = 3, 4 do
  each(KEYS[at], function(text) present[#present + 1] = string.match(text, '^[RPD]|(%d+%.%d+%.%d+)|') end)
end
return { 'ok', present }
`);
