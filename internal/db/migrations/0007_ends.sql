-- The end of all tokens that were issued before a moment, which outlives a suspension.
ALTER TABLE agent ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instance ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE person ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workspace ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
-- audit: who follows the log's ends, and how far each has confirmed them
CREATE TABLE follower (
  workspace TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, rev INTEGER NOT NULL, confirmed_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, kind, name)
) STRICT;
