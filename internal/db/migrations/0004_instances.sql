-- agents: where an instance comes from, what follows it, how long it is good for, and when it was last seen
ALTER TABLE instance ADD COLUMN parent TEXT;
ALTER TABLE instance ADD COLUMN predecessor TEXT;
ALTER TABLE instance ADD COLUMN expires_at INTEGER;
ALTER TABLE instance ADD COLUMN rule TEXT;
ALTER TABLE instance ADD COLUMN last_used_at INTEGER;
CREATE INDEX instance_parent ON instance (parent) WHERE parent IS NOT NULL;
CREATE INDEX instance_predecessor ON instance (predecessor) WHERE predecessor IS NOT NULL;
