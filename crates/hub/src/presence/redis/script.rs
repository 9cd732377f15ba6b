//! What has to happen at once, in Redis.

/// Changes the node's hash, renews its lease and tells the others, if the hash is as this node left it.
///
/// Keys: the hash, the last-seen times, the nodes. Arguments: the number that the hash has to have, the next
/// one, time to live in ms, channel, notice (or nothing), how many last-seen times are kept, the node's name;
/// then three lists, each after its length: client and devices, clients that have left, time and client.
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

/// Puts a hash that was written elsewhere in the node's place and tells the others.
///
/// Keys: the hash, the one written elsewhere, the nodes. Arguments: the number, time to live in ms, channel,
/// notice, the node's name.
pub(super) const REPLACE: &str = "\
redis.call('HSET', KEYS[2], '', ARGV[1])
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SADD', KEYS[3], ARGV[5])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
";
