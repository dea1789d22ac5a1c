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

from responses_stream.stores.redis_owning_scripts import OWNING
from responses_stream.stores.redis_reading_scripts import READING

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

_WRITING: Final = {
    "create": _CREATE,
    "append": _APPEND,
    "note": _NOTE,
    "cancel": _CANCEL,
    "delete": _DELETE,
}

SCRIPTS: Final[Mapping[str, str]] = MappingProxyType(
    {name: _COMMON + body for name, body in {**_WRITING, **READING, **OWNING}.items()}
)
"""Each operation of the store, as a script whose one key is the prefix."""
