-- rules: objects of resource types that attorn keeps. attrs is a JSON object in RFC 8785 form, parents a list of {"id","type"}; principal is the person or agent that it stands for.
CREATE TABLE resource (
  workspace TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, attrs TEXT NOT NULL, parents TEXT NOT NULL, principal TEXT, changed_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, type, id)
) STRICT;
CREATE UNIQUE INDEX resource_principal ON resource (workspace, principal, type) WHERE principal IS NOT NULL;
-- rules: what is in what
CREATE TABLE resource_in (
  workspace TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, parent_type TEXT NOT NULL, parent_id TEXT NOT NULL,
  PRIMARY KEY (workspace, type, id, parent_type, parent_id)
) STRICT;
CREATE INDEX resource_in_parent ON resource_in (workspace, parent_type, parent_id);
--pg ALTER TABLE resource ALTER COLUMN id TYPE TEXT COLLATE "C";
