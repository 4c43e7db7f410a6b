/** Scripts around the registry of workers. A comment before each names its keys and arguments. */
import { Script } from '../client.ts';
import { DEAD_LIMIT, DEAD_UNIT_LENGTH, lostReasonParts, NO_UNIT } from '../dead.ts';
import { GONE_MS } from '../registry.ts';
import { bury, ENTER, HEADER, markGone, PUSH_FRONT, REPORT } from './common.ts';

/** Which workers have a lease. KEYS workers, leases. ARGV the entries that the leases are of. Reply: the flags, or the registry if it is another one. */
export const registry = new Script(`
local entries = redis.call('LRANGE', KEYS[1], 0, -1)
local same = #entries == #ARGV
for at, entry in ipairs(entries) do same = same and entry == ARGV[at] end
if not same then return { 'changed', entries } end
local flags = {}
for at = 2, #KEYS do flags[at - 1] = redis.call('EXISTS', KEYS[at]) end
return { 'ok', flags }
`);

/** The first element of each list. KEYS lists. */
export const firsts = new Script(`
local found = {}
for at, key in ipairs(KEYS) do found[at] = redis.call('LINDEX', key, 0) end
return found
`);

/** KEYS lease, workers, slots of what is listed under this name. ARGV worker, nonce, leaseMs, entry, entries that are listed under this name. */
export const register = new Script(`${ENTER}
local lease = redis.call('LINDEX', KEYS[1], 0)
if lease and string.sub(lease, 1, #ARGV[2] + 1) ~= ARGV[2] .. '|' then return { 'taken' } end
if not lease then
  local known, count = {}, 0
  for at = 5, #ARGV do known[ARGV[at]] = true end
  for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    if string.sub(entry, 1, #ARGV[1] + 1) == ARGV[1] .. '|' then
      if not known[entry] then return { 'changed' } end
      count = count + 1
    end
  end
  if count ~= #ARGV - 4 then return { 'changed' } end
  for at = 3, #KEYS do
    if redis.call('EXISTS', KEYS[at]) == 1 then return { 'leftover' } end
  end
end
enter(KEYS[2], KEYS[1], ARGV[1], ARGV[4], ARGV[2] .. '|-', ARGV[3])
return { 'ok' }
`);

/** KEYS lease, workers, queue, slots. ARGV worker, nonce, now. */
export const leave = new Script(`${PUSH_FRONT}${markGone(GONE_MS)}
local lease = redis.call('LINDEX', KEYS[1], 0)
if lease and string.sub(lease, 1, #ARGV[2] + 1) ~= ARGV[2] .. '|' then return { 'taken' } end
local units = {}
for at = 4, #KEYS do
  for _, text in ipairs(redis.call('LRANGE', KEYS[at], 0, -1)) do units[#units + 1] = text end
end
push_front(KEYS[3], units)
for at = 4, #KEYS do redis.call('DEL', KEYS[at]) end
for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if string.sub(entry, 1, #ARGV[1] + 1) == ARGV[1] .. '|' then mark_gone(KEYS[2], entry, tonumber(ARGV[3])) end
end
redis.call('DEL', KEYS[1])
return { 'ok' }
`);

/**
 * Empties the slots of a worker without a lease. KEYS lease, workers, queue, dead, slots, then coord and res of each run.
 * ARGV worker, entry, now, deliveries, number of slots, runs. Reply: `runs` and the runs of units that are not among them (then
 * nothing was done), or `ok` and two counts. Units of a run without a coordinator's token go: nobody wants them.
 */
export const reap = new Script(`${HEADER}${REPORT}${PUSH_FRONT}${bury(DEAD_LIMIT, DEAD_UNIT_LENGTH)}${markGone(GONE_MS)}
if redis.call('EXISTS', KEYS[1]) == 1 then return { 'alive' } end
if not redis.call('LPOS', KEYS[2], ARGV[2]) then return { 'changed' } end
local worker, now, deliveries, slots = ARGV[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local places = {}
for at = 6, #ARGV do places[ARGV[at]] = at - 5 end
local back, dead, unknown, asked, owned = {}, {}, {}, {}, {}
for slot = 1, slots do
  for _, text in ipairs(redis.call('LRANGE', KEYS[4 + slot], 0, -1)) do
    local attempt, run, id = header(text)
    if run and not places[run] then
      if not asked[run] then unknown[#unknown + 1] = run end
      asked[run] = true
    elseif run and owned[run] == nil then
      owned[run] = redis.call('EXISTS', KEYS[4 + slots + places[run] * 2 - 1]) == 1
    end
    if not run or owned[run] then
      if attempt and attempt < deliveries then
        back[#back + 1] = (attempt + 1) .. string.sub(text, #tostring(attempt) + 1)
      else
        dead[#dead + 1] = { text, attempt, run, id }
      end
    end
  end
end
if #unknown > 0 then return { 'runs', unknown } end
if #dead > 0 then redis.call('LLEN', KEYS[4]) end
push_front(KEYS[3], back)
for slot = 1, slots do redis.call('DEL', KEYS[4 + slot]) end
for _, unit in ipairs(dead) do
  local text, attempt, run, id = unit[1], unit[2], unit[3], unit[4]
  local reason = attempt and '${lostReasonParts[0]}' .. attempt .. '${lostReasonParts[1]}' or '${NO_UNIT}'
  bury(KEYS[4], now, reason, worker, text, attempt or 0)
  local coord = run and 4 + slots + places[run] * 2 - 1
  if coord and redis.call('EXISTS', KEYS[coord]) == 1 then
    report(KEYS[coord], KEYS[coord + 1], { 'D|' .. id .. '|' .. attempt .. '|' .. json(reason) })
  end
end
mark_gone(KEYS[2], ARGV[2], tonumber(now))
return { 'ok', #back, #dead }
`);
