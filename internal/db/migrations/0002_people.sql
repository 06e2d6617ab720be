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
ALTER TABLE person ADD COLUMN recovered_by TEXT;
-- two people who count as one where four eyes are asked for, because one made the link by which the other was recovered
CREATE TABLE tie (person TEXT NOT NULL, other TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (person, other)) STRICT;
CREATE INDEX tie_other ON tie (other);
-- suspended in this workspace alone, and from when on tokens in it are good
ALTER TABLE membership ADD COLUMN suspended_at INTEGER;
ALTER TABLE membership ADD COLUMN tokens_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE passkey ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE passkey ADD COLUMN used_at INTEGER;
ALTER TABLE person_key ADD COLUMN used_at INTEGER;
-- the passkey or registered key that the session was opened with
ALTER TABLE console_session ADD COLUMN opened_by TEXT NOT NULL DEFAULT '';
