-- keyring: a key is published before it signs. Of each purpose one key is current, and at most one is next; the others are retired or compromised.
ALTER TABLE server_key ADD COLUMN status TEXT NOT NULL DEFAULT 'current';
ALTER TABLE server_key ADD COLUMN signs_from INTEGER NOT NULL DEFAULT 0;
UPDATE server_key SET signs_from = created_at;
UPDATE server_key SET status = 'retired' WHERE retired_at IS NOT NULL;
DROP INDEX server_key_live;
CREATE UNIQUE INDEX server_key_turn ON server_key (purpose, status) WHERE status IN ('next', 'current');
-- keyring: which sealing key everything is sealed under, by a value that derives from it
CREATE TABLE sealing (one INTEGER PRIMARY KEY, mark TEXT NOT NULL) STRICT;
-- audit: a workspace's log is open in one shard
CREATE UNIQUE INDEX log_open ON log (workspace) WHERE closed = 0;
