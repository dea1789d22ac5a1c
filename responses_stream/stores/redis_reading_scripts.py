"""What a `RedisStore` looks up inside Redis: scripts that write nothing of a response. `redis_scripts` has the keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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

READING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "recovery": _RECOVERY,
        "get": _GET,
        "is_news": _IS_NEWS,
        "events": _EVENTS,
        "input_items": _INPUT_ITEMS,
        "history": _HISTORY,
        "items": _ITEMS,
    }
)
"""What they do, without what all scripts begin with."""
