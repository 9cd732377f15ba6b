//! The Lua scripts, which Redis runs atomically.

/// Changes the node's hash, renews its lease and publishes the change. Does nothing and returns 0 if the hash's number
/// isn't the one that this node wrote last.
///
/// Keys: the hash, the last-seen times, the nodes. Arguments: the expected number, the next number, time to live in ms,
/// channel, message (or empty), how many last-seen times are kept, the node's name; then three lists, each after its
/// length: client and devices, clients that have left, time and client.
pub(super) const CHANGE: &str = "\
if redis.call('HGET', KEYS[1], '') ~= ARGV[1] then return 0 end
local at = 7
local function take() at = at + 1; return ARGV[at] end
for _ = 1, tonumber(take()) do
  local client = take()
  redis.call('HSET', KEYS[1], client, take())
end
for _ = 1, tonumber(take()) do redis.call('HDEL', KEYS[1], take()) end
for _ = 1, tonumber(take()) do
  local time = take()
  redis.call('ZADD', KEYS[2], 'GT', time, take())
end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[6]))
redis.call('HSET', KEYS[1], '', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SADD', KEYS[3], ARGV[7])
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
";

/// Replaces the node's hash by one that was written under another key, and publishes that.
///
/// Keys: the hash, the new hash, the nodes. Arguments: the number, time to live in ms, channel, message, the node's name.
pub(super) const REPLACE: &str = "\
redis.call('HSET', KEYS[2], '', ARGV[1])
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SADD', KEYS[3], ARGV[5])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
";
