package acme

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Redis keys of one CA, after its prefix:
//
//	{limit}:{subject}         time in µs at which the bucket is full again; missing if it is full
//	{limit}:{subject}:queue…  sorted set of waiting orders, by arrival
//	{limit}:{subject}:queue…:told  the same orders, by the time until which each must wait
//	{limit}:{subject}:share:{organization}  the bucket of one organization's share of the limit
//	wait:…                    end of the pause that the CA requested, and the number of requests
//	order:{id}                permitted order: "counted", or "exempt" if it is a replacement

// keys returns the KEYS of the scripts: the pauses of the account and of the names, the order, and
// two keys per bucket.
func (ca governed) keys(q controlplane.QuotaRequest, buckets []bucket) []string {
	keys := make([]string, 0, 3+2*len(buckets))
	keys = append(keys, ca.prefix+"wait:account:"+digest(subject(q.Account)), ca.prefix+"wait:names:"+
		digest(setOf(q.Names)), ca.prefix+"order:"+q.OrderID)
	for _, b := range buckets {
		keys = append(keys, b.key, b.queue)
	}
	return keys
}

// record returns the value stored for the request's order, or "" if it is not stored.
func (ca governed) record(q controlplane.QuotaRequest) string {
	switch {
	case q.OrderID == "":
		return ""
	case q.Replaces && ca.limits.ReplacesExempt:
		return "exempt"
	}
	return "counted"
}

// bucketArgs returns the script arguments of each bucket: µs between tokens, capacity, tokens that
// must be left, and whether to take one.
func bucketArgs(buckets []bucket) []any {
	args := make([]any, 0, 4*len(buckets))
	for _, b := range buckets {
		args = append(args, float64(b.every.Nanoseconds())/1e3, b.burst, b.keep, boolInt(!b.check))
	}
	return args
}

// eval runs a script that returns integers.
func (g *Governor) eval(
	ctx context.Context, script *redis.Script, keys []string, args ...any,
) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	return script.Run(ctx, g.cfg.Redis, keys, args...).Int64Slice()
}

// digest returns a fixed-length key for an arbitrary string.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

// reserveScript decides on one order. It returns {1, 0, 0, over} if the order is counted, now or
// earlier, and otherwise {0, wait in µs, which, over}. which is the number of the bucket with the
// longest wait, or -1 or -2 if the CA requested a pause. over is 1 if the organization is above its
// share.
//
// A bucket with full time T holds burst - (T - now) / every tokens. With a orders ahead in the
// queue, an order that must leave k tokens gets its token when the bucket holds a + k + 1.
//
// The bucket of a share never makes an order wait. If it is empty, the order must leave more tokens
// in the bucket of all orders, and it waits there in a separate queue: orders within their share go
// first.
var reserveScript = redis.NewScript(`
local now, waiter, patience, draw = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local memory, grace, known, n = ARGV[5], tonumber(ARGV[6]), ARGV[7] ~= '', tonumber(ARGV[8])
local share, orders, rest, over = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), 0
local stay = tonumber(ARGV[12])
local function at(i) return 8 + 4 * i end
local function int(x) return string.format('%.0f', x) end
local function leave(queue)
  if waiter ~= '' and redis.call('ZREM', queue, waiter) == 1 then redis.call('ZREM', queue .. ':told', waiter) end
end
local function join(queue, wait)
  if not redis.call('ZSCORE', queue, waiter) then
    local last = redis.call('ZRANGE', queue, -1, -1, 'WITHSCORES')[2]
    redis.call('ZADD', queue, int(math.max(now, tonumber(last or 0) + 1)), waiter)
  end
  redis.call('ZADD', queue .. ':told', int(now + wait), waiter)
  local life = math.ceil((wait + grace) / 1000)
  if redis.call('PTTL', queue) < life then
    redis.call('PEXPIRE', queue, int(life))
    redis.call('PEXPIRE', queue .. ':told', int(life))
  end
end

if known and redis.call('EXISTS', KEYS[3]) == 1 then return {1, 0, 0, 0} end

local wait, which, full, queues = 0, 0, {}, {}
if share > 0 then
  local left = math.max(tonumber(redis.call('GET', KEYS[2 + 2 * share]) or 0), now) - now
  if left + tonumber(ARGV[at(share) + 1]) * (1 - tonumber(ARGV[at(share) + 2])) >= 1 then over = 1 end
end
for i = 1, 2 do
  local left = tonumber(redis.call('HGET', KEYS[i], 'until') or 0) - now
  if left > 0 then
    left = left + draw * math.min(math.max(left / 4, 1e6), 3.6e9)
    if left > wait then wait, which = left, -i end
  end
end
for i = 1, n do
  local bucket, queue, arg = KEYS[2 + 2 * i], KEYS[3 + 2 * i], at(i)
  local every, burst, keep, take = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3]), ARGV[arg + 4] == '1'
  full[i] = math.max(tonumber(redis.call('GET', bucket) or 0), now)
  if i == orders then
    local other = queue .. ':over'
    if over == 1 then queue, other, keep = other, queue, rest end
    leave(other)
  end
  queues[i] = queue
  local ahead = 0
  if take and redis.call('EXISTS', queue) == 1 then
    local absent = redis.call('ZRANGEBYSCORE', queue .. ':told', '-inf', int(now - grace), 'LIMIT', 0, 1000)
    if #absent > 0 then
      redis.call('ZREM', queue, unpack(absent))
      redis.call('ZREM', queue .. ':told', unpack(absent))
    end
    ahead = (waiter ~= '' and redis.call('ZRANK', queue, waiter)) or redis.call('ZCARD', queue)
  end
  local left = full[i] - now + every * (ahead + keep + 1 - burst)
  if i ~= share and left > wait then wait, which = left, i end
end

if wait < 1 then
  for i = 1, n do
    local arg = at(i)
    if ARGV[arg + 4] == '1' and not (i == share and over == 1) then
      full[i] = full[i] + tonumber(ARGV[arg + 1])
      redis.call('SET', KEYS[2 + 2 * i], int(full[i]), 'PX', int(math.ceil((full[i] - now) / 1000) + 60000))
      leave(queues[i])
    end
  end
  if known then redis.call('SET', KEYS[3], ARGV[7], 'PX', memory) end
  return {1, 0, 0, over}
end

wait = math.ceil(wait)
if waiter ~= '' then
  for i = 1, n do
    if i == which and wait <= (i == orders and stay or patience) and ARGV[at(i) + 4] == '1' then join(queues[i], wait) else leave(queues[i]) end
  end
end
return {0, wait, which, over}
`)

// refundScript returns an order's tokens if the order was counted and took them. It returns 1 if it
// did so, otherwise 0.
var refundScript = redis.NewScript(`
local now, n = tonumber(ARGV[1]), tonumber(ARGV[2])
local record = redis.call('GET', KEYS[3])
redis.call('DEL', KEYS[3])
if record ~= 'counted' then return {0} end
for i = 1, n do
  local bucket, arg = KEYS[2 + 2 * i], 4 * i - 2
  local full = tonumber(redis.call('GET', bucket) or 0) - tonumber(ARGV[arg + 1])
  if ARGV[arg + 4] == '1' then
    if full <= now then
      redis.call('DEL', bucket)
    else
      redis.call('SET', bucket, string.format('%.0f', full), 'KEEPTTL')
    end
  end
end
return {1}
`)

// spendScript takes a token from every bucket, even from an empty one.
var spendScript = redis.NewScript(`
local now, n = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 1, n do
  local bucket, arg = KEYS[2 + 2 * i], 4 * i - 2
  local every, burst = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local full = math.min(math.max(tonumber(redis.call('GET', bucket) or 0), now) + every, now + every * burst)
  redis.call('SET', bucket, string.format('%.0f', full), 'PX', string.format('%.0f', math.ceil((full - now) / 1000) + 60000))
end
return {n}
`)

// emptyScript empties every bucket so that its next token is available at a given time, unless that
// time is already later.
var emptyScript = redis.NewScript(`
local now, n, at = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 1, n do
  local bucket, arg = KEYS[2 + 2 * i], 4 * i - 1
  local every, burst = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local full = math.max(tonumber(redis.call('GET', bucket) or 0), at + every * (burst - 1))
  redis.call('SET', bucket, string.format('%.0f', full), 'PX', string.format('%.0f', math.ceil((full - now) / 1000) + 60000))
end
return {n}
`)

// countScript takes a token from every bucket, even from an empty one, unless the order is counted
// already.
var countScript = redis.NewScript(`
local now, n = tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('GET', KEYS[3]) == 'counted' then return {0} end
for i = 1, n do
  local bucket, arg = KEYS[2 + 2 * i], 4 * i - 2
  local every, burst = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local full = math.min(math.max(tonumber(redis.call('GET', bucket) or 0), now) + every, now + every * burst)
  redis.call('SET', bucket, string.format('%.0f', full), 'PX', string.format('%.0f', math.ceil((full - now) / 1000) + 60000))
end
redis.call('SET', KEYS[3], 'counted', 'PX', ARGV[3 + 4 * n])
return {1}
`)

// pauseScript records a pause that the CA requested without naming a limit. The names pause until
// the stated time. The account, which the limit may not concern, pauses only after rejections of
// several groups of names that share no registered domain, for a period that doubles with each
// consecutive rejection. A group is known by one of its domains, its leader. The script returns the
// number of groups.
var pauseScript = redis.NewScript(`
local now, at, first, last = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local memory, most, window = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local function int(x) return string.format('%.0f', x) end
local function pause(key, at, times)
  at = math.max(at, tonumber(redis.call('HGET', key, 'until') or 0))
  redis.call('HSET', key, 'until', int(at), 'times', times)
  redis.call('PEXPIRE', key, int(math.ceil((at - now + memory) / 1000)))
end
pause(KEYS[2], at, 1)
redis.call('HSET', KEYS[2], 'text', ARGV[8])

local domains, groups, leaders, leader = KEYS[1] .. ':domains', KEYS[1] .. ':groups', KEYS[1] .. ':leaders', false
local old = redis.call('ZRANGEBYSCORE', domains, '-inf', int(now - window), 'LIMIT', 0, 1000)
if #old > 0 then
  redis.call('ZREM', domains, unpack(old))
  redis.call('HDEL', leaders, unpack(old))
end
redis.call('ZREMRANGEBYSCORE', groups, '-inf', int(now - window))
for i = 9, #ARGV do leader = leader or redis.call('HGET', leaders, ARGV[i]) end
leader = leader or ARGV[9]
for i = 9, #ARGV do
  redis.call('ZADD', domains, int(now), ARGV[i])
  redis.call('HSET', leaders, ARGV[i], leader)
end
redis.call('ZADD', groups, int(now), leader)
for _, key in ipairs({domains, groups, leaders}) do
  redis.call('PEXPIRE', key, int(math.ceil(window / 1000)))
end
local count = redis.call('ZCARD', groups)
if count >= most then
  local before = tonumber(redis.call('HGET', KEYS[1], 'until') or 0)
  local times = tonumber(redis.call('HGET', KEYS[1], 'times') or 0)
  if before <= now then times = math.min(times + 1, 12) end
  pause(KEYS[1], math.min(at, now + math.min(first * 2 ^ math.max(times - 1, 0), last)), times)
end
return {count}
`)
