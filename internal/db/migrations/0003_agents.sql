-- agents: what people sort and find them by, who is offered one, and whose owner cannot act any more. tags is the whole set, for decisions; agent_tag the
-- same again, for search.
ALTER TABLE agent ADD COLUMN framework TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN offered TEXT;
--pg ALTER TABLE agent ALTER COLUMN name TYPE TEXT COLLATE "C";
CREATE TABLE agent_tag (
  workspace TEXT NOT NULL, agent TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (workspace, agent, name)
) STRICT;
CREATE INDEX agent_tag_value ON agent_tag (workspace, name, value, agent);
CREATE INDEX agent_owner ON agent (workspace, owner, id);
CREATE INDEX agent_status ON agent (workspace, status, id);
CREATE INDEX agent_expires ON agent (workspace, id) WHERE expires_at IS NOT NULL;
-- workspace is '' for who cannot act anywhere
CREATE TABLE owner_gone (workspace TEXT NOT NULL, owner TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (workspace, owner)) STRICT;
INSERT INTO owner_gone (workspace, owner, since) SELECT '', id, (SELECT COALESCE(max(at), 0) FROM event) FROM person WHERE status = 'suspended';
-- when an agent (key is '') or one instance of it was suspended, for whoever checks an old signature
CREATE TABLE agent_pause (
  workspace TEXT NOT NULL, agent TEXT NOT NULL, key TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, PRIMARY KEY (workspace, agent, key, since)
) STRICT;
