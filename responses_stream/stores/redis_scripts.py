"""What a `RedisStore` does inside Redis: scripts in Lua, each one operation, in one round trip and as a whole.

Each looks before it writes, and says in a word why it refuses. A response has a number, its *row*, because it may stay
in a chain of turns after its key is free again. All keys begin with the prefix of the store, ``P`` below.

| key | what it is |
| --- | --- |
| ``P:row`` | how many rows there ever were |
| ``P:key:...`` | the row of a key |
| ``P:r:<row>`` | the response, a hash |
| ``P:e:<row>`` | its log, a stream; the id of an entry is the number of its first event + 1, and its count |
| ``P:n:<row>``, ``P:i:<row>`` | the ids and the JSON of its items |
| ``P:at:...`` | the rows that an item stands in, each with the place |
| ``P:v:...`` | the rows of a conversation |
| ``P:live:<owner>``, ``P:asked:<owner>`` | the live rows of an owner, and those that he has to cancel |
| ``P:owners``, ``P:processes`` | the leases |
| ``P:c:...``, ``P:cr:...`` | a claim, the claims of a response |
| ``P:co:<owner>`` | the claims of an owner for responses that are not there yet; once one is, they last as long as it |
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_COMMON: Final = """
local P = KEYS[1]
local call = redis.call
local function named(kind, part, name) return P .. ':' .. kind .. ':' .. #part .. ':' .. part .. ':' .. name end
local function given_time(at)
    if at ~= '' then return tonumber(at) end
    local now = call('TIME')
    return tonumber(now[1]) + tonumber(now[2]) / 1000000
end
local function hash(row, ...) return call('HMGET', P .. ':r:' .. row, ...) end
-- What is past its retention is not there, also where Redis has not dropped it yet.
local function is_over(row, now, keep)
    local said = hash(row, 'id', 'ended_at')
    return not said[1] or (said[2] and tonumber(said[2]) <= now - keep)
end
local function row_of(part, name, now, keep)
    local row = call('GET', named('key', part, name))
    if row and not is_over(row, now, keep) then return row end
    return nil
end
local function register(owner, now, lease, process)
    call('ZADD', P .. ':owners', 'NX', string.format('%.6f', now + lease), owner)
    call('HSETNX', P .. ':processes', owner, process)
end
local function member_of(part, key) return #part .. ':' .. part .. ':' .. key end
-- Whoever has claimed for this response, its owner's death does not take the claims away any more.
local function settle_claims(part, name)
    local keys = call('SMEMBERS', named('cr', part, name))
    for _, key in ipairs(keys) do
        local owner = call('HGET', named('c', part, key), 'owner')
        if owner then call('SREM', P .. ':co:' .. owner, member_of(part, key)) end
    end
    return keys
end
local function forget_claims(part, name)
    for _, key in ipairs(settle_claims(part, name)) do call('DEL', named('c', part, key)) end
    call('DEL', named('cr', part, name))
end
local function add_items(row, part, from, to)
    local position = call('LLEN', P .. ':n:' .. row)
    for at = from, to, 2 do
        call('RPUSH', P .. ':n:' .. row, ARGV[at])
        call('RPUSH', P .. ':i:' .. row, ARGV[at + 1])
        call('ZADD', named('at', part, ARGV[at]), row, row .. ':' .. position)
        call('PERSIST', named('at', part, ARGV[at]))
        position = position + 1
    end
end
local function add_frames(row, from, to)
    for at = from, to, 3 do
        call('XADD', P .. ':e:' .. row, string.format('%d-%s', ARGV[at] + 1, ARGV[at + 1]), 'f', ARGV[at + 2])
    end
end
-- A second more than is promised, so that what is over is over by the clock first.
local function rest(keep) return math.ceil(keep * 1000) + 1000 end
local function let_end(key, keep)
    if call('PTTL', key) == -1 then call('PEXPIRE', key, rest(keep)) end
end
local function drop(row, keep)
    local said = hash(row, 'partition', 'id', 'owner', 'conversation')
    local part, name = said[1], said[2]
    if call('GET', named('key', part, name)) == row then call('DEL', named('key', part, name)) end
    call('HSET', P .. ':r:' .. row, 'deleted', 1)
    call('HDEL', P .. ':r:' .. row, 'response', 'recovery', 'notes')
    call('DEL', P .. ':e:' .. row)
    call('SREM', P .. ':live:' .. said[3], row)
    call('SREM', P .. ':asked:' .. said[3], row)
    if said[4] then
        call('ZREM', named('v', part, said[4]), row)
        let_end(named('v', part, said[4]), keep)
    end
    forget_claims(part, name)
    -- It may have had no end, and stay for those that continue it, whose own end is not told here.
    for _, item in ipairs(call('LRANGE', P .. ':n:' .. row, 0, -1)) do let_end(named('at', part, item), keep) end
    for _, kind in ipairs({':r:', ':n:', ':i:'}) do let_end(P .. kind .. row, keep) end
    while row do
        local one = hash(row, 'deleted', 'continuations', 'parent')
        if one[1] ~= '1' or tonumber(one[2]) > 0 then return end
        local names = call('LRANGE', P .. ':n:' .. row, 0, -1)
        for position, item in ipairs(names) do
            call('ZREM', named('at', part, item), row .. ':' .. (position - 1))
        end
        call('DEL', P .. ':n:' .. row, P .. ':i:' .. row, P .. ':r:' .. row)
        row = one[3]
        if row and call('EXISTS', P .. ':r:' .. row) == 1 then
            call('HINCRBY', P .. ':r:' .. row, 'continuations', -1)
        else
            row = nil
        end
    end
end
-- The rows of a chain, newest first, as a function that gives one after the other.
local function chain(row, now, keep)
    return function()
        local one = row
        if one then
            row = hash(one, 'parent')[1] or nil
            if row and is_over(row, now, keep) then row = nil end
        end
        return one
    end
end
"""

_CREATE: Final = """
local part, name, owner, status, background, stream, previous, conversation, response, last_number, at, lease, process,
    keep, recovery, chunks, items = unpack(ARGV, 1, 17)
local now = given_time(at)
if row_of(part, name, now, keep) then return 0 end
local old = call('GET', named('key', part, name))
if old and call('EXISTS', P .. ':r:' .. old) == 1 then
    call('HSET', P .. ':r:' .. old, 'continuations', 0)
    drop(old, keep)
end
register(owner, now, tonumber(lease), process)
local before = previous ~= '' and row_of(part, string.sub(previous, 2), now, keep)
local row = tostring(call('INCR', P .. ':row'))
local said = {'partition', part, 'id', name, 'owner', owner, 'status', status, 'background', background, 'stream',
    stream, 'response', response, 'last_number', last_number, 'cancelling', 0, 'continuations', 0, 'inputs', items,
    'outputs', 0}
if before then
    said[#said + 1] = 'parent'
    said[#said + 1] = before
    call('HINCRBY', P .. ':r:' .. before, 'continuations', 1)
end
if conversation ~= '' then
    said[#said + 1] = 'conversation'
    said[#said + 1] = conversation
    call('ZADD', named('v', part, conversation), row, row)
    call('PERSIST', named('v', part, conversation))
end
if recovery ~= '' then
    said[#said + 1] = 'recovery'
    said[#said + 1] = string.sub(recovery, 2)
end
call('HSET', P .. ':r:' .. row, unpack(said))
call('SET', named('key', part, name), row)
call('SADD', P .. ':live:' .. owner, row)
settle_claims(part, name)
add_frames(row, 18, 17 + 3 * chunks)
add_items(row, part, 18 + 3 * chunks, #ARGV)
return 1
"""

_APPEND: Final = """
local part, name, owner, first, many, ended, status, response, at, keep_log, keep, topic, chunks =
    unpack(ARGV, 1, 13)
local now = given_time(at)
local row = row_of(part, name, now, keep)
if not row then return {'missing', ''} end
local said = hash(row, 'owner', 'ended_at', 'last_number', 'conversation')
if said[2] then return {'ended', ''} end
if said[1] ~= owner then return {'owner', said[1]} end
if tonumber(many) > 0 and tonumber(first) ~= said[3] + 1 then return {'number', tostring(said[3] + 1)} end
add_frames(row, 14, 13 + 3 * chunks)
if tonumber(many) > 0 then call('HINCRBY', P .. ':r:' .. row, 'last_number', many) end
if ended == '1' then
    local items = 14 + 3 * chunks
    add_items(row, part, items, #ARGV)
    call('HSET', P .. ':r:' .. row, 'status', status, 'response', response, 'cancelling', 0, 'ended_at',
        string.format('%.6f', now), 'outputs', (#ARGV - items + 1) / 2)
    call('HDEL', P .. ':r:' .. row, 'recovery', 'notes')
    call('SREM', P .. ':live:' .. owner, row)
    call('SREM', P .. ':asked:' .. owner, row)
    call('PEXPIRE', P .. ':e:' .. row, rest(math.min(keep_log, keep)))
    for _, key in ipairs({P .. ':r:' .. row, P .. ':n:' .. row, P .. ':i:' .. row, named('key', part, name)}) do
        call('PEXPIRE', key, rest(keep))
    end
    for _, item in ipairs(call('LRANGE', P .. ':n:' .. row, 0, -1)) do
        call('PEXPIRE', named('at', part, item), rest(keep))
    end
    if said[4] then call('PEXPIRE', named('v', part, said[4]), rest(keep)) end
    for _, key in ipairs(call('SMEMBERS', named('cr', part, name))) do
        call('PEXPIRE', named('c', part, key), rest(keep))
    end
    call('PEXPIRE', named('cr', part, name), rest(keep))
end
call('PUBLISH', P .. ':news', topic)
return {}
"""

_NOTE: Final = """
local part, name, owner, notes, at, keep = unpack(ARGV)
local row = row_of(part, name, given_time(at), keep)
if not row then return {'missing', ''} end
local said = hash(row, 'owner', 'ended_at')
if said[2] then return {'ended', ''} end
if said[1] ~= owner then return {'owner', said[1]} end
call('HSET', P .. ':r:' .. row, 'notes', notes)
return {}
"""

_RECOVERY: Final = """
local part, name, at, keep = unpack(ARGV)
local row = row_of(part, name, given_time(at), keep)
if not row then return {} end
return hash(row, 'recovery', 'notes')
"""

_GET: Final = """
local part, name, at, keep = unpack(ARGV)
local row = row_of(part, name, given_time(at), keep)
if not row then return {} end
local said = hash(row, 'response', 'status', 'owner', 'background', 'stream', 'ended_at', 'cancelling', 'last_number')
said[6] = said[6] and '1' or '0'
return said
"""

_IS_NEWS: Final = """
local part, name, at, keep, after = unpack(ARGV)
local row = row_of(part, name, given_time(at), keep)
if not row then return 1 end
local said = hash(row, 'ended_at', 'last_number')
return (said[1] or tonumber(said[2]) > tonumber(after)) and 1 or 0
"""

_EVENTS: Final = """
local part, name, at, keep, keep_log, first, most = unpack(ARGV)
local now = given_time(at)
local row = row_of(part, name, now, keep)
if not row then return {} end
local said = hash(row, 'ended_at', 'last_number')
local log = P .. ':e:' .. row
local over = said[1] and tonumber(said[1]) <= now - keep_log
local kept = not over and tonumber(said[2]) >= 0 and call('EXISTS', log) == 1
local found = {}
if kept and tonumber(first) <= tonumber(said[2]) then
    local begin = call('XREVRANGE', log, string.format('%d', first + 1), '-', 'COUNT', 1)
    local from, size = begin[1] and begin[1][1] or '-', 0
    while size < tonumber(most) do
        local rows = call('XRANGE', log, from, '+', 'COUNT', 100)
        for _, entry in ipairs(rows) do
            found[#found + 1] = entry[1]
            found[#found + 1] = entry[2][2]
            size = size + #entry[2][2]
            from = '(' .. entry[1]
            if size >= tonumber(most) then break end
        end
        if #rows < 100 then break end
    end
end
return {said[1] and '1' or '0', said[2], kept and '1' or '0', found}
"""

_CANCEL: Final = """
local part, name, at, keep, topic_of_owner = unpack(ARGV)
local row = row_of(part, name, given_time(at), keep)
if not row then return false end
local said = hash(row, 'owner', 'ended_at', 'cancelling')
if said[2] or said[3] ~= '0' then return '' end
call('HSET', P .. ':r:' .. row, 'cancelling', 1)
call('SADD', P .. ':asked:' .. said[1], row)
return said[1]
"""

_DELETE: Final = """
local part, name, at, keep, topic = unpack(ARGV)
local row = row_of(part, name, given_time(at), keep)
if not row then return 'missing' end
local said = hash(row, 'ended_at', 'cancelling')
if not said[1] and said[2] == '0' then return 'live' end
drop(row, keep)
call('PUBLISH', P .. ':news', topic)
return ''
"""

_INPUT_ITEMS: Final = """
local part, name, at, keep, limit, descending, after, before = unpack(ARGV)
local now = given_time(at)
local row = row_of(part, name, now, keep)
if not row then return false end
descending = descending == '1'
local newest_first, total = {}, 0
for one in chain(row, now, keep) do
    local said = hash(one, 'inputs', 'outputs')
    local size = one == row and tonumber(said[1]) or said[1] + said[2]
    newest_first[#newest_first + 1] = {one, size}
    total = total + size
end
local begins, sizes, begin = {}, {}, 0
for at = #newest_first, 1, -1 do
    begins[newest_first[at][1]], sizes[newest_first[at][1]] = begin, newest_first[at][2]
    begin = begin + newest_first[at][2]
end
-- The places of an item in the list as it was asked for; the id comes behind a mark, which tells it from none.
local function places(item)
    local found = {}
    if item == '' then return found end
    for _, where in ipairs(call('ZRANGE', named('at', part, string.sub(item, 2)), 0, -1)) do
        local one, position = string.match(where, '^(%d+):(%d+)$')
        if sizes[one] and tonumber(position) < sizes[one] then
            local place = begins[one] + position
            found[#found + 1] = descending and total - 1 - place or place
        end
    end
    return found
end
local behind, ahead = places(after), places(before)
local start, stop = 0, total
for _, place in ipairs(behind) do start = math.max(start, place + 1) end
if #ahead > 0 then stop = math.max(start, math.min(unpack(ahead))) end
local last = math.min(start + limit, stop)
local has_more = last < stop
if descending then start, last = total - last, total - start end
local found = {has_more and '1' or '0'}
for at = #newest_first, 1, -1 do
    local one, size = newest_first[at][1], newest_first[at][2]
    local low, high = math.max(0, start - begins[one]), math.min(size, last - begins[one]) - 1
    if low <= high then
        local names = call('LRANGE', P .. ':n:' .. one, low, high)
        local said = call('LRANGE', P .. ':i:' .. one, low, high)
        for position = 1, #names do
            found[#found + 1] = names[position]
            found[#found + 1] = said[position]
        end
    end
end
return found
"""

_HISTORY: Final = """
local part, at, keep, previous, conversation, limit = unpack(ARGV)
local now = given_time(at)
limit = tonumber(limit)
local found, seen, count = {}, {}, 0
local function take(row)
    local names = call('LRANGE', P .. ':n:' .. row, 0, -1)
    local said = call('LRANGE', P .. ':i:' .. row, 0, -1)
    for position = #names, 1, -1 do
        if count >= limit then return end
        if not seen[names[position]] then
            seen[names[position]] = true
            count = count + 1
            found[#found + 1] = names[position]
            found[#found + 1] = said[position]
        end
    end
end
local row
if previous ~= '' then
    row = row_of(part, string.sub(previous, 2), now, keep)
    if not row then return false end
end
if conversation ~= '' then
    for _, one in ipairs(call('ZREVRANGE', named('v', part, conversation), 0, -1)) do
        if count >= limit then break end
        if not is_over(one, now, keep) then take(one) end
    end
end
if row then
    for one in chain(row, now, keep) do
        if count >= limit then break end
        take(one)
    end
end
return found
"""

_ITEMS: Final = """
local part, at, keep = unpack(ARGV, 1, 3)
local now = given_time(at)
local found = {}
for at = 4, #ARGV do
    local said = false
    for _, where in ipairs(call('ZRANGE', named('at', part, ARGV[at]), 0, -1)) do
        local one, position = string.match(where, '^(%d+):(%d+)$')
        if not is_over(one, now, keep) then
            said = call('LINDEX', P .. ':i:' .. one, position)
            if said then break end
        end
    end
    found[#found + 1] = said
end
return found
"""

_CLAIM: Final = """
local part, key, name, digest, owner, at, keep, lease, process = unpack(ARGV)
local now = given_time(at)
local claim = named('c', part, key)
local held = call('HMGET', claim, 'id', 'digest', 'owner')
if held[1] then
    local expires = call('ZSCORE', P .. ':owners', held[3])
    if row_of(part, held[1], now, keep) or (expires and tonumber(expires) > now) then return {held[1], held[2]} end
    call('SREM', named('cr', part, held[1]), key)
end
register(owner, now, tonumber(lease), process)
call('DEL', claim)
call('HSET', claim, 'id', name, 'digest', digest, 'owner', owner)
call('SADD', named('cr', part, name), key)
call('SADD', P .. ':co:' .. owner, member_of(part, key))
return {}
"""

_UNCLAIM: Final = """
local part, key, name, owner = unpack(ARGV)
local held = call('HMGET', named('c', part, key), 'id', 'owner')
if held[1] == name and held[2] == owner then
    call('DEL', named('c', part, key))
    call('SREM', named('cr', part, name), key)
    call('SREM', P .. ':co:' .. owner, member_of(part, key))
end
"""

_ATTEND: Final = """
local owner, at, lease, keep, process = unpack(ARGV, 1, 5)
local now = given_time(at)
-- A lease is kept up also where Redis is full: what only takes away is allowed, and after that all that a script does.
call('HDEL', P .. ':processes', '')
if lease ~= '' then
    call('ZADD', P .. ':owners', string.format('%.6f', now + lease), owner)
    call('HSET', P .. ':processes', owner, process)
else
    -- Who has no lease any more must not take what nobody would take from him.
    local expires = call('ZSCORE', P .. ':owners', owner)
    if not expires or tonumber(expires) <= now then return {{}, {}} end
end
local function in_order(rows)
    table.sort(rows, function(one, other) return tonumber(one) < tonumber(other) end)
    return rows
end
local cancelled, orphans = {}, {}
for _, row in ipairs(in_order(call('SMEMBERS', P .. ':asked:' .. owner))) do
    local said = hash(row, 'partition', 'id')
    call('HSET', P .. ':r:' .. row, 'cancelling', 2)
    cancelled[#cancelled + 1] = said[1]
    cancelled[#cancelled + 1] = said[2]
end
call('DEL', P .. ':asked:' .. owner)
local gone = call('ZRANGEBYSCORE', P .. ':owners', '-inf', string.format('%.6f', now - ARGV[6]))
for at = 7, #ARGV do
    if call('ZSCORE', P .. ':owners', ARGV[at]) then gone[#gone + 1] = ARGV[at] end
end
local done = {}
for _, one in ipairs(gone) do
    if one ~= owner and not done[one] then
        done[one] = true
        for _, row in ipairs(in_order(call('SMEMBERS', P .. ':live:' .. one))) do
            local said = hash(row, 'partition', 'id', 'cancelling')
            call('HSET', P .. ':r:' .. row, 'owner', owner, 'cancelling', said[3] == '0' and 0 or 2)
            call('SADD', P .. ':live:' .. owner, row)
            orphans[#orphans + 1] = said[1]
            orphans[#orphans + 1] = said[2]
        end
        call('DEL', P .. ':live:' .. one, P .. ':asked:' .. one)
        for _, where in ipairs(call('SMEMBERS', P .. ':co:' .. one)) do
            local size, rest = string.match(where, '^(%d+):(.*)$')
            local part, key = string.sub(rest, 1, size), string.sub(rest, size + 2)
            local held = call('HMGET', named('c', part, key), 'id', 'owner')
            if held[2] == one and not row_of(part, held[1], now, keep) then
                call('DEL', named('c', part, key))
                call('SREM', named('cr', part, held[1]), key)
            end
        end
        call('DEL', P .. ':co:' .. one)
        call('ZREM', P .. ':owners', one)
        call('HDEL', P .. ':processes', one)
    end
end
return {cancelled, orphans}
"""

_OWNED: Final = """
local found = {}
for _, row in ipairs(call('SMEMBERS', P .. ':live:' .. ARGV[1])) do
    for _, said in ipairs(hash(row, 'partition', 'id', 'cancelling')) do found[#found + 1] = said end
end
return found
"""

_PROCESSES: Final = "return call('HGETALL', P .. ':processes')"

_TELL: Final = "call('PUBLISH', P .. ':news', ARGV[1])"

_RELEASE: Final = """
call('ZADD', P .. ':owners', 'XX', '-inf', ARGV[1])
call('PUBLISH', P .. ':news', '*')
"""

SCRIPTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: _COMMON + body
        for name, body in {
            "create": _CREATE,
            "append": _APPEND,
            "note": _NOTE,
            "recovery": _RECOVERY,
            "get": _GET,
            "is_news": _IS_NEWS,
            "events": _EVENTS,
            "cancel": _CANCEL,
            "delete": _DELETE,
            "input_items": _INPUT_ITEMS,
            "history": _HISTORY,
            "items": _ITEMS,
            "claim": _CLAIM,
            "unclaim": _UNCLAIM,
            "attend": _ATTEND,
            "owned": _OWNED,
            "processes": _PROCESSES,
            "tell": _TELL,
            "release": _RELEASE,
        }.items()
    }
)
"""Each operation of the store, as a script whose one key is the prefix."""
