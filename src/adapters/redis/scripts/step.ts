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
 * ARGV worker, nonce, leaseMs, registry entry, now, number of slots, of runs, of acks, of claims, of runs to be heard of, 1
 * if an ack is more than a result or a drop, lease that the worker knows or '', lease from now on or '' for the same;
 * for each ack: place of its slot, kind (in capitals where the worker's word may be enough), header, place of its run or 0,
 * text; for each claim: place of its slot; for each run to be heard of: its place. Places count from 1.
 * Reply: status, units that wait, claims (place in the list of claims, unit), places of refused acks, cancelled entries of
 * each run that was to be heard of, 1 if the row of steps is unbroken.
 */
export const step = new Script(`${HEADER}${ENTER}${REPORT}${bury(DEAD_LIMIT, DEAD_UNIT_LENGTH)}${SETTLE}
local call, pcall, KEYS, ARGV = redis.call, redis.pcall, KEYS, ARGV
local worker, nonce, now = ARGV[1], ARGV[2], ARGV[5]
local slots, runs, acks, claims, hear = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local lease, known, new = call('LINDEX', KEYS[1], 0), ARGV[12], ARGV[13]
if lease and lease ~= known and string.sub(lease, 1, #nonce + 1) ~= nonce .. '|' then return { 'taken' } end
local unbroken = lease == known
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

-- Slots that are empty, or will be when the spent ones are removed. By run: texts, which acks they are of, and the units
-- that have left their slots for them, or else the slots that will be spent.
local refused, emptied, spent, failure = {}, {}, {}, nil
local results, origins, units = {}, {}, {}
local function note(run, text, ack, unit, slot)
  local list = results[run]
  if not list then
    list = {}
    results[run], origins[run], units[run] = list, {}, {}
  end
  local at = #list + 1
  list[at], origins[run][at], units[run][at] = text, ack, unit or { slot }
end

local at = 13
for ack = 1, acks do
  local place, kind, run = tonumber(ARGV[at + 1]), ARGV[at + 2], tonumber(ARGV[at + 4])
  local slot = KEYS[4 + place]
  if unbroken and (kind == 'RESULT' or kind == 'DROP') and not emptied[place] and pcall('LLEN', slot) == 1 then
    emptied[place] = true
    if kind == 'RESULT' and owned[run] then
      note(run, ARGV[at + 5], ack, nil, slot)
    else
      spent[#spent + 1] = slot
      if kind == 'RESULT' then refused[#refused + 1] = ack end
    end
  else
    kind = string.lower(kind)
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
  end
  at = at + 5
end
for run = 1, runs do
  if results[run] then
    local err = report(coords[run], KEYS[4 + slots + run * 3 - 1], results[run])
    for which, unit in ipairs(units[run]) do
      if type(unit) == 'table' then
        if err then unit = call('LPOP', unit[1]) else spent[#spent + 1] = unit[1] end
      end
      if err and unit ~= '' then
        bury(KEYS[4], now, '${NO_RESULTS}', worker, unit, (header(unit)) or 0)
        refused[#refused + 1] = origins[run][which]
      end
    end
  end
end
if #spent > 0 then call('DEL', unpack(spent)) end
if failure then return redis.error_reply(failure) end

local claimed, dry = {}, false
for claim = 1, claims do
  local place = tonumber(ARGV[at + claim])
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
at = at + claims

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
