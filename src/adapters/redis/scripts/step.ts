/**
 * The hot path of workers: lease, acknowledgements and claims in one call.
 *
 * The lease holds `nonce|k`, where k is the number that the worker gave to the last step that was executed. A step that
 * names the last one whose reply its worker has got, and finds it there, knows that nothing has emptied or filled a slot
 * since: not a step that came late, not a reaper, not the loss of the last writes. Then the worker's word for what a slot
 * holds is enough where that was said in this unbroken row of steps, and no unit's body is moved into Lua, which costs more
 * than all the rest. (A wait that came late can only put one more unit behind; hence the look at the length.) Otherwise the
 * slot is compared.
 *
 * Results that are said that way come in bulks, with nothing but their texts: more words for each cost as much again. Where a
 * bulk cannot be believed nothing is done, and the caller says all of it again, one by one.
 *
 * Invariants
 * 1. An acknowledgement takes effect if the slot holds the unit that it names, once.
 * 2. A unit leaves its slot and its result appears, or neither; what cannot be reported is buried.
 * 3. A claim of a slot that holds a unit already gives that one.
 */
import { Script } from '../client.ts';
import { DEAD_LIMIT, DEAD_UNIT_LENGTH, NO_RESULTS } from '../dead.ts';
import { bury, ENTER, HEADER, REPORT } from './common.ts';

/** `settle(slot, named)`: the unit that an ack names, out of its slot; whether the slot is empty then; an error, if there was one. */
const SETTLE = `
local function settle(slot, named)
  local held = redis.pcall('LPOP', slot, 2)
  if not held or held.err then return nil, false, held and held.err end
  local function fits(text)
    if named == '' then return header(text) == nil end
    return string.sub(text, 1, #named + 1) == named .. '|'
  end
  if fits(held[1]) then
    if held[2] then redis.call('LPUSH', slot, held[2]) end
    return held[1], not held[2]
  end
  if held[2] then redis.call('LPUSH', slot, held[2], held[1]) else redis.call('LPUSH', slot, held[1]) end
  for _, text in ipairs(redis.call('LRANGE', slot, 0, -1)) do
    if fits(text) then
      redis.call('LREM', slot, 1, text)
      return text, false
    end
  end
end
`;

/**
 * KEYS lease, workers, queue, dead, slots, then for each run: coord, res, cancel.
 * ARGV worker, nonce, leaseMs, registry entry, now, number of slots, of runs, of acks, of bulks, of runs to be heard of, 1
 * if an ack is more than a result or a drop, lease that the worker knows or '', lease from now on or '' for the same, places of
 * the slots that are claimed, as one text;
 * for each bulk: place of its run, place of the first of its slots (the others follow), number of texts, texts;
 * for each ack: place of its slot, kind, header, place of its run or 0, text; for each run to be heard of: its place. Places
 * count from 1.
 * Reply: status, units that wait, claims (place in the list of claims, unit), places of refused acks (those of the bulks come
 * first), cancelled entries of each run that was to be heard of, 1 if the row of steps is unbroken.
 */
export const step = new Script(`${HEADER}${ENTER}${REPORT}${bury(DEAD_LIMIT, DEAD_UNIT_LENGTH)}${SETTLE}
local call, pcall, KEYS, ARGV = redis.call, redis.pcall, KEYS, ARGV
local worker, nonce, now = ARGV[1], ARGV[2], ARGV[5]
local slots, runs, acks, bulks, hear = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local lease, known, new = call('LINDEX', KEYS[1], 0), ARGV[12], ARGV[13]
if lease and lease ~= known and string.sub(lease, 1, #nonce + 1) ~= nonce .. '|' then return { 'taken' } end
local unbroken = lease == known

local at, bulked = 14, 0
for bulk = 1, bulks do
  if not unbroken then return { 'again' } end
  local first, count = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  for slot = 4 + first, 3 + first + count do
    if pcall('LLEN', KEYS[slot]) ~= 1 then return { 'again' } end
  end
  at = at + 3 + count
end
if lease then
  if new ~= '' then call('LSET', KEYS[1], 0, new) end
  call('PEXPIRE', KEYS[1], ARGV[3])
else
  enter(KEYS[2], KEYS[1], worker, ARGV[4], new ~= '' and new or nonce .. '|-', ARGV[3])
end

-- A key that holds no list ends the call here, before anything has left a slot.
if ARGV[11] == '1' then call('LLEN', KEYS[3]); call('LLEN', KEYS[4]) end

local owned, coords = {}, {}
for run = 1, runs do coords[run] = KEYS[4 + slots + run * 3 - 2] end
local all = runs > 0 and call('EXISTS', unpack(coords)) == runs
for run = 1, runs do owned[run] = all or call('EXISTS', coords[run]) == 1 end

-- Slots that are empty. By run: texts, which acks they are of, and the units that have left their slots for them.
local refused, emptied, failure = {}, {}, nil
local results, origins, units = {}, {}, {}
local function note(run, text, ack, unit)
  local list = results[run]
  if not list then
    list = {}
    results[run], origins[run], units[run] = list, {}, {}
  end
  local at = #list + 1
  list[at], origins[run][at], units[run][at] = text, ack, unit
end

at = 14
for bulk = 1, bulks do
  local run, first, count = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local err = owned[run] and report(coords[run], KEYS[4 + slots + run * 3 - 1], { unpack(ARGV, at + 4, at + 3 + count) })
  for nth = 1, count do
    emptied[first + nth - 1] = true
    if err then
      local unit = call('LPOP', KEYS[3 + first + nth])
      bury(KEYS[4], now, '${NO_RESULTS}', worker, unit, (header(unit)) or 0)
    end
    if err or not owned[run] then refused[#refused + 1] = bulked + nth end
  end
  if not err then call('DEL', unpack(KEYS, 4 + first, 3 + first + count)) end
  bulked = bulked + count
  at = at + 3 + count
end
for ack = bulked + 1, bulked + acks do
  local place, kind, run = tonumber(ARGV[at + 1]), ARGV[at + 2], tonumber(ARGV[at + 4])
  local slot = KEYS[4 + place]
  local unit, empty, err
  if not emptied[place] then unit, empty, err = settle(slot, ARGV[at + 3]) end
  failure = failure or err
  if not unit then
    refused[#refused + 1] = ack
  else
    emptied[place] = empty
    if kind == 'result' then
      if owned[run] then note(run, ARGV[at + 5], ack, unit) else refused[#refused + 1] = ack end
    elseif kind == 'return' then
      if owned[run] then call('RPUSH', KEYS[3], ARGV[at + 5]) else refused[#refused + 1] = ack end
    elseif kind == 'dead' then
      local attempt, _, id = header(unit)
      bury(KEYS[4], now, ARGV[at + 5], worker, unit, attempt or 0)
      if attempt and owned[run] then note(run, 'D|' .. id .. '|' .. attempt .. '|' .. json(ARGV[at + 5]), 0, '') end
    end
  end
  at = at + 5
end
for run = 1, runs do
  if results[run] then
    local err = report(coords[run], KEYS[4 + slots + run * 3 - 1], results[run])
    for which, unit in ipairs(units[run]) do
      if err and unit ~= '' then
        bury(KEYS[4], now, '${NO_RESULTS}', worker, unit, (header(unit)) or 0)
        refused[#refused + 1] = origins[run][which]
      end
    end
  end
end
if failure then return redis.error_reply(failure) end

local claimed, dry, claim = {}, false, 0
for text in string.gmatch(ARGV[14], '%d+') do
  local place = tonumber(text)
  claim = claim + 1
  local slot = KEYS[4 + place]
  local unit = not emptied[place] and call('LINDEX', slot, 0)
  if not unit and not dry then
    unit = call('LMOVE', KEYS[3], slot, 'LEFT', 'RIGHT')
    dry = not unit
  end
  emptied[place] = nil
  if unit then
    claimed[#claimed + 1] = claim
    claimed[#claimed + 1] = unit
  end
end
local cancelled, flags = {}, {}
for place = 1, hear do flags[place] = KEYS[4 + slots + tonumber(ARGV[at + place]) * 3] end
local any = hear > 0 and call('EXISTS', unpack(flags)) > 0
for place = 1, hear do
  if not owned[tonumber(ARGV[at + place])] then cancelled[place] = { '*' }
  elseif any then cancelled[place] = call('LRANGE', flags[place], 0, -1)
  else cancelled[place] = {} end
end
return { 'ok', call('LLEN', KEYS[3]), claimed, refused, cancelled, unbroken and 1 or 0 }
`);
