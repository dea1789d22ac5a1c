"""Who has what in a `RedisStore`: the scripts of claims, leases and orphans. `redis_scripts` has the keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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

OWNING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "claim": _CLAIM,
        "unclaim": _UNCLAIM,
        "attend": _ATTEND,
        "owned": _OWNED,
        "processes": _PROCESSES,
        "tell": _TELL,
        "release": _RELEASE,
    }
)
"""What they do, without what all scripts begin with."""
