-- agents: where an instance comes from, what follows it, how long it is good for, when it was last used, and from where. line is the first key of a
-- running copy; rotation gives it further ones, of which one, the head, is not rotated.
ALTER TABLE instance ADD COLUMN line TEXT;
ALTER TABLE instance ADD COLUMN parent TEXT;
ALTER TABLE instance ADD COLUMN predecessor TEXT;
ALTER TABLE instance ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instance ADD COLUMN expires_at INTEGER;
ALTER TABLE instance ADD COLUMN rule TEXT;
ALTER TABLE instance ADD COLUMN last_used_at INTEGER;
UPDATE instance SET line = key;
CREATE INDEX instance_line ON instance (line, created_at);
CREATE UNIQUE INDEX instance_head ON instance (line) WHERE status <> 'rotated';
CREATE UNIQUE INDEX instance_predecessor ON instance (predecessor) WHERE predecessor IS NOT NULL;
CREATE INDEX instance_parent ON instance (parent, expires_at) WHERE parent IS NOT NULL;
CREATE INDEX instance_latest ON instance (workspace, agent, created_at);
CREATE INDEX instance_grace ON instance (workspace, agent, ended_at) WHERE status = 'rotated';
CREATE INDEX instance_counted ON instance (workspace, agent, expires_at) WHERE status IN ('active', 'suspended');
-- where a running copy was seen: a keyed hash of the network, so that the table tells nobody's address
CREATE TABLE instance_place (line TEXT NOT NULL, place TEXT NOT NULL, seen_at INTEGER NOT NULL, PRIMARY KEY (line, place)) STRICT;
