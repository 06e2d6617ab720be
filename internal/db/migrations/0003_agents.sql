-- agents: what people sort and find them by
ALTER TABLE agent ADD COLUMN framework TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN model TEXT NOT NULL DEFAULT '';
CREATE TABLE agent_tag (
  workspace TEXT NOT NULL, agent TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (workspace, agent, name)
) STRICT;
CREATE INDEX agent_tag_value ON agent_tag (workspace, name, value, agent);
CREATE INDEX agent_owner ON agent (workspace, owner, id);
