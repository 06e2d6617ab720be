-- The end of all tokens that were issued before a moment, which outlives a suspension.
ALTER TABLE agent ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instance ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE person ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workspace ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
-- lending: what a key signed, and what was lent to it alone
CREATE INDEX delegation_signer ON delegation (workspace, delegator_key) WHERE delegator_key <> '';
CREATE INDEX delegation_instance ON delegation (workspace, instance) WHERE instance IS NOT NULL;
-- catalog: what nobody may call for now
ALTER TABLE mcp_server ADD COLUMN suspended_at INTEGER;
ALTER TABLE mcp_tool ADD COLUMN suspended_at INTEGER;
-- audit: who follows the log's ends, and how far each has confirmed them
CREATE TABLE follower (
  workspace TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, rev INTEGER NOT NULL, confirmed_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, kind, name)
) STRICT;
