-- people: workspaces, groups, and what recovery and "sign out everywhere" leave behind
CREATE TABLE workspace (
  name TEXT PRIMARY KEY, publish_owner TEXT NOT NULL, halted_at INTEGER, created_at INTEGER NOT NULL
) STRICT;
INSERT INTO workspace (name, publish_owner, created_at) VALUES ('default', 'id', 0), ('server', 'none', 0);
CREATE TABLE principal_group (
  workspace TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (workspace, name)
) STRICT;
-- source is '' for what a person did, else the upstream provider whose claim says so
CREATE TABLE group_member (
  workspace TEXT NOT NULL, grp TEXT NOT NULL, member TEXT NOT NULL, source TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, grp, member, source)
) STRICT;
CREATE INDEX group_member_member ON group_member (workspace, member);
ALTER TABLE person ADD COLUMN recovered_at INTEGER;
